package slack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"phantom/internal/channel/slack/event"
	"phantom/internal/channel/slack/fault"
	"phantom/internal/phantom"
)

const (
	// maxUploads bounds the files of one message that are read.
	maxUploads = 10
	// uploadTries is how often a download is tried.
	uploadTries = 3
)

// commit completes what came in and hands it on. Errors but the final ones mean
// that it is to be tried again.
func (c *Channel) commit(ctx context.Context, who self, receive receiver, ev event.Event) error {
	if ev.Partial {
		part, err := c.takesPart(ctx, ev.At)
		if err != nil {
			return err
		}
		if !part {
			return errNotMeant
		}
	}
	in := ev.In
	if ev.Thread && c.answers(in.Sender) {
		beside, err := c.beside(ctx, who, ev)
		if err != nil {
			return err
		}
		in.Beside = strings.TrimSpace(beside + "\n" + in.Beside)
	}
	if len(ev.Uploads) > 0 && in.Sender == c.Owner {
		told, err := c.fetch(ctx, who, ev.Uploads, &in)
		if err != nil {
			return err
		}
		in.Text = strings.TrimSpace(in.Text + told)
		if len(in.Files) == 0 {
			in.Kind = phantom.InboundMessage
		}
	}
	if err := receive(ctx, in); err != nil {
		return err
	}
	return c.join(ctx, ev)
}

// answers reports whether it is worth a call to Slack what somebody wrote: who
// is heard the router decides.
func (c *Channel) answers(user string) bool { return user == c.Owner }

// final reports whether an error decides what becomes of an event: it was
// refused, cannot be taken, or was never meant for Phantom.
func (c *Channel) final(err error) bool {
	return c.Refused(err) || c.Invalid(err) || errors.Is(err, errNotMeant)
}

// errNotMeant is why a message is not handed on that nobody wrote to Phantom.
var errNotMeant = errors.New("it is not meant for Phantom")

// afterwards does what is to be done once an event is committed and
// acknowledged: the pressed message says what was decided, and its sender
// hears what could not be taken. What fails here is shown and nothing else.
func (c *Channel) afterwards(ctx context.Context, ev event.Event, err error) {
	switch {
	case err == nil && ev.In.Kind == phantom.InboundButton:
		if f := c.decided(ctx, ev); f != nil {
			c.Log.LogAttrs(ctx, slog.LevelWarn, "what was decided could not be shown", slog.Any("error", f))
		}
	case err == nil, c.Refused(err), errors.Is(err, errNotMeant):
	case c.answers(ev.In.Sender):
		if _, f := c.post(ctx, ev.At, letter{text: "I could not take that: " + err.Error()}); f != nil {
			c.Log.LogAttrs(ctx, slog.LevelWarn, "the sender could not be told what was wrong", slog.Any("error", f))
		}
	}
}

// fetch downloads the files of a message of the owner, and says in words what
// was not read and why.
func (c *Channel) fetch(ctx context.Context, who self, list []event.Upload, in *phantom.Inbound) (told string, err error) {
	if c.Files == nil || !who.granted("files:read") {
		return notRead(list, "the app lacks the scope files:read; `phantom manifest slack --with files` prints a manifest that has it"), nil
	}
	if len(list) > maxUploads {
		told += notRead(list[maxUploads:], fmt.Sprintf("only %d files of a message are read", maxUploads))
		list = list[:maxUploads]
	}
	for _, u := range list {
		kept, err := c.download(ctx, u)
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if err != nil {
			told += notRead([]event.Upload{u}, c.tell.Redact.String(err.Error()))
			continue
		}
		in.Files = append(in.Files, kept)
	}
	return told, nil
}

// notRead says which files were not read, for the text of the message.
func notRead(list []event.Upload, why string) string {
	names := make([]string, len(list))
	for i, u := range list {
		names[i] = fmt.Sprintf("%.100q", u.Name)
	}
	return fmt.Sprintf("\n(Not read: %s, because %s.)", strings.Join(names, ", "), why)
}

// download keeps one file; it tries again what may work another time.
func (c *Channel) download(ctx context.Context, u event.Upload) (path string, err error) {
	for failed := range uploadTries {
		var again bool
		if path, again, err = c.downloadOnce(ctx, u); err == nil || !again {
			return path, err
		}
		if fault.Pause(ctx, fault.Backoff(failed, err)) != nil {
			break
		}
	}
	return "", err
}

func (c *Channel) downloadOnce(ctx context.Context, u event.Upload) (path string, again bool, err error) {
	address, err := url.Parse(u.URL)
	if err != nil || !c.holdsFiles(address) {
		return "", false, errors.New("it is not kept by Slack")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.URL, http.NoBody)
	if err != nil {
		return "", false, errors.New("its address cannot be read")
	}
	req.Header.Set("Authorization", "Bearer "+c.BotToken.Reveal())
	resp, err := c.web.Do(req)
	if err != nil {
		return "", true, c.tell.Of("get a file", err)
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	if resp.StatusCode != http.StatusOK {
		// A redirect leads to the page for signing in.
		return "", resp.StatusCode >= http.StatusInternalServerError || resp.StatusCode == http.StatusTooManyRequests, fmt.Errorf("the answer has status %d", resp.StatusCode)
	}
	path, err = c.Files.Keep(ctx, u.Name, resp.Body)
	return path, errors.Is(err, io.ErrUnexpectedEOF), err
}

// holdsFiles reports whether an address of a file is one of Slack's, to which
// the token may go.
func (c *Channel) holdsFiles(u *url.URL) bool {
	host := strings.ToLower(u.Hostname())
	if u.Scheme == "https" && u.User == nil && (host == "slack.com" || strings.HasSuffix(host, ".slack.com")) {
		return true
	}
	api, err := url.Parse(c.API)
	return err == nil && u.User == nil && api.Scheme == u.Scheme && strings.EqualFold(api.Host, u.Host)
}

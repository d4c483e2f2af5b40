package telegram

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-telegram/bot"
)

const (
	// maxFile is what Telegram lets a bot have of a file, in bytes.
	maxFile = 20 << 20
	// fileTimeout bounds the fetching of one: what waits behind it may be a stop.
	fileTimeout = time.Minute
	// fileTries is how often one is tried in that time.
	fileTries = 3
)

// attached is the file that came with a message, or nil. Of a photo it is the
// largest size that may be fetched.
func (m *message) attached() *file {
	if len(m.Photo) > 0 {
		best := m.Photo[0]
		for _, p := range m.Photo {
			if p.Size <= maxFile && p.Size >= best.Size {
				best = p
			}
		}
		best.Name = fmt.Sprintf("photo-%d.jpg", m.ID)
		return &best
	}
	for name, f := range map[string]*file{
		"document-%d": m.Document, "audio-%d.mp3": m.Audio, "video-%d.mp4": m.Video, "voice-%d.ogg": m.Voice, "video-note-%d.mp4": m.VideoNote,
	} {
		if f == nil {
			continue
		}
		found := *f
		if found.Name == "" {
			found.Name = fmt.Sprintf(name, m.ID)
		}
		return &found
	}
	return nil
}

// fetch keeps a file of the owner. One that cannot be had is told to the owner
// in words; what came with it is heard all the same.
func (c *Channel) fetch(ctx context.Context, f file) (paths []string, tell string) {
	name := clip(f.Name, maxName)
	if c.Files == nil {
		return nil, fmt.Sprintf("I cannot keep files here, so %s was not taken.", name)
	}
	if f.Size > maxFile {
		return nil, fmt.Sprintf("%s has %d MB, and Telegram gives bots files of up to 20 MB: it was not taken.", name, f.Size>>20)
	}
	limited, cancel := context.WithTimeout(ctx, fileTimeout)
	defer cancel()
	var err error
	for tries := range fileTries {
		if tries > 0 && !sleep(limited, pause(err, tries-1)) {
			break
		}
		var path string
		if path, err = c.download(limited, f); err == nil {
			return []string{path}, ""
		}
		if e, ok := errors.AsType[*apiError](err); ok && e.Permanent() {
			break
		}
	}
	c.Log.LogAttrs(ctx, slog.LevelWarn, "a file of the owner was not taken", slog.Any("error", err))
	return nil, fmt.Sprintf("I could not take %s; please send it again. (%v)", name, err)
}

// download hands a file on while it comes.
func (c *Channel) download(ctx context.Context, f file) (string, error) {
	found, err := c.bot.GetFile(ctx, &bot.GetFileParams{FileID: f.ID})
	if err != nil {
		return "", c.refusal("getFile", err)
	}
	var segments []string
	for segment := range strings.SplitSeq(found.FilePath, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return "", &apiError{method: "getFile", code: http.StatusBadRequest, text: "the path of the file is not one on Telegram's server"}
		}
		segments = append(segments, url.PathEscape(segment))
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Server+"/file/bot"+c.Token.Reveal()+"/"+strings.Join(segments, "/"), nil)
	if err != nil {
		return "", &apiError{method: "download", text: c.scrub(err)}
	}
	response, err := c.http.Do(request)
	if err != nil {
		return "", &apiError{method: "download", text: c.scrub(err), cause: ended(err)}
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", &apiError{method: "download", code: response.StatusCode, text: fmt.Sprintf("status %d", response.StatusCode)}
	}
	body := &counted{r: response.Body, left: maxFile}
	path, err := c.Files.Keep(ctx, f.Name, body)
	switch {
	case body.err != nil:
		return "", &apiError{method: "download", code: body.code, text: c.scrub(body.err), cause: ended(body.err)}
	case err != nil:
		return "", fmt.Errorf("keep %s: %w", clip(f.Name, maxName), err)
	}
	return path, nil
}

// counted is the body of a file that ends with an error where it is too long:
// half a file is none.
type counted struct {
	r    io.Reader
	left int64
	err  error // what ended it before its end
	code int
}

// Read implements io.Reader.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if c.left -= int64(n); c.left < 0 {
		c.err, c.code = errors.New("the file is longer than 20 MB"), http.StatusBadRequest
		return 0, c.err
	}
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = err
	}
	return n, err
}

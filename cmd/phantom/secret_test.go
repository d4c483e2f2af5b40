package main

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"phantom/internal/llm/wiretest"
	"phantom/internal/phantom"
)

// TestRotateRefusesBeforeItAsks: nobody types a value for a name that is not
// there. The input stays open, so a command that waits for it does not end.
func TestRotateRefusesBeforeItAsks(t *testing.T) {
	i := newInstall(t, nil, "")
	in, typing, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	defer typing.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := i.command("secret", "rotate", "nope")
	cmd.Stdin = in
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() }) // it may have ended
	defer stop()
	out, err := cmd.CombinedOutput()
	if err == nil || ctx.Err() != nil || !strings.Contains(string(out), `secret "nope": no such secret is stored`) {
		t.Errorf("%v (%v)\n%s", err, ctx.Err(), out)
	}
}

// TestRequestReachesTheOwner: what the agent asked for while nobody watched is
// found later, with a new link in place of the one that was shown to nobody.
// The links are told to neither model nor disk.
func TestRequestReachesTheOwner(t *testing.T) {
	var sent strings.Builder
	i := newInstall(t, func(r wiretest.Request) wiretest.Answer {
		sent.Write(r.Body)
		if _, results := progressOf(r.Messages); len(results) > 0 {
			return wiretest.Answer{Text: "I asked you for the password."}
		}
		return wiretest.Answer{Calls: []phantom.ToolCall{{Name: "request_secret", Input: jsonOf(map[string]any{
			"secrets": []any{map[string]any{"name": "smtp", "hosts": []string{"mail.example"}}}, "reason": "to send\n   the report",
		})}}}
	}, "")
	if out, err := i.run("secret", "requests"); err == nil {
		t.Errorf("on a home that has not run: %s", out)
	}
	d := i.start()
	_, activity, code := i.ask("send the report")
	shown := regexp.MustCompile(`http://\S+/collect/\S+`)
	first := shown.FindString(activity)
	if code != 0 || first == "" {
		t.Fatalf("exit %d, no link in %q", code, activity)
	}
	for _, tt := range []struct {
		want string
		args []string
	}{
		{"smtp for requests to mail.example\n   in terminal:main\n   because to send", []string{"secret", "requests"}},
		{"phantom secret request --again smtp", []string{"secret", "requests"}},
		{"1 requests for secrets: see `phantom secret requests`", []string{"approvals", "list"}},
		{`"name": "smtp"`, []string{"secret", "requests", "--json"}},
	} {
		if out, err := i.run(tt.args...); err != nil || !strings.Contains(out, tt.want) || shown.MatchString(out) {
			t.Errorf("%v: %v\n%s\nwant %q and no link", tt.args, err, out, tt.want)
		}
	}
	out, err := i.run("secret", "request", "--again", "smtp")
	second := shown.FindString(out)
	if err != nil || second == "" || second == first {
		t.Fatalf("again: %v\n%s", err, out)
	}
	for _, tt := range []struct {
		link string
		want int
	}{{first, http.StatusNotFound}, {second, http.StatusOK}, {second, http.StatusGone}} {
		resp, err := http.PostForm(tt.link, url.Values{"smtp": {"planted-password-1"}})
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != tt.want {
			t.Errorf("sent to the link: %s, want %d", resp.Status, tt.want)
		}
	}
	if out, err := i.run("secret", "list"); err != nil || !regexp.MustCompile(`(?m)^smtp .* mail.example$`).MatchString(out) {
		t.Errorf("the secret: %v\n%s", err, out)
	}
	if out, err := i.run("secret", "requests"); err != nil || !strings.Contains(out, "nothing waits") {
		t.Errorf("afterwards: %v\n%s", err, out)
	}
	if out, err := i.run("secret", "request", "--again", "smtp"); err == nil || !strings.Contains(out, "no request waits") {
		t.Errorf("again when nothing waits: %v\n%s", err, out)
	}
	d.end()
	links := &secretsLab{known: []leak{{"the first link", first[strings.LastIndex(first, "/")+1:]}, {"the second link", second[strings.LastIndex(second, "/")+1:]}}}
	links.search(t, "what the model was sent", sent.String())
	links.search(t, "the log", d.logs.String())
	links.searchFiles(t, i)
}

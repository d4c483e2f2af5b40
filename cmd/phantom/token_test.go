package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"phantom/internal/access"
	"phantom/internal/app"
	"phantom/internal/config"
)

// knock sends a first MCP request with a token and returns the status.
func (d *instance) knock(token string) int {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), 10*time.Second)
	defer cancel()
	const body = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}`
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://127.0.0.1:"+d.port()+"/mcp", strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	answer.Body.Close()
	return answer.StatusCode
}

// awaitKnock knocks until the answer is the wanted one, for the second in
// which a change must be obeyed. It does not knock often: who is refused ten
// times is shut out for a while.
func (d *instance) awaitKnock(what, token string, want int) {
	d.t.Helper()
	got := 0
	for began := time.Now(); time.Since(began) < time.Second; {
		time.Sleep(300 * time.Millisecond)
		if got = d.knock(token); got == want {
			return
		}
	}
	d.t.Errorf("%s: status %d a second later, want %d", what, got, want)
}

// tokenCommand runs phantom token and returns the token that it made.
func (i *install) tokenCommand(args ...string) string {
	i.t.Helper()
	out, err := i.command(append(append([]string{"token"}, args...), "--json")...).Output()
	if err != nil {
		i.t.Fatalf("token %v: %v\n%s", args, err, out)
	}
	var made access.Handover
	if err := json.Unmarshal(out, &made); err != nil {
		i.t.Fatalf("token %v printed %s: %v", args, out, err)
	}
	return made.Token
}

// A token comes with the address of the instance that runs, whatever port the
// settings and the environment of the command name: nobody else may get it.
func TestTokenNamesTheRunningInstance(t *testing.T) {
	d := newInstall(t, nil, "").start()
	for _, args := range [][]string{{"create", "--client", "laptop"}, {"rotate", "laptop"}} {
		cmd := d.command(append([]string{"token"}, args...)...)
		cmd.Env = append(slices.Clone(cmd.Env), "PORT="+freePort(t))
		out, err := cmd.CombinedOutput()
		if err != nil || strings.Count(string(out), "http://127.0.0.1:"+d.port()+"/mcp") != 2 {
			t.Errorf("token %v, of an instance on port %s: %v\n%s", args, d.port(), err, out)
		}
	}
}

// A running instance lets in who has a token and keeps out, within a second,
// who has it no more, however the token went.
func TestATokenIsObeyedWhileItRuns(t *testing.T) {
	d := newInstall(t, nil, "").start()
	d.awaitKnock("nobody", "", http.StatusUnauthorized)
	token := d.tokenCommand("create", "--client", "laptop", "--scope", "read")
	d.awaitKnock("a new token", token, http.StatusOK)
	fresh := d.tokenCommand("rotate", "laptop", "--grace", "1h")
	d.awaitKnock("a rotated token", fresh, http.StatusOK)
	d.awaitKnock("the old token in its grace time", token, http.StatusOK)
	newest := d.tokenCommand("rotate", "laptop", "--grace", "0s")
	d.awaitKnock("an old token without grace time", fresh, http.StatusUnauthorized)
	d.awaitKnock("the newest token", newest, http.StatusOK)

	time.Sleep(1100 * time.Millisecond) // the last use is written within a second
	out, err := d.run("token", "list", "--json")
	var list []access.Entry
	if err != nil || json.Unmarshal([]byte(out), &list) != nil || len(list) != 1 || time.Since(list[0].LastUsed) > time.Minute {
		t.Errorf("token list: %v\n%s", err, out)
	}

	d.tokenCommand("revoke", "laptop")
	d.awaitKnock("a revoked token", newest, http.StatusUnauthorized)
	brief := d.tokenCommand("create", "--client", "brief", "--expires", "2s")
	d.awaitKnock("a token that will expire", brief, http.StatusOK)
	time.Sleep(2 * time.Second)
	if got := d.knock(brief); got != http.StatusUnauthorized {
		t.Errorf("a token that is over: status %d", got)
	}

	tail, err := d.run("audit", "tail", "--json")
	if err != nil {
		t.Fatalf("audit tail: %v\n%s", err, tail)
	}
	for _, method := range []string{"token-create", "token-rotate", "token-revoke"} {
		if !strings.Contains(tail, method) {
			t.Errorf("%s is not on record", method)
		}
	}
	d.end()
	for _, secret := range []string{token, fresh, newest, brief} {
		if strings.Contains(d.logs.String(), secret) || strings.Contains(tail, secret) {
			t.Error("a token stands in the log or on record")
		}
	}
}

// doctor says which tokens are over or soon will be.
func TestDoctorLooksAtTokens(t *testing.T) {
	i := newInstall(t, nil, "")
	i.tokenCommand("create", "--client", "stays")
	i.tokenCommand("create", "--client", "later", "--expires", "90d")
	i.tokenCommand("create", "--client", "turning", "--expires", "90d")
	i.tokenCommand("rotate", "turning") // its old token ends as it should
	check := func() app.Check {
		t.Helper()
		out, _ := i.command("doctor", "--json").Output() // the offline model is a warning
		var all []app.Check
		if err := json.Unmarshal(out, &all); err != nil {
			t.Fatalf("doctor printed %s: %v", out, err)
		}
		for _, c := range all {
			if c.Name == "tokens" {
				return c
			}
		}
		t.Fatalf("doctor does not look at tokens:\n%s", out)
		return app.Check{}
	}
	if c := check(); c.Status != app.Good || c.Detail != "4 tokens for clients of MCP" {
		t.Errorf("with good tokens: %+v", c)
	}
	i.tokenCommand("create", "--client", "soon", "--expires", "2d")
	i.tokenCommand("create", "--client", "over", "--expires", "1s")
	time.Sleep(time.Second)
	if c := check(); c.Status != app.Warn || !strings.Contains(c.Detail, "expired: over; soon: soon (") || !strings.Contains(c.Mend, "phantom token rotate") {
		t.Errorf("with ending tokens: %+v", c)
	}
}

// Nobody gets a token who did not say so, and who did gets it at the end.
func TestInitOffersAToken(t *testing.T) {
	if scope := newInterview(config.DefaultAnswers()).scope; scope != "" {
		t.Errorf("who presses enter gets a token of scope %s", scope)
	}
	i := newInstall(t, nil, "")
	conf, err := config.Load(i.home, config.Overrides{Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	c := &cli{home: i.home.Dir(), stdin: strings.NewReader(""), stdout: &out, stderr: &errs, version: "test"}
	if err := c.firstToken(t.Context(), conf, "operator"); err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?m)^token of first, scope operator; it is not shown again$(?s:.*)^  phantom_[0-9a-f]{64}$`).MatchString(out.String()) || errs.Len() > 0 {
		t.Errorf("it says\n%s%s", out.String(), errs.String())
	}
	if err := c.firstToken(t.Context(), conf, "operator"); err == nil || !strings.Contains(err.Error(), "the home is written, but no token was made") {
		t.Errorf("a second one: %v", err)
	}
}

func TestLifetimes(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{"": 0, "never": 0, "90d": 90 * day, "2w": 14 * day, "36h": 36 * time.Hour, "1h30m": 90 * time.Minute, "10000d": 10_000 * day} {
		if got, err := lifetime(text); err != nil || got != want {
			t.Errorf("lifetime(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"0d", "-1d", "0s", "-5h", "d", "90", "1.5d", "99999999999999d", "10001d", "1y", "tomorrow", " 90d"} {
		if got, err := lifetime(text); err == nil {
			t.Errorf("lifetime(%q) = %v, want a refusal", text, got)
		}
	}
}

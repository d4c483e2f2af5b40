package slacktest_test

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"phantom/internal/channel/slack/slacktest"
)

// modules is the folder of Slack's own library. Where it is missing or of
// another version than this checkout names, the test is skipped; in CI it fails.
func modules(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../../../..")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join(root, "tools", "slack-peers", "package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root, ".cache", "slack-peers")
	if have, err := os.ReadFile(filepath.Join(dir, "installed.json")); err != nil || !bytes.Equal(have, want) {
		missing := "Slack's own library is not installed: run scripts/slack-peers"
		if os.Getenv("CI") == "true" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	return filepath.Join(dir, "node_modules")
}

// bolt starts the app of testdata with the tokens, and returns the first line
// that it says.
func bolt(t *testing.T, s *slacktest.Server, bot, app string) string {
	t.Helper()
	found := modules(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	cmd := exec.CommandContext(ctx, "node", "testdata/bolt.cjs")
	// No proxy and no setting of the machine's user takes part.
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + t.TempDir(), "NODE_PATH=" + found, "API=" + s.API, "BOT_TOKEN=" + bot, "APP_TOKEN=" + app, "SELF=" + slacktest.BotUser}
	cmd.WaitDelay = time.Second
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 100)
	go func() {
		defer close(lines)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			lines <- scan.Text()
		}
	}()
	t.Cleanup(func() {
		cancel()
		for range lines { // until its end
		}
		_ = cmd.Wait() // it was killed
		if t.Failed() {
			t.Logf("the app says %s", errs.String())
		}
	})
	for line := range lines {
		if line == "ready" || strings.HasPrefix(line, "refused: ") {
			return line
		}
	}
	t.Fatalf("the app ended: %s", errs.String())
	return ""
}

// TestBolt lets an app on Slack's own library into the workspace: what it
// understands of our stand-in is not shaped to the library that we use.
func TestBolt(t *testing.T) {
	s := slacktest.New(t)
	if said := bolt(t, s, slacktest.BotToken, slacktest.AppToken); said != "ready" {
		t.Fatalf("it says %q", said)
	}
	s.Await("a connection", func() bool { return s.Sockets() == 1 })

	answer := func(in, thread, want string) (ts string) {
		t.Helper()
		s.Await("it says "+want, func() bool {
			all := s.Answers(in, thread)
			i := slices.IndexFunc(all, func(m slacktest.Shown) bool { return m.Text == want })
			if i >= 0 {
				ts = all[i].TS
			}
			return i >= 0
		})
		return ts
	}
	ts := s.Say(slacktest.Owner, slacktest.General, "", slacktest.Mention("hello"))
	answer(slacktest.General, ts, "Olga Owner mentioned it among 1")
	if got := s.Reactions(slacktest.General, ts); !slices.Equal(got, []string{"eyes"}) {
		t.Errorf("its reactions: %v", got)
	}
	direct := slacktest.Direct(slacktest.Owner)
	s.Tell(slacktest.Owner, "one")
	heard := answer(direct, "", "heard one")
	s.Press(slacktest.Owner, direct, heard, "press")
	if pressed := answer(direct, "", "pressed 7 bolt"); pressed != heard {
		t.Errorf("it answered the button in %s, not in %s", pressed, heard)
	}
	s.React(slacktest.Owner, direct, heard, "heart")
	answer(direct, heard, "felt heart")
	s.Slash(slacktest.Owner, slacktest.General, "/phantom")
	answer(slacktest.General, "", "commanded by "+slacktest.Owner)

	s.Refresh()
	s.Await("another connection", func() bool { return s.Sockets() == 1 })
	s.Tell(slacktest.Owner, "two")
	answer(direct, "", "heard two")
	s.Await("every event is acknowledged", func() bool { return s.Pending() == 0 })
}

// TestBoltRefused: a token that is wrong is refused in the words that the
// library knows.
func TestBoltRefused(t *testing.T) {
	if said := bolt(t, slacktest.New(t), slacktest.BotToken, "xapp-wrong"); said != "refused: invalid_auth" {
		t.Errorf("it says %q", said)
	}
}

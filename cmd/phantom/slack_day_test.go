package main

import (
	"flag"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"phantom/internal/channel/slack/slacktest"
	"phantom/internal/llm"
	"phantom/internal/llm/wiretest"
	"phantom/internal/phantom"
)

// slackDay is where the transcript of TestSlackDay is kept.
const slackDay = "../../docs/slack-first-day.md"

var writeDay = flag.Bool("slack.day", false, "write the transcript of TestSlackDay to "+slackDay)

// newcomer is the model of the first day: it says what a co-worker would.
func newcomer(r wiretest.Request) wiretest.Answer {
	said, results := "", 0
	for _, m := range r.Messages {
		for _, p := range m.Content {
			switch {
			case m.Role == llm.User && p.Kind == llm.PartText:
				said, results = p.Text, 0
			case p.Kind == llm.PartToolResult:
				results++
			}
		}
	}
	bash := func(command string) wiretest.Answer {
		return wiretest.Answer{Calls: []phantom.ToolCall{{Name: "bash", Input: jsonOf(map[string]any{"command": command})}}}
	}
	switch {
	case strings.Contains(said, "I am Olga"):
		return wiretest.Answer{Text: "Welcome, Olga. Short answers, in English, and I ask before I touch anything in production."}
	case strings.Contains(said, "which variables") && results == 0:
		return bash("env | sort > variables.txt && wc -l < variables.txt")
	case strings.Contains(said, "which variables"):
		return wiretest.Answer{Text: "The list is in `variables.txt`:\n\n- `HOME`, `LANG`, `PATH` and `TERM` are mine\n- the rest is the shell's own"}
	case strings.Contains(said, "names only"):
		return wiretest.Answer{Text: "Right: names only, never values. I do so from now on."}
	case strings.Contains(said, "watch the build") && results == 0:
		return bash("sleep 600")
	}
	return wiretest.Answer{Text: "I have nothing to add."}
}

// TestSlackDay plays a first day in Slack through the real program and compares
// what people see with docs/slack-first-day.md. `make slack-day` writes it.
func TestSlackDay(t *testing.T) {
	s := slacktest.New(t)
	s.At(time.Now())
	const room, owner = slacktest.General, slacktest.Owner
	direct := slacktest.Direct(owner)
	i := newInstall(t, newcomer, fmt.Sprintf("owner: {slack: %q}", owner))
	i.write("config/channels.yaml", fmt.Sprintf("slack: {enabled: true, bot_token: '${SLACK_BOT_TOKEN}', app_token: '${SLACK_APP_TOKEN}', default_channel_id: %s, api_url: %q}\n", room, s.API))
	i.env = append(i.env, "SLACK_BOT_TOKEN="+slacktest.BotToken, "SLACK_APP_TOKEN="+slacktest.AppToken)
	d := i.start()

	answers := func(in, thread string, n int) slacktest.Shown {
		t.Helper()
		var got []slacktest.Shown
		until(t, fmt.Sprintf("%d messages in %s %s", n, in, thread), func() bool { got = s.Answers(in, thread); return len(got) == n })
		return got[n-1]
	}
	marked := func(in, ts, sign string) {
		t.Helper()
		until(t, sign+" stands under the message", func() bool { return strings.Join(s.Reactions(in, ts), " ") == sign })
	}
	answers(room, "", 1)
	answers(direct, "", 1)
	hello := s.Tell(owner, "I am Olga, I look after the payment service. Short answers please, in English, and ask me before you touch production.")
	answers(direct, "", 2)
	marked(direct, hello, "white_check_mark")

	task := s.Say(owner, room, "", slacktest.Mention("write down which variables your commands see"))
	question := answers(room, task, 1)
	until(t, "it asks", func() bool {
		question = s.Answers(room, task)[len(s.Answers(room, task))-1]
		return len(question.Buttons) == 2
	})
	for action := range question.Buttons {
		if strings.Contains(action, "approve") {
			s.Press(owner, room, question.TS, action)
		}
	}
	marked(room, task, "white_check_mark")
	list := answers(room, task, 2)
	s.React(owner, room, list.TS, "+1")
	until(t, "the feedback is kept", func() bool { return i.count("SELECT count(*) FROM feedback WHERE press = 'up'") == 1 })
	correction := s.Say(owner, room, task, "names only next time, please: values may be secret")
	answers(room, task, 3)
	marked(room, correction, "white_check_mark")

	watch := s.Say(owner, room, "", slacktest.Mention("watch the build until I say so"))
	marked(room, watch, "computer")
	s.Say(owner, room, watch, "stop")
	until(t, "it stopped", func() bool {
		got := s.Answers(room, watch)
		return len(got) > 0 && strings.Contains(strings.ToLower(got[len(got)-1].Text), "stopped")
	})
	until(t, "the end is shown", func() bool { return strings.Join(s.Reactions(room, watch), " ") == "warning" })
	d.end()

	got := dayText(s, []string{direct, room})
	if *writeDay {
		if err := os.WriteFile(slackDay, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(filepath.FromSlash(slackDay))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("the day is another one now (-want +got); `make slack-day` writes it anew:\n%s", diff)
	}
}

var (
	// clockTime is when a question runs out.
	clockTime = regexp.MustCompile(`at \d\d:\d\d UTC`)
	// workPlace is where its command would run.
	workPlace = regexp.MustCompile("In: `/.*/workspace`")
)

// dayText is what people see, place by place.
func dayText(s *slacktest.Server, places []string) string {
	var b strings.Builder
	b.WriteString("# A first day in Slack\n\nWhat people see on a first day, played by the real program against a workspace that speaks Slack's protocol; `make slack-day` writes\nthis page. Olga is the owner. A name in colons is the reaction that stands under a message in the end.\n")
	names := map[string]string{slacktest.BotUser: "phantom", slacktest.Owner: "Olga"}
	for _, place := range places {
		title := "#general"
		if place == slacktest.Direct(slacktest.Owner) {
			title = "Direct messages of Olga and phantom"
		}
		fmt.Fprintf(&b, "\n## %s\n", title)
		write := func(m slacktest.Shown, indent string) {
			text := strings.ReplaceAll(m.Text, "<@"+slacktest.BotUser+">", "@phantom")
			text = strings.ReplaceAll(text, "<@"+slacktest.Owner+">", "@Olga")
			text = html.UnescapeString(clockTime.ReplaceAllString(workPlace.ReplaceAllString(text, "In: `~/.phantom/workspace`"), "at 10:15 UTC"))
			for line := range strings.Lines(s.Blocks(place, m.TS)) {
				if strings.Contains(line, " by <@") { // what was decided, where the buttons were
					text += "\n\n_" + strings.TrimSpace(strings.ReplaceAll(line, "<@"+slacktest.Owner+">", "@Olga")) + "_"
				}
			}
			fmt.Fprintf(&b, "\n%s**%s**", indent, names[m.User])
			for _, sign := range s.Reactions(place, m.TS) {
				fmt.Fprintf(&b, " `:%s:`", sign)
			}
			b.WriteString("\n")
			for line := range strings.Lines(strings.TrimRight(text, "\n") + "\n") {
				b.WriteString(strings.TrimRight(indent+"> "+line, " \n") + "\n")
			}
		}
		for _, m := range s.Thread(place, "") {
			write(m, "")
			for _, answer := range s.Thread(place, m.TS) {
				if answer.TS != m.TS {
					write(answer, "> ")
				}
			}
		}
	}
	return b.String()
}

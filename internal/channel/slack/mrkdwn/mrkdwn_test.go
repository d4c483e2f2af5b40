package mrkdwn_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"phantom/internal/channel/slack/mrkdwn"
)

func TestRender(t *testing.T) {
	for _, tt := range []struct{ why, markdown, want string }{
		{"bold has one star in Slack", "**bold** and __bold__", "*bold* and *bold*"},
		{"italics have an underscore", "*it* and _it_", "_it_ and _it_"},
		{"both", "***both***", "*_both_*"},
		{"italics within bold", "**a *b* c**", "*a _b_ c*"},
		{"struck out", "~~gone~~", "~gone~"},
		{"snake case is no markup", "a_b_c and 2*3*4", "a_b_c and 2_3_4"},
		{"a lone star stays", "2 * 3 = 6", "2 * 3 = 6"},
		{"a heading is a bold line", "## Plan **now**", "*Plan now*"},
		{"lists have dots", "- a\n  * b\n+ c", "• a\n  • b\n• c"},
		{"boxes", "- [ ] a\n- [x] b", "☐ a\n☑ b"},
		{"numbers stay", "1. a\n2. b", "1. a\n2. b"},
		{"quotes", "> said", "> said"},
		{"a rule", "a\n\n---\nb", "a\n\n———\nb"},
		{"a link", "[docs](https://a.example/x?a=1&b=2)", "<https://a.example/x?a=1&amp;b=2|docs>"},
		{"an address with brackets", "[w](https://a.example/x_(y))", "<https://a.example/x_(y)|w>"},
		{"a picture", "![cat](https://a.example/c.png)", "<https://a.example/c.png|cat>"},
		{"no link to a script", "[x](javascript:alert(1))", "[x](javascript:alert(1))"},
		{"a bare address is left alone", "see https://a.example/a_b_c*d* now", "see https://a.example/a_b_c*d* now"},
		{"code within a line is left alone", "`a **b** <c>`", "`a **b** &lt;c&gt;`"},
		{"the language is not shown", "```go\nif a < b {\n}\n```\nend", "```\nif a &lt; b {\n}\n```\nend"},
		{"a block that is never closed is", "```\na", "```\na\n```"},
		{"backticks within a block do not end it", "~~~\n```\n~~~", "```\n``\u200b`\n```"},
		{"a table keeps its columns", "| a | b |\n|---|---|\n| 1 | 2 |\nend", "```\n| a | b |\n|---|---|\n| 1 | 2 |\n```\nend"},
		{"a pipe is no table", "a | b", "a | b"},
		{"angle brackets are text", "a < b && b > c", "a &lt; b &amp;&amp; b &gt; c"},
		{"nobody can call everybody", "<!channel> <!here|x> <!subteam^S1>", "&lt;!channel&gt; &lt;!here|x&gt; &lt;!subteam^S1&gt;"},
		{"one person can be named", "ask <@U0123ABC> in <#C0123ABC>", "ask <@U0123ABC> in <#C0123ABC>"},
		{"what is escaped is text", `\*no\* \<x`, `*no* &lt;x`},
		{"an empty text", "", ""},
	} {
		t.Run(tt.why, func(t *testing.T) {
			if got := mrkdwn.Render(tt.markdown); got != tt.want {
				t.Errorf("Render(%q)\n got %q\nwant %q", tt.markdown, got, tt.want)
			}
		})
	}
}

func TestPlain(t *testing.T) {
	for _, tt := range []struct{ why, slack, want string }{
		{"Phantom is named", "hi <@UBOT> there", "hi @phantom there"},
		{"so it is with a label", "<@UBOT|bot>", "@phantom"},
		{"others keep their ids", "ask <@U1|ann>", "ask <@U1>"},
		{"channels have names", "in <#C1|general> or <#C2>", "in #general or <#C2>"},
		{"calls for everybody", "<!here> <!subteam^S1|@devs>", "@here @devs"},
		{"a link with a label", "<https://a.example/x|docs>", "docs (https://a.example/x)"},
		{"a link that is its label", "<https://a.example/|a.example>", "https://a.example/"},
		{"an address", "<mailto:a@b.example|a@b.example>", "mailto:a@b.example"},
		{"entities once", "a &lt;b&gt; &amp;lt;", "a <b> &lt;"},
		{"what the writer typed is no reference", "&lt;@UBOT&gt;", "<@UBOT>"},
	} {
		t.Run(tt.why, func(t *testing.T) {
			if got := mrkdwn.Plain(tt.slack, "UBOT", "phantom"); got != tt.want {
				t.Errorf("Plain(%q)\n got %q\nwant %q", tt.slack, got, tt.want)
			}
		})
	}
}

func TestAddressed(t *testing.T) {
	for _, tt := range []struct{ why, text, want string }{
		{"a mention before the words", "<@UBOT> do it", "do it"},
		{"with a label and a colon", "<@UBOT|bot>: do it", "do it"},
		{"twice", "<@UBOT> <@UBOT>, do it", "do it"},
		{"somebody else is part of the text", "<@U2> do it", "<@U2> do it"},
		{"an id that begins alike", "<@UBOT2> do it", "<@UBOT2> do it"},
		{"nothing but a mention", "<@UBOT>", ""},
	} {
		t.Run(tt.why, func(t *testing.T) {
			if got := mrkdwn.Addressed(tt.text, "UBOT"); got != tt.want {
				t.Errorf("Addressed(%q) = %q, want %q", tt.text, got, tt.want)
			}
		})
	}
}

// FuzzRender: a text never becomes a call for everybody, stays readable, and
// does not blow up.
func FuzzRender(f *testing.F) {
	for _, seed := range []string{"**a** _b_ [c](https://d.example)", "```go\nx\n```", "<!channel>", "[a](https://b.example|<!here>)", "***", "* _ ~ ` [", "| a |\n|-|\n|<!here>|", `\<!here>`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := mrkdwn.Render(s)
		if strings.Contains(got, "<!") {
			t.Errorf("Render(%q) = %q calls everybody", s, got)
		}
		if utf8.ValidString(s) && !utf8.ValidString(got) {
			t.Errorf("Render(%q) = %q is no text", s, got)
		}
		if len(got) > 8*len(s)+16 {
			t.Errorf("Render of %d bytes has %d", len(s), len(got))
		}
		if strings.Count(got, "```")%2 != 0 && !strings.Contains(s, "```") {
			t.Errorf("Render(%q) = %q leaves a block of code open", s, got)
		}
	})
}

// FuzzPlain: what Slack sends is read whatever it is.
func FuzzPlain(f *testing.F) {
	for _, seed := range []string{"<@UBOT> hi", "<https://a.example|b>", "<!here>", "<", "<|>", "&amp;lt;", "<@UBOT|x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := mrkdwn.Plain(mrkdwn.Addressed(s, "UBOT"), "UBOT", "phantom")
		if utf8.ValidString(s) && !utf8.ValidString(got) {
			t.Errorf("Plain(%q) = %q is no text", s, got)
		}
		if mrkdwn.Plain(mrkdwn.Escape(s), "UBOT", "phantom") != s {
			t.Errorf("an escaped %q is read as %q", s, mrkdwn.Plain(mrkdwn.Escape(s), "UBOT", "phantom"))
		}
	})
}

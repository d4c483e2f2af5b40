package markup

import (
	"testing"

	"phantom/internal/channel/telegram/telegramtest"
)

func TestRender(t *testing.T) {
	for _, row := range []struct{ why, markdown, want string }{
		{"plain words keep their marks", "a.b-c (d)! 1+1=2 #x |y| {z}", `a\.b\-c \(d\)\! 1\+1\=2 \#x \|y\| \{z\}`},
		{"bold, italic, struck", "**b** *i* ~~s~~", "*b* _i_ ~s~"},
		{"bold in bold is one", "**a **b** c**", "*a b c*"},
		{"bold italic", "***x***", "_*x*_"},
		{"italics side by side are no underline", "*a*_b_", "_a_\u200b_b_"},
		{"snake case is a word", "snake_case_word", `snake\_case\_word`},
		{"a heading is bold, also one that is", "## The **end**", "*The end*"},
		{"code in a line", "run `a_b \\ c`", "run `a_b \\\\ c`"},
		{"a block of code keeps its language and its marks", "```go\nx := `a`\n```", "```go\nx := \\`a\\`\n```"},
		{"a language that is none is left out", "```a b{c}\nx\n```", "```a\nx\n```"},
		{"a list", "- a\n- b\n  - c", "• a\n• b\n  • c"},
		{"a numbered list goes on from its number", "3. a\n4. b", "3\\. a\n4\\. b"},
		{"code in a list is not moved", "- a\n  ```\n  x\n   y\n  ```", "• a\n```\nx\n y\n```"},
		{"tasks", "- [x] done\n- [ ] open", "• ☑ done\n• ☐ open"},
		{"a link", "[a_b](https://x.org/a_(b))", `[a\_b](https://x.org/a_(b\))`},
		{"a link to a file is words", "[a](docs/a.md)", `a \(docs/a\.md\)`},
		{"a link that would run something is words", "[a](javascript:x)", `a \(javascript:x\)`},
		{"an address", "<https://x.org>", `https://x\.org`},
		{"an image", "![alt](https://x.org/i.png)", "[alt](https://x.org/i.png)"},
		{"a quote", "> a\n> b\n>\n> c", ">a\n>b\n>\n>c"},
		{"code in a quote is words", "> ```\n> x.y\n> ```", `>x\.y`},
		{"a quote in a list has no line of its own", "- > a", "• a"},
		{"a table is code, in columns", "| a | bb |\n|---|---|\n| ccc | d |", "```\na   | bb\n----+---\nccc | d\n```"},
		{"a line across", "a\n\n---\n\nb", "a\n\n———\n\nb"},
		{"HTML is words", "a <b>c</b> & &amp; <script>", `a <b\>c</b\> & & <script\>`},
		{"escapes are meant", `\*a\* 2\. &lt;`, `\*a\* 2\. <`},
		{"hard and soft breaks", "a  \nb\nc", "a\nb\nc"},
	} {
		got := Render(row.markdown)
		if got != row.want {
			t.Errorf("%s: Render(%q) = %q, want %q", row.why, row.markdown, got, row.want)
		}
		if _, _, err := telegramtest.ParseMarkdown(got); err != nil {
			t.Errorf("%s: Telegram refuses %q: %v", row.why, got, err)
		}
	}
}

// samples are Markdown as models write it.
var samples = []string{
	"# Title\n\nSome **bold**, *italic* and `code`.\n\n```go\nfunc main() {}\n```\n\n- a\n- b\n",
	"1. one\n   ```sh\n   ls -l\n   ```\n2. two\n\n> quoted *text*\n> more",
	"| a | b |\n|---|:-:|\n| `x` | **y** |\n",
	"a *b **c** d* _e_ ~~f~~ [g](http://h) ![i](j) <http://k> <b>l</b>",
	"***a** b* **c *d***",
	"- [ ] a\n- > b\n  - ```\n    c\n    ```",
	"> - a\n>   > b\n>\n> ```\n> c\n> ```\n\n> d",
	"a_b*c`d~e[f]g(h)i>j#k+l-m=n|o{p}q.r!s\\t",
	"<div>\na\n</div>\n\n<!-- b -->\nc",
	"*a*_b_*c* `d``e` ~~f~~~~g~~",
	"```\nunclosed *a*",
	"    indented `code`\n\n\tmore",
	"**a\n> b**\n",
	"&#42;a&#42; &lt;b&gt; \\[c\\]",
}

func FuzzRender(f *testing.F) {
	for _, s := range samples {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 1<<12 {
			return
		}
		rendered := Render(s)
		if _, _, err := telegramtest.ParseMarkdown(rendered); err != nil {
			t.Fatalf("Telegram refuses %q, made of %q: %v", rendered, s, err)
		}
	})
}

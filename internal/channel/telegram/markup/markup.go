// Package markup makes of Markdown what Telegram shows.
//
// It owns the form that each part of a text gets there, and which characters
// are escaped where, so that no text is refused and no word is read as a mark.
// It refuses nothing: what Telegram has no form for becomes plain words.
package markup

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	table "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// Render makes MarkdownV2 of Markdown: what Telegram has no form for, such as
// headings, lists and tables, gets the nearest that it has. No word is lost but
// the definitions of links.
func Render(markdown string) string {
	source := []byte(markdown)
	parser := goldmark.New(goldmark.WithExtensions(extension.Table, extension.Strikethrough, extension.TaskList)).Parser()
	r := &renderer{source: source}
	return strings.TrimRight(r.blocks(parser.Parse(text.NewReader(source)), "\n\n"), "\n")
}

// renderer renders one text. What it returns is escaped.
type renderer struct {
	source []byte
	bold   int // how many bold ones the text stands in: Telegram refuses one in another
	italic int
	struck int
	quoted int // how many quotes: it refuses a block of code in one
	listed int // how many lists: there a quote has no line of its own
}

// blocks renders the blocks below a node.
func (r *renderer) blocks(parent ast.Node, between string) string {
	var parts []string
	for n := parent.FirstChild(); n != nil; n = n.NextSibling() {
		if part := r.block(n); part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, between)
}

func (r *renderer) block(n ast.Node) string {
	switch n := n.(type) {
	case *ast.Heading:
		return r.marked(n, "*", &r.bold)
	case *ast.ThematicBreak:
		return "———"
	case *ast.Blockquote:
		return r.quote(n)
	case *ast.List:
		return r.list(n)
	case *ast.FencedCodeBlock:
		return r.code(lines(n.Lines(), r.source), string(n.Language(r.source)))
	case *ast.CodeBlock:
		return r.code(lines(n.Lines(), r.source), "")
	case *ast.HTMLBlock:
		return escape(strings.TrimRight(lines(n.Lines(), r.source)+closing(n, r.source), "\n"))
	case *table.Table:
		return r.table(n)
	}
	if n.Type() == ast.TypeBlock && n.FirstChild() != nil && n.FirstChild().Type() == ast.TypeBlock {
		return r.blocks(n, "\n\n")
	}
	return strings.TrimSpace(r.inline(n))
}

func lines(segments *text.Segments, source []byte) string {
	var b strings.Builder
	for i := range segments.Len() {
		line := segments.At(i)
		b.Write(line.Value(source))
	}
	return b.String()
}

// closing is the last line of a block of HTML, which stands apart.
func closing(n *ast.HTMLBlock, source []byte) string {
	if !n.HasClosure() {
		return ""
	}
	return string(n.ClosureLine.Value(source))
}

func (r *renderer) quote(n ast.Node) string {
	r.quoted++
	inner := r.blocks(n, "\n\n")
	r.quoted--
	if r.quoted > 0 || r.listed > 0 || inner == "" {
		return inner
	}
	return ">" + strings.ReplaceAll(inner, "\n", "\n>")
}

func (r *renderer) list(n *ast.List) string {
	r.listed++
	defer func() { r.listed-- }()
	number, items := n.Start, []string{}
	for item := n.FirstChild(); item != nil; item = item.NextSibling() {
		mark := "• "
		if n.IsOrdered() {
			mark = strconv.Itoa(number) + "\\. "
			number++
		}
		body := r.blocks(item, "\n")
		items = append(items, mark+indented(body))
	}
	return strings.Join(items, "\n")
}

// indented moves all lines but the first to the right, except those of code,
// whose spaces are words.
func indented(body string) string {
	var b strings.Builder
	code := false
	for i, line := range strings.Split(body, "\n") {
		if i > 0 {
			b.WriteByte('\n')
			if !code && line != "" && !strings.HasPrefix(line, "```") {
				b.WriteString("  ")
			}
		}
		if strings.HasPrefix(line, "```") {
			code = !code
		}
		b.WriteString(line)
	}
	return b.String()
}

var language = regexp.MustCompile(`^[A-Za-z0-9+#_.-]{1,32}$`)

func (r *renderer) code(body, lang string) string {
	body = strings.TrimRight(body, "\n")
	if strings.TrimSpace(body) == "" {
		return ""
	}
	if r.quoted > 0 {
		return escape(body)
	}
	if !language.MatchString(lang) {
		lang = ""
	}
	return "```" + lang + "\n" + escapeCode(body) + "\n```"
}

// table renders a table as code, with its columns in line.
func (r *renderer) table(n ast.Node) string {
	var cells [][]string
	var widths []int
	for line := n.FirstChild(); line != nil; line = line.NextSibling() {
		var row []string
		for cell := line.FirstChild(); cell != nil; cell = cell.NextSibling() {
			words := strings.TrimSpace(r.plain(cell))
			if len(row) == len(widths) {
				widths = append(widths, 0)
			}
			widths[len(row)] = max(widths[len(row)], utf8.RuneCountInString(words))
			row = append(row, words)
		}
		cells = append(cells, row)
	}
	var b strings.Builder
	for i, row := range cells {
		var line strings.Builder
		for k, words := range row {
			if k > 0 {
				line.WriteString(" | ")
			}
			line.WriteString(words + strings.Repeat(" ", widths[k]-utf8.RuneCountInString(words)))
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
		if i == 0 {
			for k, width := range widths {
				b.WriteString(strings.Repeat("-", width))
				if k < len(widths)-1 {
					b.WriteString("-+-")
				}
			}
			b.WriteByte('\n')
		}
	}
	return r.code(b.String(), "")
}

// inline renders what stands in a line.
func (r *renderer) inline(parent ast.Node) string {
	var b strings.Builder
	for n := parent.FirstChild(); n != nil; n = n.NextSibling() {
		part := r.span(n)
		if strings.HasPrefix(part, "_") && strings.HasSuffix(b.String(), "_") {
			b.WriteString("\u200b") // two of them side by side are another mark
		}
		b.WriteString(part)
	}
	return b.String()
}

func (r *renderer) span(n ast.Node) string {
	switch n := n.(type) {
	case *ast.Text:
		words := escape(meant(n.Segment.Value(r.source)))
		if n.SoftLineBreak() || n.HardLineBreak() {
			words += "\n"
		}
		return words
	case *ast.String:
		return escape(string(n.Value))
	case *ast.CodeSpan:
		return "`" + escapeCode(r.plain(n)) + "`"
	case *ast.Emphasis:
		if n.Level == 1 {
			return r.marked(n, "_", &r.italic)
		}
		return r.marked(n, "*", &r.bold)
	case *table.Strikethrough:
		return r.marked(n, "~", &r.struck)
	case *table.TaskCheckBox:
		return map[bool]string{true: "☑ ", false: "☐ "}[n.IsChecked]
	case *ast.Link:
		return r.link(r.inline(n), string(n.Destination))
	case *ast.Image:
		return r.link(r.inline(n), string(n.Destination))
	case *ast.AutoLink:
		return escape(string(n.Label(r.source)))
	case *ast.RawHTML:
		return escape(lines(n.Segments, r.source))
	}
	return r.inline(n)
}

// marked puts a mark around what stands below a node, unless it stands in one
// of the same kind.
func (r *renderer) marked(n ast.Node, mark string, depth *int) string {
	*depth++
	inner := r.inline(n)
	*depth--
	if *depth > 0 || strings.TrimSpace(inner) == "" {
		return inner
	}
	return mark + inner + mark
}

// link renders a link that Telegram takes, and any other as words.
func (r *renderer) link(words, destination string) string {
	destination = meant([]byte(destination))
	lower := strings.ToLower(destination)
	known := strings.HasPrefix(lower, "https://") || strings.HasPrefix(lower, "http://") || strings.HasPrefix(lower, "mailto:")
	switch {
	case strings.TrimSpace(words) == "":
		return escape(destination)
	case !known && destination == "", words == escape(destination):
		return words
	case !known:
		return words + escape(" ("+destination+")")
	}
	return "[" + words + "](" + strings.NewReplacer(`\`, `\\`, `)`, `\)`).Replace(destination) + ")"
}

// plain is the text below a node without any form.
func (r *renderer) plain(parent ast.Node) string {
	var b strings.Builder
	for n := parent.FirstChild(); n != nil; n = n.NextSibling() {
		switch n := n.(type) {
		case *ast.Text:
			if _, code := parent.(*ast.CodeSpan); code {
				b.Write(bytes.ReplaceAll(n.Segment.Value(r.source), []byte("\n"), []byte(" ")))
			} else {
				b.WriteString(meant(n.Segment.Value(r.source)))
			}
			if n.SoftLineBreak() || n.HardLineBreak() {
				b.WriteByte(' ')
			}
		case *ast.String:
			b.Write(n.Value)
		case *ast.AutoLink:
			b.Write(n.Label(r.source))
		case *ast.RawHTML:
			b.WriteString(lines(n.Segments, r.source))
		case *ast.Link:
			b.WriteString(r.plain(n))
			if d := string(n.Destination); d != "" && d != r.plain(n) {
				b.WriteString(" (" + d + ")")
			}
		default:
			b.WriteString(r.plain(n))
		}
	}
	return b.String()
}

// meant is what a stretch of Markdown text stands for.
func meant(raw []byte) string {
	return string(util.ResolveEntityNames(util.ResolveNumericReferences(util.UnescapePunctuations(raw))))
}

var special = strings.NewReplacer(func() []string {
	var pairs []string
	for _, c := range "\\_*[]()~`>#+-=|{}.!" {
		pairs = append(pairs, string(c), `\`+string(c))
	}
	return pairs
}()...)

var specialCode = strings.NewReplacer("`", "\\`", `\`, `\\`)

func escape(s string) string     { return special.Replace(s) }
func escapeCode(s string) string { return specialCode.Replace(s) }

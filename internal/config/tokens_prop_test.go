package config_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"phantom/internal/config"
	"phantom/internal/phantom"
)

// hostile are comments that read like what they are not.
var hostile = []string{
	"# plain", "#", "# tokens: []", "#tokens:", "# - client: x", "# }", "# ]", "# ], [{", "# 'a", "# \"b", "# a, b: c", "# é ☃ \U0001F511", "# ---", "# \\", "# {client: a}", "# tab\there", "# #",
}

// drawMCP writes a file with n tokens as an owner might, and returns it with
// its comments and, of those, the ones inside the lines of each token.
func drawMCP(t *rapid.T, n int) (text string, comments []string, inside map[int][]string) {
	inside = map[int][]string{}
	token := -1 // whose lines are being written
	nl := rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "line end")
	var out strings.Builder
	number := 0
	comment := func() string {
		if !rapid.Bool().Draw(t, "comment") {
			return ""
		}
		number++
		c := fmt.Sprintf("%s c%d.", rapid.SampledFrom(hostile).Draw(t, "text"), number) // each is found again
		comments = append(comments, c)
		inside[token] = append(inside[token], c)
		return c
	}
	alone := func(indent string) {
		for range rapid.IntRange(0, 2).Draw(t, "lines between") {
			if c := comment(); c != "" {
				out.WriteString(indent + c)
			}
			out.WriteString(nl)
		}
	}
	end := func() {
		if c := comment(); c != "" {
			out.WriteString(" " + c)
		}
		out.WriteString(nl)
	}
	quoted := func(s string) string {
		return rapid.SampledFrom([]string{"'" + s + "'", `"` + s + `"`, s}).Draw(t, "quotes")
	}
	pairs := func(i int) [][2]string {
		all := [][2]string{{"client", quoted(fmt.Sprintf("client-%d", i))}, {"hash", quoted(hash(fmt.Sprintf("%x", i)))}, {"scope", quoted("read")}}
		if rapid.Bool().Draw(t, "created") {
			all = append(all, [2]string{"created", quoted("2026-01-01T00:00:00Z")})
		}
		if rapid.Bool().Draw(t, "expires") {
			all = append(all, [2]string{"expires", quoted("2027-01-01T00:00:00Z")})
		}
		if rapid.Bool().Draw(t, "tools") {
			all = append(all, [2]string{"tools", "[a, 'b']"})
		}
		return rapid.Permutation(all).Draw(t, "order")
	}
	inline := func(i int) string {
		var parts []string
		for _, p := range pairs(i) {
			parts = append(parts, p[0]+": "+p[1])
		}
		return "{" + strings.Join(parts, rapid.SampledFrom([]string{", ", " , ", ","}).Draw(t, "comma")) + "}"
	}
	limit := func() {
		if rapid.Bool().Draw(t, "in braces") {
			out.WriteString("rate_limit: {burst: 3}")
			end()
			return
		}
		out.WriteString("rate_limit:")
		end()
		out.WriteString("  burst: 3")
		end()
	}
	where := rapid.IntRange(0, 2).Draw(t, "rate_limit")
	alone("")
	if where == 0 {
		limit()
	}
	if rapid.Bool().Draw(t, "brackets") {
		out.WriteString("tokens: [")
		for i := range n {
			if rapid.Bool().Draw(t, "line") {
				end()
				out.WriteString("  ")
			}
			out.WriteString(inline(i))
			if i < n-1 {
				out.WriteString(",")
			}
			out.WriteString(" ")
		}
		out.WriteString("]")
		end()
	} else {
		indent := strings.Repeat(" ", rapid.IntRange(0, 4).Draw(t, "indent"))
		out.WriteString("tokens:")
		end()
		for i := range n {
			alone(indent)
			token = i
			lead := indent + "- "
			if rapid.Bool().Draw(t, "item in braces") {
				out.WriteString(lead + inline(i))
				end()
				token = -1
				continue
			}
			for _, p := range pairs(i) {
				out.WriteString(lead + p[0] + ": " + p[1])
				end()
				lead = indent + "  "
			}
			token = -1
			alone(lead)
		}
	}
	alone("")
	if where == 1 {
		limit()
	}
	text = out.String()
	if rapid.Bool().Draw(t, "no last line end") {
		text = strings.TrimSuffix(text, nl)
	}
	return text, comments, inside
}

// Whatever an owner writes around the tokens stays as it is when tokens come,
// change and go.
func TestEditsOfWhateverOwnersWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mcp.yaml")
	missing := func(text string, comments []string) (gone []string) {
		for _, c := range comments {
			if !strings.Contains(text, c) {
				gone = append(gone, c)
			}
		}
		return gone
	}
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 4).Draw(rt, "tokens")
		text, comments, inside := drawMCP(rt, n)
		write(t, path, text)
		if m, err := config.ReadMCP(path); err != nil || len(m.Tokens) != n {
			rt.Fatalf("%q is no file: %v", text, err)
		}
		edit := func(what string, decide func(config.MCP) (config.TokenEdit, error)) string {
			if err := config.EditMCP(t.Context(), path, decide); err != nil {
				rt.Fatalf("%s %q: %v", what, read(t, path), err)
			}
			return read(t, path)
		}
		added := config.Token{Client: "added", Hash: hash("f"), Scope: phantom.ScopeAdmin, Created: time.Unix(1e9, 0)}
		after := edit("add to", add(added))
		if gone := missing(after, comments); len(gone) > 0 {
			rt.Fatalf("%q became %q and lost %q", text, after, gone)
		}
		if back := edit("remove from", removeClient("added")); back != text {
			rt.Fatalf("%q became %q and then %q", text, after, back)
		}

		at := rapid.IntRange(0, n-1).Draw(rt, "changed")
		changed := edit("change", func(m config.MCP) (config.TokenEdit, error) {
			x := m.Tokens[at]
			x.Hash, x.Created, x.Expires = hash("e"), time.Unix(1e9, 0), time.Unix(2e9, 0)
			return config.TokenEdit{Change: map[int]config.Token{at: x}}, nil
		})
		if gone := missing(changed, comments); len(gone) > 0 {
			rt.Fatalf("%q became %q and lost %q", text, changed, gone)
		}

		write(t, path, text)
		removed := edit("remove from", removeClient(fmt.Sprintf("client-%d", at)))
		for _, c := range missing(removed, comments) {
			if !slices.Contains(inside[at], c) {
				rt.Fatalf("%q became %q and lost %q", text, removed, c)
			}
		}
		for i := range n {
			if i != at && !strings.Contains(removed, fmt.Sprintf("client-%d", i)) {
				rt.Fatalf("%q became %q and lost another client", text, removed)
			}
		}
	})
}

package collect

import (
	"html"
	"slices"
	"strconv"
	"strings"
	"time"

	"phantom/internal/vault"
)

// The pages are written by hand: what varies in them is a few texts, each of
// which goes through html.EscapeString, and a template engine would triple the
// size of what must be trusted here.

const style = `:root{color-scheme:light dark;--page:#f4f5f7;--card:#fff;--text:#1a1d24;--soft:#5a6272;--line:#c3c9d4;--accent:#3448c5;--on:#fff;--bad:#a3161f;--badbg:#fdecec}
@media(prefers-color-scheme:dark){:root{--page:#12141a;--card:#1b1e27;--text:#eceef3;--soft:#a5adbd;--line:#454c5c;--accent:#9aa8ff;--on:#12141a;--bad:#ffb0b0;--badbg:#3a1c20}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.5rem;background:var(--page);color:var(--text);font:1rem/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{width:100%;max-width:32rem;background:var(--card);border:1px solid var(--line);border-radius:14px;padding:clamp(1.25rem,5vw,2.25rem)}
h1{font-size:1.4rem;line-height:1.25;margin:0 0 .5rem}
p{margin:0 0 1rem}
.soft{color:var(--soft)}
.reason{border-left:3px solid var(--accent);padding:.1rem 0 .1rem .9rem;overflow-wrap:anywhere}
.bad{background:var(--badbg);color:var(--bad);border-radius:8px;padding:.7rem .9rem}
.field{margin:0 0 1.4rem}
label{display:block;font-weight:600;overflow-wrap:anywhere}
.hint{color:var(--soft);font-size:.9rem;margin:.1rem 0 .45rem;overflow-wrap:anywhere}
.row{display:flex;gap:.5rem}
input{flex:1;min-width:0;font:inherit;font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;color:inherit;background:transparent;border:1px solid var(--line);border-radius:8px;padding:.65rem .75rem}
button{font:inherit;font-weight:600;border-radius:8px;padding:.65rem 1rem;cursor:pointer;border:1px solid var(--line);background:transparent;color:inherit}
button.send{width:100%;background:var(--accent);border-color:var(--accent);color:var(--on)}
input:focus-visible,button:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
[hidden]{display:none}
code{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.92em}
.end{font-size:.9rem;margin:1.1rem 0 0}`

// script only shows and hides what is typed; the form works without it.
const script = `for(const b of document.querySelectorAll("button.show")){const i=document.getElementById(b.getAttribute("aria-controls"));b.hidden=false;b.addEventListener("click",()=>{const on=i.type==="password";i.type=on?"text":"password";b.setAttribute("aria-pressed",String(on));b.textContent=on?"Hide":"Show";i.focus()})}
for(const f of document.forms)f.addEventListener("submit",()=>{for(const i of f.querySelectorAll("input"))i.type="password"})`

func frame(title, body string) string {
	return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>` +
		html.EscapeString(title) + ` · Phantom</title><style>` + style + `</style></head><body><main><h1>` + html.EscapeString(title) + `</h1>` + body + `</main></body></html>`
}

// message is a page that says one thing.
func message(title, text string) string {
	return frame(title, `<p class="soft" role="status">`+html.EscapeString(text)+`</p>`)
}

// page is the form; problem says what was wrong with what was sent before.
// What was sent is not shown again.
func page(f vault.Form, problem string) string {
	var b strings.Builder
	b.WriteString(`<p class="soft">Phantom asks for a secret. What you type is stored encrypted; the model sees its name only.</p>`)
	if f.Reason != "" {
		b.WriteString(`<p class="reason"><span class="soft">Phantom says why:</span> ` + html.EscapeString(f.Reason) + `</p>`)
	}
	if problem != "" {
		b.WriteString(`<p class="bad" role="alert">` + html.EscapeString(problem) + `</p>`)
	}
	b.WriteString(`<form method="post" autocomplete="off">`)
	for i, field := range f.Fields {
		writeField(&b, i, field, slices.Contains(f.Stored, field.Name))
	}
	b.WriteString(`<button class="send" type="submit">Store</button></form><p class="soft end">The link works once, until ` +
		html.EscapeString(f.Expires.UTC().Format("15:04 MST")) + ` (` + strconv.Itoa(max(1, int(time.Until(f.Expires).Round(time.Minute)/time.Minute))) +
		` min). If you did not expect it, close this page.</p><script>` + script + `</script>`)
	return frame("A secret for Phantom", b.String())
}

func writeField(b *strings.Builder, i int, f vault.Field, stored bool) {
	n := strconv.Itoa(i)
	label := f.Label
	if label == "" {
		label = f.Name
	}
	use := "Only commands that you approve can use it."
	if len(f.Hosts) > 0 {
		use = "Sent in requests to " + strings.Join(f.Hosts, ", ") + "; commands can use it only with your approval."
	}
	if stored {
		use += " It replaces the value that is stored under this name."
	}
	b.WriteString(`<div class="field"><label for="f` + n + `">` + html.EscapeString(label) + `</label><p class="hint" id="h` + n + `"><code>` +
		html.EscapeString(f.Name) + `</code>: ` + html.EscapeString(use) + `</p><div class="row"><input id="f` + n + `" name="` + html.EscapeString(f.Name) +
		`" type="password" required minlength="8" autocomplete="off" autocapitalize="none" autocorrect="off" spellcheck="false" aria-describedby="h` + n +
		`"><button class="show" type="button" hidden aria-pressed="false" aria-label="Show ` + html.EscapeString(label) + `" aria-controls="f` + n + `">Show</button></div></div>`)
}

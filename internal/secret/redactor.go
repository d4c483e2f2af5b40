package secret

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// minExact is the shortest value, in bytes, that is looked for literally: a
// shorter one stands in too many innocent words.
const minExact = 8

// Redactor removes secrets from text: first every value it was told, in the
// encodings in which values leak, then whatever looks like a known kind of
// secret. It is safe for concurrent use.
type Redactor struct {
	mu    sync.RWMutex // guards what follows
	exact *strings.Replacer
	known map[string]struct{} // every form of every value
	limit int                 // length of the longest form
}

// NewRedactor returns a Redactor that knows the values.
func NewRedactor(values ...Value) *Redactor {
	r := &Redactor{known: map[string]struct{}{}}
	r.Add(values...)
	return r
}

// Add makes values known.
func (r *Redactor) Add(values ...Value) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range values {
		for _, form := range forms(v.Reveal()) {
			r.known[form] = struct{}{}
			r.limit = max(r.limit, len(form))
		}
	}
	ordered := make([]string, 0, len(r.known))
	for form := range r.known {
		ordered = append(ordered, form)
	}
	// Longer forms first: a value must not hide behind one of its own parts.
	slices.SortFunc(ordered, func(a, b string) int { return len(b) - len(a) })
	pairs := make([]string, 0, 2*len(ordered))
	for _, form := range ordered {
		pairs = append(pairs, form, redacted)
	}
	r.exact = strings.NewReplacer(pairs...)
}

// forms returns a value in every encoding that is looked for.
func forms(v string) []string {
	if len(v) < minExact {
		return nil
	}
	reversed := []byte(v)
	slices.Reverse(reversed)
	quoted, err := json.Marshal(v)
	if err != nil {
		quoted = []byte(`""`) // a string always marshals
	}
	all := []string{
		v, string(reversed), hex.EncodeToString([]byte(v)), strings.ToUpper(hex.EncodeToString([]byte(v))),
		url.QueryEscape(v), url.PathEscape(v), strings.Trim(string(quoted), `"`),
	}
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for shift := range 3 {
			all = append(all, base64Core(enc, v, shift))
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	return slices.DeleteFunc(all, func(f string) bool { return len(f) < minExact })
}

// base64Core encodes v as it appears when shift bytes stand before it in the
// encoded text: only the characters that depend on v alone are kept.
func base64Core(enc *base64.Encoding, v string, shift int) string {
	encoded := enc.EncodeToString(append(make([]byte, shift), v...))
	first := (shift*8 + 5) / 6
	last := (shift + len(v)) * 8 / 6
	return encoded[first:last]
}

// patterns are the kinds of secrets that are known by their shape. Each begins
// with a literal, which the scan looks for before it tries the expression.
var patterns = compile([]kind{
	{"sk-", `sk-[A-Za-z0-9_-]{20,}`},
	{"phantom_", `phantom_[A-Za-z0-9]{20,}`},
	{"whsec_", `whsec_[A-Za-z0-9+/=_-]{16,}`},
	{"xox", `xox[abeoprs]-[A-Za-z0-9-]{10,}`},
	{"xapp-", `xapp-[A-Za-z0-9-]{10,}`},
	{"hooks.slack.com/", `hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/_-]{20,}`},
	{"ghp_", `ghp_[A-Za-z0-9]{30,}`},
	{"gho_", `gho_[A-Za-z0-9]{30,}`},
	{"ghu_", `ghu_[A-Za-z0-9]{30,}`},
	{"ghs_", `ghs_[A-Za-z0-9]{30,}`},
	{"ghr_", `ghr_[A-Za-z0-9]{30,}`},
	{"github_pat_", `github_pat_[A-Za-z0-9_]{30,}`},
	{"glpat-", `glpat-[A-Za-z0-9_-]{20,}`},
	{"AKIA", `AKIA[A-Z0-9]{16}`},
	{"ASIA", `ASIA[A-Z0-9]{16}`},
	{"AIza", `AIza[A-Za-z0-9_-]{35}`},
	{"ya29.", `ya29\.[A-Za-z0-9_-]{20,}`},
	{"GOCSPX-", `GOCSPX-[A-Za-z0-9_-]{20,}`},
	{"sk_live_", `sk_live_[A-Za-z0-9]{16,}`},
	{"sk_test_", `sk_test_[A-Za-z0-9]{16,}`},
	{"rk_live_", `rk_live_[A-Za-z0-9]{16,}`},
	{"npm_", `npm_[A-Za-z0-9]{36}`},
	{"pypi-", `pypi-[A-Za-z0-9_-]{32,}`},
	{"dop_v1_", `dop_v1_[a-f0-9]{64}`},
	{"hvs.", `hvs\.[A-Za-z0-9_-]{20,}`},
	{"SG.", `SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}`},
	{"hf_", `hf_[A-Za-z0-9]{30,}`},
	{"shpat_", `shpat_[a-fA-F0-9]{32}`},
	{"dckr_pat_", `dckr_pat_[A-Za-z0-9_-]{20,}`},
	{"lin_api_", `lin_api_[A-Za-z0-9]{32,}`},
	{"AGE-SECRET-KEY-", `AGE-SECRET-KEY-1[A-Z0-9]{50,}`},
	{"eyJ", `eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}`},
	{":AA", `\b[0-9]{8,10}:AA[A-Za-z0-9_-]{30,}`},
	{"-----BEGIN", `-----BEGIN [A-Z ]*PRIVATE KEY-----[A-Za-z0-9+/=\s]*(?:-----END [A-Z ]*PRIVATE KEY-----)?`},
})

// keepHead are shapes of which only the last group is secret.
var keepHead = compile([]kind{
	{"://", `(://[^\s/:@]{0,64}:)([^\s/@]{3,})(@)`},
	{"uthorization", `((?i:authorization)["']?\s*[:=]\s*["']?(?i:bearer|basic|token)?\s*)([A-Za-z0-9._~+/=-]{8,})()`},
	{"earer ", `((?i:bearer) +)([A-Za-z0-9._~+/=-]{16,})()`},
	{"=", `((?i:[A-Z0-9_]*(?:_KEY|TOKEN|SECRET|PASSWORD|PASSWD))["']?\s*=\s*["']?)([^\s"'\[]{6,})()`},
	{":", `((?i:[A-Z0-9_]*(?:api_key|apikey|access_token|client_secret|password))["']?\s*:\s*["']?)([^\s"',\[]{6,})()`},
})

type kind struct {
	literal string
	shape   string
}

// pattern compiles its shape when its literal is seen for the first time: most
// texts hold few of them.
type pattern struct {
	literal string
	shape   func() *regexp.Regexp
}

func compile(kinds []kind) []pattern {
	all := make([]pattern, len(kinds))
	for i, k := range kinds {
		all[i] = pattern{k.literal, sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(k.shape) })}
	}
	return all
}

// String returns s without secrets.
func (r *Redactor) String(s string) string {
	r.mu.RLock()
	if len(r.known) > 0 {
		s = r.exact.Replace(s)
	}
	r.mu.RUnlock()
	for _, p := range patterns {
		if strings.Contains(s, p.literal) {
			s = p.shape().ReplaceAllLiteralString(s, redacted)
		}
	}
	for _, p := range keepHead {
		if strings.Contains(s, p.literal) {
			s = p.shape().ReplaceAllString(s, "${1}"+redacted+"${3}")
		}
	}
	return s
}

const (
	// window is how much of a stream is held back, in bytes, so that a value
	// cut by a chunk border is still seen whole; longer forms widen it.
	window = 4 << 10
	// flushAt is how much is gathered before a piece is written.
	flushAt = 32 << 10
)

// Writer returns a stream that passes text on without secrets, wherever the
// chunks are cut. Close writes the rest; it does not close w.
func (r *Redactor) Writer(w io.Writer) io.WriteCloser {
	return &stream{redactor: r, to: w}
}

type stream struct {
	redactor *Redactor
	to       io.Writer
	held     []byte
}

// Write implements io.Writer.
func (s *stream) Write(p []byte) (int, error) {
	s.held = append(s.held, p...)
	s.redactor.mu.RLock()
	keep := max(window, s.redactor.limit)
	s.redactor.mu.RUnlock()
	if len(s.held) < flushAt+keep {
		return len(p), nil
	}
	// What was redacted up to the cut must not depend on what follows: cut at
	// the last white space before the window, which no secret but a key block
	// spans, and keep a key block that has begun.
	cut := len(s.held) - keep
	if i := bytes.LastIndexAny(s.held[:cut], " \t\r\n"); i > 0 {
		cut = i
	}
	if i := bytes.LastIndex(s.held[:cut], []byte("-----BEGIN")); i >= 0 && !bytes.Contains(s.held[i:cut], []byte("-----END")) {
		cut = i
	}
	if cut == 0 || len(s.held)-cut > 64*flushAt {
		cut = len(s.held) - keep
	}
	if _, err := io.WriteString(s.to, s.redactor.String(string(s.held[:cut]))); err != nil {
		return 0, err
	}
	s.held = append(s.held[:0], s.held[cut:]...)
	return len(p), nil
}

// Close implements io.Closer.
func (s *stream) Close() error {
	_, err := io.WriteString(s.to, s.redactor.String(string(s.held)))
	s.held = nil
	return err
}

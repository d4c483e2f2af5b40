package tool

import (
	"strings"
	"testing"

	"phantom/internal/phantom"
)

// Whatever a model sends as arguments is understood or refused, without a
// panic, and never allowed without having been judged.
func FuzzArguments(f *testing.F) {
	b := setUp(f, nil)
	for _, seed := range []string{
		`{}`, `null`, `[]`, `"x"`, `{"command":"echo hi"}`, `{"command":"a\u0000b","timeout_seconds":1e30}`, `{"path":"../config/phantom.yaml"}`,
		`{"path":"~"}`, `{"path":"f","content":""}`, `{"path":"f","old":"a","new":"b","all":true}`, `{"pattern":"{a,[b"}`, `{"pattern":"**/../*","path":"/"}`,
		`{"pattern":"(a{1000}){1000}"}`, `{"url":"http://[::1%25eth0]/"}`, `{"job":"job-1","wait_seconds":9223372036854775807}`, `{"text":"\ud800"}`, `{"path":`,
	} {
		f.Add([]byte(seed))
	}
	ctx := b.owner(f.Context())
	f.Fuzz(func(t *testing.T, input []byte) {
		for name, def := range b.tools {
			p, err := def.prepare(ctx, input)
			if err != nil {
				continue
			}
			if p.run == nil {
				t.Fatalf("%s %q: a plan that does nothing", name, input)
			}
			if p.verdict.Decision == phantom.Allow && (name == "read_file" || name == "write_file" || name == "edit_file") && !strings.HasPrefix(p.target+"/", b.path("")+"/") {
				t.Errorf("%s %q: allowed to open %q", name, input, p.target)
			}
		}
	})
}

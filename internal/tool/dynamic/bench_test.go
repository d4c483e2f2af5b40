package dynamic

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"phantom/internal/phantom"
)

// BenchmarkCall shows what a call of a tool costs over starting its program
// plainly with the same input: each round does both.
func BenchmarkCall(b *testing.B) {
	const input = `{"who":"you"}`
	for _, level := range levels {
		for _, row := range []struct {
			name  string
			tool  Tool
			plain []string
		}{
			{"shell", shell("it", "read -r line; echo $line"), []string{"bash", "-c", "read -r line; echo $line"}},
			{"sh script", script("it", "a.sh"), []string{"bash", "a.sh"}},
			{"python script", script("it", "a.py"), []string{"/usr/bin/python3", "a.py"}},
		} {
			b.Run(level.String()+"/"+row.name, func(b *testing.B) {
				w := setUp(b, level)
				w.put("a.sh", "read -r line; echo $line\n")
				w.put("a.py", "print(input())\n")
				w.keep(row.tool)
				ctx := phantom.WithPrincipal(b.Context(), operator)
				if got := w.call("it", input); got.Text != input {
					b.Fatalf("got %+v", got)
				}
				var took, plain []time.Duration
				for b.Loop() {
					b.StopTimer()
					<-time.After(30 * time.Millisecond) // between two calls of a client the sandbox gets its reserve ready
					began := time.Now()
					cmd := exec.CommandContext(b.Context(), row.plain[0], row.plain[1:]...)
					cmd.Dir, cmd.Stdin = w.path(""), strings.NewReader(input)
					if out, err := cmd.Output(); err != nil || len(out) == 0 {
						b.Fatal(string(out), err)
					}
					plain = append(plain, time.Since(began))
					b.StartTimer()
					began = time.Now()
					if got, err := w.Call(ctx, "it", []byte(input)); err != nil || got.Failed {
						b.Fatal(got, err)
					}
					took = append(took, time.Since(began))
				}
				slices.Sort(took)
				slices.Sort(plain)
				ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
				b.ReportMetric(ms(took[len(took)/2]), "p50-ms")
				b.ReportMetric(ms(took[len(took)/2]-plain[len(plain)/2]), "p50-over-plain-ms")
				b.ReportMetric(ms(took[len(took)*95/100]), "p95-ms")
			})
		}
	}
}

// BenchmarkPrepare shows what judging a call costs, without its program.
func BenchmarkPrepare(b *testing.B) {
	for name, tool := range map[string]Tool{"shell": shell("it", "read -r line; echo $line"), "python script": script("it", "a.py")} {
		b.Run(name, func(b *testing.B) {
			w := setUp(b, 0)
			w.put("a.py", strings.Repeat("print(input())\n", 200))
			w.keep(tool)
			for b.Loop() {
				if _, err := w.Prepare("it", []byte(`{"who":"you"}`)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

package sandbox

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// BenchmarkStart shows what a call costs over starting the program plainly.
func BenchmarkStart(b *testing.B) {
	b.Run("plain", func(b *testing.B) {
		for b.Loop() {
			if err := exec.Command("/bin/true").Run(); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, level := range []Level{None, Kernel, Full} {
		for _, profile := range []Profile{Computer, Tool} {
			b.Run(level.String()+"/"+string(profile), func(b *testing.B) {
				s := build(b, level, place(b))
				if _, err := s.Run(b.Context(), Spec{Profile: profile, Argv: []string{"/bin/true"}, Env: []string{path}}); err != nil {
					b.Fatal(err)
				}
				spec := Spec{Profile: profile, Argv: []string{"/bin/true"}, Env: []string{path}}
				var took, plain []time.Duration
				for b.Loop() {
					b.StopTimer() // between two calls of an agent a model thinks
					await(b, func() bool { return s.reserve() > 0 })
					<-time.After(20 * time.Millisecond) // it has come to the point where it waits
					start := time.Now()
					if err := exec.Command("/bin/true").Run(); err != nil {
						b.Fatal(err)
					}
					plain = append(plain, time.Since(start))
					b.StartTimer()
					start = time.Now()
					if exit, err := s.Run(b.Context(), spec); err != nil || exit.Code != 0 {
						b.Fatal(exit, err)
					}
					took = append(took, time.Since(start))
				}
				b.ReportMetric(p95(took), "p95-ms")
				b.ReportMetric(p95(took)-p95(plain), "p95-over-plain-ms")
				b.ReportMetric(p95(plain), "plain-p95-ms")
			})
		}
	}
}

// p95 is in milliseconds.
func p95(took []time.Duration) float64 {
	slices.Sort(took)
	return float64(took[len(took)*95/100].Microseconds()) / 1000
}

// reserve counts the helpers that wait for an order.
func (s *Sandbox) reserve() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.spare)
}

// BenchmarkTracker shows what the tracker costs: each round runs the same
// command without and with it, and the ratio of their times is printed.
func BenchmarkTracker(b *testing.B) {
	c := place(b)
	module := filepath.Join(c.Workspace, "module")
	setUp := exec.Command("bash", "-ec", `mkdir -p "$0"; cd "$0"; git init -q .
for i in $(seq 200); do mkdir -p d$((i % 20)); echo "package d$((i % 20))" > d$((i % 20))/f$i.go; done
printf 'module small\n\ngo 1.24\n' > go.mod; git add .; git -c user.name=a -c user.email=a@b commit -qm one`, module)
	if out, err := setUp.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	rows := []struct{ name, script string }{
		{"one open", `exec 3< go.mod`},
		{"10000 opens", `python3 -c 'for i in range(10000): open("go.mod").close()'`},
		{"git status", `git status --short`},
		{"go vet", `GOFLAGS=-mod=mod GOPROXY=off go vet ./d1 ./d2`},
		{"compile and run", `printf 'int main(){return 0;}' > a.c && cc a.c -o a && ./a`},
	}
	for _, level := range trackedLevels {
		s := build(b, level, c)
		for _, row := range rows {
			b.Run(level.String()+"/"+row.name, func(b *testing.B) {
				spec := Spec{
					Profile: Computer, Argv: []string{"bash", "-c", row.script}, Dir: module, Network: true,
					Env: []string{path + ":/usr/local/go/bin", "HOME=" + c.Workspace, "TMPDIR=" + c.Workspace},
				}
				var out bytes.Buffer
				spec.Stdout, spec.Stderr = &out, &out
				run := func(track bool) time.Duration {
					s.tracks = track
					out.Reset()
					await(b, func() bool { return s.reserve() > 0 })
					start := time.Now()
					if exit, err := s.Run(b.Context(), spec); err != nil || exit.Code != 0 || exit.Tracked != track {
						b.Fatal(exit, err, out.String())
					}
					return time.Since(start)
				}
				if _, err := s.Run(b.Context(), spec); err != nil {
					b.Fatal(err)
				}
				var off, on []time.Duration
				for b.Loop() {
					off, on = append(off, run(false)), append(on, run(true))
				}
				slices.Sort(off)
				slices.Sort(on)
				without, with := off[len(off)/2], on[len(on)/2]
				b.ReportMetric(float64(without.Microseconds())/1000, "off-ms")
				b.ReportMetric(float64(with.Microseconds())/1000, "on-ms")
				b.ReportMetric(float64(with)/float64(without), "ratio")
			})
		}
	}
}

package sandbox

import (
	"os/exec"
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
				var took []time.Duration
				for b.Loop() {
					b.StopTimer() // between two calls of an agent a model thinks
					await(b, func() bool { return s.reserve() > 0 })
					<-time.After(20 * time.Millisecond) // it has come to the point where it waits
					b.StartTimer()
					start := time.Now()
					if exit, err := s.Run(b.Context(), spec); err != nil || exit.Code != 0 {
						b.Fatal(exit, err)
					}
					took = append(took, time.Since(start))
				}
				slices.Sort(took)
				b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "p95-ms")
			})
		}
	}
}

// reserve counts the helpers that wait for an order.
func (s *Sandbox) reserve() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.spare)
}

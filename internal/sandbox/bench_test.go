package sandbox

import (
	"os/exec"
	"testing"
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
				spec := Spec{Profile: profile, Argv: []string{"/bin/true"}, Env: []string{path}}
				for b.Loop() {
					if exit, err := s.Run(b.Context(), spec); err != nil || exit.Code != 0 {
						b.Fatal(exit, err)
					}
				}
			})
		}
	}
}

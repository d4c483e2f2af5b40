package embed

import (
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// sentence has 20 words.
const sentence = "Please remind me on Thursday morning to send the signed contract for the new office to our lawyer in Hamburg."

// BenchmarkEncode measures a sentence of 20 words on one core.
func BenchmarkEncode(b *testing.B) {
	e := New()
	if _, err := e.Encode(b.Context(), sentence); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	began := used(b)
	for b.Loop() {
		if _, err := e.Encode(b.Context(), sentence); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(milliseconds(used(b)-began, b.N), "ms-cpu-embed")
	b.ReportMetric(milliseconds(b.Elapsed(), b.N), "ms-embed")
}

// BenchmarkEncodeByLength shows how the time grows with the words.
func BenchmarkEncodeByLength(b *testing.B) {
	for _, words := range []int{1, 5, 10, 20, 50, 100} {
		b.Run(fmt.Sprint(words), func(b *testing.B) {
			e, text := New(), strings.Repeat("word ", words)
			if _, err := e.Encode(b.Context(), text); err != nil {
				b.Fatal(err)
			}
			began := used(b)
			for b.Loop() {
				if _, err := e.Encode(b.Context(), text); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(milliseconds(used(b)-began, b.N), "ms-cpu")
		})
	}
}

// BenchmarkNew measures what the start of the program pays.
func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		New()
	}
}

// BenchmarkFirstEncode measures what the first sentence pays: the weights are
// checked and read. It reports what stays on the heap; the weights themselves
// are pages of the binary.
func BenchmarkFirstEncode(b *testing.B) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var e *Encoder
	began := used(b)
	for b.Loop() {
		e = New()
		if _, err := e.Encode(b.Context(), sentence); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(milliseconds(used(b)-began, b.N), "ms-cpu-embed-first")
	b.ReportMetric(milliseconds(b.Elapsed(), b.N), "ms-embed-first")
	runtime.GC()
	runtime.GC() // pools are emptied by the second
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "MB-embed-heap")
	runtime.KeepAlive(e)
}

// used is the processor time of this process. On a machine that has other work
// to do it says more than the clock.
func used(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func milliseconds(d time.Duration, n int) float64 { return float64(d) / float64(n) / 1e6 }

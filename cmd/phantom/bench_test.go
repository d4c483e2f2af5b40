package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"phantom/internal/control"
	"phantom/internal/llm/wiretest"
	"phantom/internal/phantom"
)

// product builds the program as `make build` does and returns an install that
// runs it, so that what is measured is what is shipped.
func product(b *testing.B, script wiretest.Script) *install {
	b.Helper()
	i := newInstall(b, script, "spend: {per_day_usd: 100000}\n")
	i.binary = shipped(b)
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} { // so that settings can be compared
		if value, ok := os.LookupEnv(name); ok {
			i.env = append(i.env, name+"="+value)
		}
	}
	return i
}

// spread reports the median and the 99th percentile in milliseconds.
func spread(b *testing.B, name string, times []time.Duration) {
	b.Helper()
	slices.Sort(times)
	ms := func(p int) float64 { return times[min(len(times)*p/100, len(times)-1)].Seconds() * 1000 }
	b.ReportMetric(ms(50), "ms-"+name+"-p50")
	b.ReportMetric(ms(99), "ms-"+name+"-p99")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkColdStart is the time from exec to the first healthy answer, on a
// home that exists; and what the process weighs.
func BenchmarkColdStart(b *testing.B) {
	i := product(b, nil)
	i.start().end()
	var times []time.Duration
	url := "http://127.0.0.1:" + i.port() + "/health"
	for b.Loop() {
		began := time.Now()
		d := i.spawn()
		for {
			resp, err := http.Get(url)
			if err == nil {
				resp.Body.Close()
				if resp.StatusCode == http.StatusOK {
					break
				}
			}
			if time.Since(began) > 30*time.Second {
				b.Fatalf("no healthy answer:\n%s", d.logs)
			}
			time.Sleep(200 * time.Microsecond)
		}
		times = append(times, time.Since(began))
		d.end()
	}
	spread(b, "start", times)
	d := i.start()
	time.Sleep(3 * time.Second) // idle
	b.ReportMetric(d.resident(b), "MB-idle")
	d.end()
	info, err := os.Stat(i.binary)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(info.Size())/1e6, "MB-binary")
}

// resident is the process's resident memory in megabytes.
func (d *instance) resident(b *testing.B) float64 {
	b.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(raw), "VmRSS:")
	var kb int
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		b.Fatal(err)
	}
	return float64(kb) / 1000
}

// BenchmarkTurn is what a turn costs beside the model: from the message's
// intake to the request at the model's server, and from the model's last byte
// to the reply in the terminal's durable log.
func BenchmarkTurn(b *testing.B) {
	asked := make(chan time.Time, 1)
	i := product(b, func(wiretest.Request) wiretest.Answer {
		asked <- time.Now()
		return wiretest.Answer{Text: "x"}
	})
	d := i.start()
	client := d.client()
	defer client.Close()
	var before, after, both []time.Duration
	for b.Loop() {
		conversation := phantom.NewID()
		began := time.Now()
		var arrived, streamed, delivered time.Time
		for e, err := range client.Ask(b.Context(), control.Message{Conversation: conversation, Identity: conversation, Text: "hello"}) {
			if err != nil {
				b.Fatal(err)
			}
			switch e.Kind {
			case control.EventText:
				streamed = time.Now()
			case control.EventReply:
				delivered = time.Now()
			}
		}
		arrived = <-asked
		before, after = append(before, arrived.Sub(began)), append(after, delivered.Sub(streamed))
		both = append(both, arrived.Sub(began)+delivered.Sub(streamed))
	}
	spread(b, "intake", before)
	spread(b, "delivery", after)
	spread(b, "overhead", both)
	d.end()
}

// BenchmarkStop is the time from the owner's stop to the end of the turn, with
// every process that it started gone, against a model that never stops.
func BenchmarkStop(b *testing.B) {
	const seconds = "1000.75"
	i := product(b, endless(seconds))
	d := i.start()
	client := d.client()
	defer client.Close()
	var times []time.Duration
	for b.Loop() {
		conversation := phantom.NewID()
		var began time.Time
		for e, err := range client.Ask(b.Context(), control.Message{Conversation: conversation, Identity: conversation, Text: "work"}) {
			if err != nil {
				b.Fatal(err)
			}
			if e.Kind == control.EventStarted {
				awaitSleepers(b, seconds, 2)
				began = time.Now()
				if _, err := client.Stop(b.Context(), conversation); err != nil {
					b.Fatal(err)
				}
			}
		}
		times = append(times, time.Since(began))
		if left := sleepers(b, seconds); len(left) > 0 {
			b.Fatalf("%d processes outlived the stop", len(left))
		}
	}
	spread(b, "stop", times)
	d.end()
}

// shipped builds the program as `make build` does.
func shipped(t testing.TB) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "phantom")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binary, "phantom/cmd/phantom")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return binary
}

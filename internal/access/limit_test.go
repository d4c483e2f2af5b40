package access_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// header is a wait as Retry-After says it.
func header(wait time.Duration) int { return int(math.Ceil(wait.Seconds())) }

// spend takes requests one by one until there are none, and returns how many
// there were.
func (w world) spend(client string) (n int) {
	for n < 10_000 {
		if _, ok := w.Take(client, 1); !ok {
			return n
		}
		n++
	}
	return n
}

func clients(names ...string) string {
	var content strings.Builder
	content.WriteString("tokens:\n")
	for _, name := range names {
		content.WriteString(line(name, tokenOf(name), "scope: read"))
	}
	return content.String()
}

// Sixty a minute with a burst of ten: ten at once, the eleventh waits a second.
func TestTraceOfAClient(t *testing.T) {
	w := open(t, clients("a", "b"))
	synctest.Test(t, func(t *testing.T) {
		if n := w.spend("a"); n != 10 {
			t.Fatalf("%d at once, want 10", n)
		}
		if wait, ok := w.Take("a", 1); ok || header(wait) != 1 || wait != time.Second {
			t.Errorf("the eleventh: %v, %v, want a second", wait, ok)
		}
		if wait, _ := w.Take("a", 3); header(wait) != 3 {
			t.Errorf("three more: %v, want 3 seconds", wait)
		}
		if n := w.spend("b"); n != 10 {
			t.Errorf("another client had %d at once, want 10", n)
		}
		time.Sleep(time.Second - time.Millisecond)
		if wait, ok := w.Take("a", 1); ok || header(wait) != 1 {
			t.Errorf("a moment too early: %v, %v", wait, ok)
		}
		time.Sleep(time.Millisecond)
		if n := w.spend("a"); n != 1 {
			t.Errorf("after a second there were %d, want 1", n)
		}
		time.Sleep(2500 * time.Millisecond)
		if n := w.spend("a"); n != 2 {
			t.Errorf("after two and a half seconds there were %d, want 2", n)
		}
		if wait, _ := w.Take("a", 1); wait != 500*time.Millisecond {
			t.Errorf("the half is lost: %v, want half a second", wait)
		}
		time.Sleep(time.Hour)
		if n := w.spend("a"); n != 10 {
			t.Errorf("after an hour there were %d at once, want 10", n)
		}
	})
}

// A batch is charged whole or not at all; what is no number of requests, or
// no client, has nothing.
func TestTakeMoreAtOnce(t *testing.T) {
	w := open(t, clients("a"))
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			client string
			n      int
			want   bool
		}{{"a", 11, false}, {"a", 0, false}, {"a", -5, false}, {"a", math.MaxInt, false}, {"", 1, false}, {"b", 1, false}, {"a", 4, true}, {"a", 7, false}, {"a", 6, true}, {"a", 1, false}} {
			if wait, ok := w.Take(tt.client, tt.n); ok != tt.want || !ok && wait <= 0 {
				t.Errorf("Take(%q, %d) = %v, %v, want %v", tt.client, tt.n, wait, ok, tt.want)
			}
		}
	})
}

// Nothing that a client or the owner does about its token fills its bucket.
func TestNothingRefillsABucket(t *testing.T) {
	for name, changes := range map[string][]string{
		"authenticating again":       {clients("a")},
		"a rotated token":            {"tokens:\n" + line("a", tokenOf("x"), "scope: read") + line("a", tokenOf("a"), "scope: read, expires: 2000-01-02T00:00:00Z")},
		"another scope":              {"tokens:\n" + line("a", tokenOf("a"), "scope: admin")},
		"revoked and made anew":      {"tokens: []\n", clients("a")},
		"a file damaged in between":  {"tokens: [\n", clients("a")},
		"a file that was not there":  {"", clients("a")},
		"a larger burst":             {clients("a") + "rate_limit: {burst: 1000}\n"},
		"a burst that goes and ends": {clients("a") + "rate_limit: {burst: 1}\n", clients("a")},
	} {
		t.Run(name, func(t *testing.T) {
			w := open(t, clients("a"))
			synctest.Test(t, func(t *testing.T) {
				w.spend("a")
				began := time.Now()
				for _, content := range changes {
					w.write(t, content)
					time.Sleep(obeyed)
					w.lets(t, tokenOf("a"))
				}
				if n := w.spend("a"); n > int(time.Since(began).Seconds()) {
					t.Errorf("%d requests appeared", n)
				}
			})
		})
	}
}

// New rates hold for buckets that there are.
func TestRatesFollowTheFile(t *testing.T) {
	w := open(t, clients("a"))
	synctest.Test(t, func(t *testing.T) {
		w.write(t, clients("a")+"rate_limit: {requests_per_minute: 6, burst: 3}\n")
		time.Sleep(obeyed)
		if n := w.spend("a"); n != 3 {
			t.Errorf("%d at once, want 3", n)
		}
		if wait, _ := w.Take("a", 1); header(wait) != 10 {
			t.Errorf("the next after %v, want 10 seconds", wait)
		}
		w.write(t, clients("a")+"rate_limit: {requests_per_minute: 600, burst: 5}\n")
		time.Sleep(obeyed)
		w.lets(t, tokenOf("a"))
		time.Sleep(time.Minute)
		if n := w.spend("a"); n != 5 {
			t.Errorf("%d at once, want 5", n)
		}
	})
}

// Whoever waits as long as Retry-After says is served then, and whoever waits
// a second less is not, at every rate.
func TestRetryAfterIsRight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t, "")
		for rate := 1; rate <= 240; rate += 1 + rate/16 { // most of the low ones, where a wait is long
			client := fmt.Sprintf("c%d", rate)
			w.write(t, clients(client)+fmt.Sprintf("rate_limit: {requests_per_minute: %d, burst: %d}\n", rate, 1+rate%7))
			time.Sleep(obeyed)
			w.spend(client)
			wait, _ := w.Take(client, 1)
			seconds := header(wait)
			time.Sleep(time.Duration(seconds-1) * time.Second)
			if _, ok := w.Take(client, 1); ok {
				t.Errorf("%d a minute: served after %d s, told %d s", rate, seconds-1, seconds)
			}
			time.Sleep(time.Second)
			if wait, ok := w.Take(client, 1); !ok {
				t.Errorf("%d a minute: not served after %d s, told %v more", rate, seconds, wait)
			}
		}
	})
}

// Clients at once take what there is and no more.
func TestTakeAtOnce(t *testing.T) {
	w := open(t, clients("a", "b"))
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		got := map[string]int{}
		var all sync.WaitGroup
		for i := range 100 {
			client := []string{"a", "b"}[i%2]
			all.Go(func() {
				if _, ok := w.Take(client, 1); ok {
					mu.Lock()
					defer mu.Unlock()
					got[client]++
				}
			})
		}
		all.Wait()
		if got["a"] != 10 || got["b"] != 10 {
			t.Errorf("served %v, want 10 each", got)
		}
	})
}

// A source that fails is shut out, by its address or the network that it owns.
func TestTraceOfASource(t *testing.T) {
	address := netip.MustParseAddr
	w := open(t, "")
	synctest.Test(t, func(t *testing.T) {
		v4, v6 := address("192.0.2.1"), address("2001:db8::1")
		for i := range 10 {
			if _, ok := w.Admit(v4); !ok {
				t.Fatalf("shut out after %d failures", i)
			}
			w.Fail(v4)
			w.Fail(v6)
		}
		for from, want := range map[netip.Addr]bool{
			v4: false, address("::ffff:192.0.2.1"): false, address("192.0.2.2"): true,
			v6: false, address("2001:db8::ffff:ffff:ffff:ffff"): false, address("2001:db8::2%eth0"): false, address("2001:db8:0:1::1"): true,
		} {
			if wait, ok := w.Admit(from); ok != want || !ok && header(wait) != 6 {
				t.Errorf("Admit(%v) = %v, %v, want %v", from, wait, ok, want)
			}
		}
		time.Sleep(6 * time.Second)
		if _, ok := w.Admit(v4); !ok {
			t.Error("still shut out when the wait is over")
		}
		w.Fail(v4)
		if _, ok := w.Admit(v4); ok {
			t.Error("let in again at once")
		}
		for range 1000 { // that were admitted together
			w.Fail(v4)
		}
		if wait, ok := w.Admit(v4); ok || wait > 70*time.Second {
			t.Errorf("after a thousand failures at once: %v, %v, want about a minute", wait, ok)
		}
		time.Sleep(time.Hour)
		if _, ok := w.Admit(v4); !ok {
			t.Error("shut out for good")
		}
	})
}

// Callers whose address is not known share one bucket.
func TestSourcesWithoutAddress(t *testing.T) {
	w := open(t, "")
	synctest.Test(t, func(t *testing.T) {
		for range 10 {
			w.Fail(netip.Addr{})
		}
		if _, ok := w.Admit(netip.Addr{}); ok {
			t.Error("callers without address are never shut out")
		}
		if _, ok := w.Admit(loopback); !ok {
			t.Error("others pay for them")
		}
	})
}

// numbered is one of many addresses.
func numbered(n uint32) netip.Addr {
	var raw [4]byte
	binary.BigEndian.PutUint32(raw[:], 0x0a000000+n)
	return netip.AddrFrom4(raw)
}

// Ten thousand sources are told apart. Further ones share a bucket, so that no
// crowd makes a source that was shut out be forgotten.
func TestACrowdOfSources(t *testing.T) {
	w := open(t, "")
	synctest.Test(t, func(t *testing.T) {
		first := numbered(0)
		for range 10 {
			w.Fail(first)
		}
		for n := range uint32(20_000) {
			w.Fail(numbered(1 + n))
		}
		if _, ok := w.Admit(first); ok {
			t.Error("a crowd made a source be forgotten")
		}
		if _, ok := w.Admit(numbered(5)); !ok {
			t.Error("a source that failed once is shut out")
		}
		if wait, ok := w.Admit(numbered(15_000)); ok || wait > 70*time.Second {
			t.Errorf("one of the crowd that has no room: %v, %v, want about a minute", wait, ok)
		}
		time.Sleep(2 * time.Minute)
		for range 10 {
			w.Fail(numbered(30_000))
		}
		if _, ok := w.Admit(numbered(30_000)); ok {
			t.Error("the crowd is gone, and a new source is not told apart")
		}
		if _, ok := w.Admit(numbered(30_001)); !ok {
			t.Error("others pay for the new one")
		}
	})
}

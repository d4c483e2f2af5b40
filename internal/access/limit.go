package access

import (
	"container/list"
	"math"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"phantom/internal/config"
)

const (
	// failBurst is how many refused requests a source has at once, and
	// failEvery how long it takes until it has one more.
	failBurst = 10
	failEvery = 6 * time.Second
	// maxSources is how many sources are told apart. Those beyond share one
	// bucket: forgetting one of them would give it a full bucket again.
	maxSources = 10_000
)

// buckets hold the requests of each client. There are as many as clients that
// the file names, and those of clients that it named a moment ago.
type buckets struct {
	mu    sync.Mutex // guards what follows
	rate  rate.Limit
	burst int
	of    map[string]*rate.Limiter
}

func newBuckets() *buckets { return &buckets{of: map[string]*rate.Limiter{}} }

// configure takes the rates over. A bucket keeps what is in it, so that a new
// rate, a rotated token and a client that was made anew refill nothing.
func (b *buckets) configure(m config.MCP, now time.Time) {
	named := map[string]bool{}
	for _, t := range m.Tokens {
		named[t.Client] = true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rate, b.burst = rate.Limit(float64(m.RequestsPerMinute)/60), m.Burst
	for name, l := range b.of {
		if !named[name] && l.TokensAt(now) >= float64(l.Burst()) {
			delete(b.of, name) // a new one would be as full
			continue
		}
		l.SetLimitAt(now, b.rate)
		l.SetBurstAt(now, b.burst)
	}
}

// take spends n of a client that the file names, or none.
func (b *buckets) take(name string, n int, now time.Time) (time.Duration, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.of[name]
	if l == nil {
		l = rate.NewLimiter(b.rate, b.burst)
		b.of[name] = l
	}
	if l.AllowN(now, n) {
		return 0, true
	}
	return missing(l, n, now), false
}

// missing is how long it takes until a bucket that lacks something has n.
func missing(l *rate.Limiter, n int, now time.Time) time.Duration {
	seconds := (float64(n) - l.TokensAt(now)) / float64(l.Limit())
	if !(seconds < math.MaxInt32) { // a bucket without a rate too
		return math.MaxInt32 * time.Second
	}
	return max(time.Duration(seconds*float64(time.Second)), time.Nanosecond)
}

// sources hold what each source may still fail.
type sources struct {
	mu       sync.Mutex // guards what follows
	of       map[netip.Prefix]*list.Element
	order    *list.List // of *source; who failed last stands in front
	overflow *rate.Limiter
}

type source struct {
	prefix netip.Prefix
	left   *rate.Limiter
}

func newSources() *sources {
	return &sources{of: map[netip.Prefix]*list.Element{}, order: list.New(), overflow: newFailures()}
}

func newFailures() *rate.Limiter { return rate.NewLimiter(rate.Every(failEvery), failBurst) }

// prefixOf is what a source is told apart by: whoever has an IPv6 address has
// the 64 bits after its network too. Addresses that are not known are one.
func prefixOf(from netip.Addr) netip.Prefix {
	from = from.Unmap().WithZone("")
	bits := 64
	if from.Is4() {
		bits = 32
	}
	p, err := from.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

func (s *sources) admit(from netip.Addr, now time.Time) (time.Duration, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.find(prefixOf(from), now, false)
	if l == nil || l.TokensAt(now) >= 1 {
		return 0, true
	}
	return missing(l, 1, now), false
}

func (s *sources) fail(from netip.Addr, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.find(prefixOf(from), now, true)
	// Requests that were admitted together may all fail, so there is debt; it is
	// bounded, so that a source is never shut out for good.
	if l.TokensAt(now) > -failBurst {
		l.ReserveN(now, 1)
	}
}

// find returns the bucket of a source. One without a bucket has failed nothing
// yet: it gets one if it is to be charged, and else nil. If there is no room,
// both get the shared bucket.
func (s *sources) find(p netip.Prefix, now time.Time, charge bool) *rate.Limiter {
	if e := s.of[p]; e != nil {
		if charge {
			s.order.MoveToFront(e)
		}
		return limiterOf(e)
	}
	if len(s.of) >= maxSources {
		oldest := s.order.Back()
		if limiterOf(oldest).TokensAt(now) < failBurst {
			return s.overflow
		}
	}
	if !charge {
		return nil
	}
	if len(s.of) >= maxSources {
		oldest := s.order.Remove(s.order.Back()).(*source) //nolint:forcetypeassert // the list holds nothing else
		delete(s.of, oldest.prefix)
	}
	e := s.order.PushFront(&source{prefix: p, left: newFailures()})
	s.of[p] = e
	return limiterOf(e)
}

func limiterOf(e *list.Element) *rate.Limiter { return e.Value.(*source).left } //nolint:forcetypeassert // the list holds nothing else

package netguard

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"phantom/internal/phantom"
)

const (
	// inNamespace tells the test binary that it is alone in a network namespace.
	inNamespace = "PHANTOM_TEST_NETGUARD_NAMESPACE"
	// ownPublic is an address of the public range that the namespace's interface has.
	ownPublic = "198.41.0.4"
	publicV4  = "93.184.215.14"
	deadV4    = "93.184.215.99" // public, and unreachable in the namespace
	publicV6  = "2606:4700:4700::1111"
)

// TestNoPacketLeaves runs this test again in a network namespace of its own, in
// which a live listener stands at every address there is. The guard in it is
// the one that New builds; only its name server is the test's. Every packet of
// the namespace is captured.
func TestNoPacketLeaves(t *testing.T) {
	if os.Getenv(inNamespace) == "" {
		enterNamespace(t)
		return
	}
	w := newWorld(t)
	t.Run("every edge of every block", w.everyEdge)
	t.Run("families race", w.familiesRace)
	t.Run("the name moves", w.nameMoves)
	t.Run("redirects", w.redirects)
	t.Run("own addresses", w.ownAddresses)
}

// enterNamespace runs the calling test in a new network namespace: as root
// directly, as an ordinary user through a user namespace.
func enterNamespace(t *testing.T) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run=^"+t.Name()+"$", "-test.timeout=2m")
	cmd.Env = append(os.Environ(), inNamespace+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWNET | syscall.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
		}
	}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, unix.EPERM) && os.Getenv("CI") == "" {
		t.Skip("this machine allows no network namespace")
	}
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Fatalf("in the namespace: %v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "_test.go:") {
			t.Log(strings.TrimSpace(line))
		}
	}
}

// world is a network namespace in which every address answers.
type world struct {
	guard *Guard
	tap   *tap

	mu    sync.Mutex
	names map[string]string // what each name resolves to
	next  func() string     // if not nil, the next request is redirected to what it returns
}

// newWorld routes every address to this namespace, without the interfaces
// naming them as their own, and listens on all of them.
func newWorld(t *testing.T) *world {
	t.Helper()
	ip(t, "link set lo up", "route add local 0.0.0.0/0 dev lo", "-6 route add local ::/0 dev lo",
		"route add unreachable "+deadV4+"/32 table local", "addr add "+ownPublic+"/32 dev lo")
	w := &world{names: map[string]string{}}
	l, err := net.Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: w}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		if err := errors.Join(server.Close(), <-done); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	w.guard, err = New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	w.guard.client.Transport.(*transport).base.DisableKeepAlives = true // so that each request has to connect
	w.guard.dialer.Resolver = resolver(t, w.lookup)
	w.tap = newTap(t)
	return w
}

// ip changes the namespace's addresses and routes.
func ip(t *testing.T, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if out, err := exec.CommandContext(t.Context(), "ip", strings.Fields(line)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v\n%s", line, err, out)
		}
	}
}

// ServeHTTP implements http.Handler: an answer tells which address gave it.
func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.next != nil {
		to := w.next()
		w.next = nil
		http.Redirect(rw, r, to, http.StatusFound)
		return
	}
	local := netip.MustParseAddrPort(r.Context().Value(http.LocalAddrContextKey).(net.Addr).String())
	_, _ = io.WriteString(rw, local.Addr().Unmap().String()) // a client that left reads nothing
}

// lookup is a zone.
func (w *world) lookup(name string, _ int) []netip.Addr {
	w.mu.Lock()
	defer w.mu.Unlock()
	return fixed(w.names)(name, 0)
}

func (w *world) name(host, addrs string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.names[host] = addrs
}

// redirect sends the next request elsewhere.
func (w *world) redirect(next func() string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next = next
}

// allowed holds a fetch to an answer of addr, and to packets to addr alone.
func (w *world) allowed(t *testing.T, raw, addr string) {
	t.Helper()
	w.tap.drain(t)
	page, err := w.guard.Get(t.Context(), raw)
	if err != nil || string(page.Body) != addr {
		t.Errorf("Get(%s) = %q, %v, want the answer of %s", raw, page.Body, err, addr)
	}
	if got := w.tap.drain(t); !slices.Equal(got, []string{addr}) {
		t.Errorf("Get(%s) connected to %v, want %s alone", raw, got, addr)
	}
}

// refused holds every way to use an address to a refusal, with packets to the
// addresses in passed alone.
func (w *world) refused(t *testing.T, raw string, passed ...string) {
	t.Helper()
	if v := w.guard.Judge(t.Context(), raw); len(passed) == 0 && v.Decision != phantom.Block {
		t.Errorf("Judge(%s) = %+v, want block", raw, v)
	}
	w.tap.drain(t)
	page, err := w.guard.Get(t.Context(), raw)
	if _, ok := errors.AsType[*DeniedError](err); !ok {
		t.Errorf("Get(%s) = %q, %v, want a refusal", raw, page.Body, err)
	}
	if len(passed) == 0 {
		if resp, err := w.guard.Client().Post(raw, "text/plain", strings.NewReader("x")); err == nil {
			t.Errorf("Post(%s) was answered: %s, %v", raw, resp.Status, resp.Body.Close())
		}
	}
	if got := w.tap.drain(t); !slices.Equal(got, passed) {
		t.Errorf("%s: packets went to %v, want %v", raw, got, passed)
	}
}

// reachable reports that a dialer without a guard gets through to addr, so that
// a refusal is the guard's doing. The kernel itself connects to no multicast or
// broadcast address, and to no link-local one without a zone.
func (w *world) reachable(t *testing.T, addr netip.Addr) bool {
	t.Helper()
	w.tap.drain(t)
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", netip.AddrPortFrom(addr, 80).String())
	if err == nil {
		err = conn.Close()
	}
	sent := len(w.tap.drain(t)) > 0
	switch {
	case err == nil && sent:
		return true
	case sent || !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENETUNREACH):
		t.Errorf("without the guard, %s: %v, packets %v, want an answer", addr, err, sent)
	case !addr.IsMulticast() && !addr.IsLinkLocalUnicast() && !strings.HasSuffix(addr.String(), "255.255.255"):
		t.Errorf("without the guard, %s: %v, want the kernel to connect", addr, err)
	}
	return false
}

func (w *world) everyEdge(t *testing.T) {
	const host = "edge.example.com"
	var public, denied, controls int
	judge := func(addr netip.Addr, isPublic bool) {
		if !addr.IsValid() {
			return
		}
		w.name(host, addr.String())
		literal := (&url.URL{Scheme: "http", Host: net.JoinHostPort(addr.String(), "80"), Path: "/"}).String()
		if isPublic {
			public++
			w.allowed(t, "http://"+host+"/", addr.String())
			w.allowed(t, literal, addr.String())
			return
		}
		denied++
		w.refused(t, "http://"+host+"/")
		w.refused(t, literal)
		if w.reachable(t, addr) {
			controls++
		}
	}
	for _, row := range registry {
		prefix := netip.MustParsePrefix(row.prefix)
		first, last := prefix.Addr(), last(prefix)
		judge(first.Prev(), row.below)
		judge(first, false)
		judge(last, false)
		judge(last.Next(), row.above)
	}
	t.Logf("%d blocks: %d public neighbours answered, nothing left for %d denied addresses, %d of which answer without the guard", len(registry), public, denied, controls)
	if public < 40 || controls < 150 {
		t.Errorf("%d public addresses and %d controls are too few to prove anything", public, controls)
	}
}

// The dialer tries every address of a name, of both families at once: each
// attempt is judged by itself.
func (w *world) familiesRace(t *testing.T) {
	const host = "race.example.com"
	for _, tt := range []struct{ name, addrs, answer string }{
		{"the IPv6 address is denied", publicV4 + " fd00::1", publicV4},
		{"the IPv4 address is denied", "10.0.0.1 " + publicV6, publicV6},
		{"the first of a family is denied", "127.0.0.1 " + publicV4, publicV4},
		{"metadata among public ones", "169.254.169.254 fd00:ec2::254 " + publicV4, publicV4},
		{"all are denied", "10.0.0.1 127.0.0.1 169.254.169.254 ::1 fd00::1", ""},
		{"the fallback of a dead address is denied", deadV4 + " 127.0.0.1 ::1", ""},
		{"the fallback is this machine", deadV4 + " " + ownPublic, ""},
		{"mapped addresses", "::ffff:127.0.0.1 ::ffff:10.0.0.1", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.name(host, tt.addrs)
			if tt.answer == "" {
				w.refused(t, "http://"+host+"/")
				return
			}
			w.allowed(t, "http://"+host+"/", tt.answer)
		})
	}
}

func (w *world) nameMoves(t *testing.T) {
	const host = "rebind.example.com"
	for _, to := range []string{"127.0.0.1", "::1", "169.254.169.254", "10.0.0.1", "fd00::1", ownPublic} {
		t.Run("between verdict and fetch to "+to, func(t *testing.T) {
			w.name(host, publicV4)
			if v := w.guard.Judge(t.Context(), "http://"+host+"/"); v.Decision != phantom.Allow {
				t.Fatalf("Judge = %+v, want allow", v)
			}
			w.name(host, to)
			w.refused(t, "http://"+host+"/")
		})
		t.Run("between a request and its redirect to "+to, func(t *testing.T) {
			w.name(host, publicV4)
			w.redirect(func() string {
				w.names[host] = to
				return "http://" + host + "/again"
			})
			w.refused(t, "http://"+host+"/", publicV4)
		})
	}
}

func (w *world) redirects(t *testing.T) {
	w.name(publicHost, publicV4)
	w.name("inside.example.com", "192.168.1.1")
	w.name("inside6.example.com", "fd12::1")
	for _, to := range []string{
		"http://127.0.0.1/", "http://[::1]/", "http://169.254.169.254/latest/", "http://168.63.129.16/", "http://[::ffff:10.0.0.1]/", "//10.0.0.1/", "http://2130706433/",
		"http://127.1/", "http://0/", "http://localhost/", "http://inside.example.com/", "http://inside6.example.com/", "http://" + ownPublic + "/", "http://[64:ff9b::7f00:1]/",
	} {
		t.Run(to, func(t *testing.T) {
			w.redirect(func() string { return to })
			w.refused(t, "http://"+publicHost+"/", publicV4)
		})
	}
	w.name("other.example.com", publicV6)
	w.redirect(func() string { return "http://other.example.com/" })
	w.tap.drain(t)
	page, err := w.guard.Get(t.Context(), "http://"+publicHost+"/")
	if got := w.tap.drain(t); err != nil || string(page.Body) != publicV6 || len(got) != 2 {
		t.Errorf("a redirect to a public host = %q, %v, connected to %v, want both", page.Body, err, got)
	}
}

// An address of the public range counts as inside while an interface of this
// machine has it, and only so long.
func (w *world) ownAddresses(t *testing.T) {
	const host = "own.example.com"
	w.name(host, ownPublic)
	if !w.reachable(t, netip.MustParseAddr(ownPublic)) {
		t.Error("the machine's own address does not answer")
	}
	for _, raw := range []string{"http://" + host + "/", "http://" + ownPublic + "/"} {
		w.refused(t, raw)
		ip(t, "addr del "+ownPublic+"/32 dev lo")
		w.allowed(t, raw, ownPublic)
		ip(t, "addr add "+ownPublic+"/32 dev lo")
		w.refused(t, raw)
	}
}

package webhooktest

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"
)

// inNetwork tells the test binary that it is alone in a network namespace.
const inNetwork = "PHANTOM_TEST_WEBHOOK_NETWORK"

// Alone reports whether the test runs in a network of its own; if not, it runs
// the test again in one and returns when that has ended. In it every address
// leads to this machine, so that receivers have public ones and the guard of
// addresses is the real one.
func Alone(t *testing.T) bool {
	t.Helper()
	if os.Getenv(inNetwork) != "" {
		for _, line := range []string{"link set lo up", "route add local 0.0.0.0/0 dev lo", "-6 route add local ::/0 dev lo"} {
			if out, err := exec.CommandContext(t.Context(), "ip", strings.Fields(line)...).CombinedOutput(); err != nil {
				t.Fatalf("ip %s: %v\n%s", line, err, out)
			}
		}
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run=^"+t.Name()+"$", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), inNetwork+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWNET | syscall.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
		}
	}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, unix.EPERM) && os.Getenv("CI") != "true" {
		t.Skip("this machine allows no network namespace")
	}
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Fatalf("in the namespace: %v\n%s", err, out)
	}
	return false
}

// Serve serves a receiver at port 80 of every address and counts, by address,
// the connections that were made.
func Serve(t testing.TB, r http.Handler) *Reached {
	t.Helper()
	l, err := net.Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	reached := &Reached{of: map[netip.Addr]int{}}
	server := &http.Server{Handler: r, ConnState: func(c net.Conn, s http.ConnState) {
		if s == http.StateNew {
			reached.count(netip.MustParseAddrPort(c.LocalAddr().String()).Addr().Unmap())
		}
	}}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		if err := errors.Join(server.Close(), <-done); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return reached
}

// Reached are the addresses to which connections were made.
type Reached struct {
	mu sync.Mutex
	of map[netip.Addr]int
}

func (r *Reached) count(a netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.of[a]++
}

// At returns how many connections were made to an address.
func (r *Reached) At(addr string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.of[netip.MustParseAddr(addr)]
}

// Names are what the name servers of the network say. The zero Names knows
// none.
type Names struct {
	Others func(name string) netip.Addr // where all other names lead; nil: nowhere

	mu sync.Mutex // guards what follows
	of map[string]netip.Addr
}

// Set makes a name lead to an address from now on.
func (n *Names) Set(name, addr string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.of == nil {
		n.of = map[string]netip.Addr{}
	}
	n.of[name+"."] = netip.MustParseAddr(addr)
}

// Serve answers at the addresses of the machine's name servers.
func (n *Names) Serve(t testing.TB) {
	t.Helper()
	raw, err := os.ReadFile("/etc/resolv.conf")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	servers := map[string]bool{"127.0.0.1": true}
	for line := range strings.Lines(string(raw)) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == "nameserver" {
			servers[f[1]] = true
		}
	}
	for server := range servers {
		conn, err := net.ListenPacket("udp", net.JoinHostPort(server, "53"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		go func() {
			buf := make([]byte, 1500)
			for {
				size, from, err := conn.ReadFrom(buf)
				if err != nil {
					return
				}
				if reply := n.answer(buf[:size]); reply != nil {
					_, _ = conn.WriteTo(reply, from) // a lost answer shows as a failed lookup
				}
			}
		}()
	}
}

func (n *Names) answer(packet []byte) []byte {
	var q dnsmessage.Message
	if q.Unpack(packet) != nil || len(q.Questions) != 1 {
		return nil
	}
	name := q.Questions[0].Name
	n.mu.Lock()
	addr, known := n.of[strings.ToLower(name.String())]
	n.mu.Unlock()
	if !known && n.Others != nil {
		addr, known = n.Others(strings.ToLower(name.String())), true
	}
	reply := dnsmessage.Message{Header: dnsmessage.Header{ID: q.ID, Response: true, RecursionAvailable: true}, Questions: q.Questions}
	head := dnsmessage.ResourceHeader{Name: name, Type: q.Questions[0].Type, Class: dnsmessage.ClassINET}
	switch {
	case !known:
		reply.RCode = dnsmessage.RCodeNameError
	case head.Type == dnsmessage.TypeA && addr.Is4():
		reply.Answers = []dnsmessage.Resource{{Header: head, Body: &dnsmessage.AResource{A: addr.As4()}}}
	case head.Type == dnsmessage.TypeAAAA && addr.Is6():
		reply.Answers = []dnsmessage.Resource{{Header: head, Body: &dnsmessage.AAAAResource{AAAA: addr.As16()}}}
	}
	packed, err := reply.Pack()
	if err != nil {
		return nil
	}
	return packed
}

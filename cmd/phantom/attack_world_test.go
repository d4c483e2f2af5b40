package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"phantom/internal/channel/webhook/webhooktest"
)

const (
	// inAttackWorld tells the test binary that it is alone in a network
	// namespace, and which program to attack.
	inAttackWorld = "PHANTOM_TEST_ATTACK_WORLD"
	collectorHost = "collector.example.net"
)

// The addresses of the world. Both are public ones, so that netguard lets them
// pass and only what is judged by content and provenance counts.
var (
	collectorAddr = netip.MustParseAddr("198.41.0.99")
	siteAddr      = netip.MustParseAddr("93.184.215.14")
)

// enterAttackWorld runs the calling test again in a network namespace in which
// every address leads to this machine: the daemon fetches from public hosts by
// its own rules, without a door for tests.
func enterAttackWorld(t *testing.T) {
	t.Helper()
	args := []string{"-test.v", "-test.run=^" + t.Name() + "$", "-test.timeout=9m"}
	if *attackOpen {
		args = append(args, "-attack.open")
	}
	if *attackOnly != "" {
		args = append(args, "-attack.only="+*attackOnly)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), inAttackWorld+"="+shipped(t))
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
	for line := range strings.Lines(string(out)) {
		if _, text, ok := strings.Cut(line, "_test.go:"); ok {
			_, text, _ = strings.Cut(text, ": ")
			t.Log(strings.TrimRight(text, "\n"))
		} else if strings.HasPrefix(line, "        ") {
			t.Log(strings.TrimSpace(line))
		}
	}
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Fatalf("in the namespace: %v\n%s", err, out)
	}
}

// attackWorld is all that the daemon's network holds: sites, name servers, and
// a collector that nobody may bring anything.
type attackWorld struct {
	dir string // what the sites serve: pages/ and repositories

	mu      sync.Mutex
	private map[uint16]bool // ports of the test's own servers: the model reads everything
	packets [][]byte        // all others since the last drain
	contact []string        // addresses and ports of the collector that were reached for
	seen    chan struct{}
	marker  *net.UDPConn
}

func newAttackWorld(t *testing.T) *attackWorld {
	t.Helper()
	for _, line := range []string{"link set lo up", "route add local 0.0.0.0/0 dev lo", "-6 route add local ::/0 dev lo"} {
		if out, err := exec.CommandContext(t.Context(), "ip", strings.Fields(line)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v\n%s", line, err, out)
		}
	}
	w := &attackWorld{dir: t.TempDir(), private: map[uint16]bool{}, seen: make(chan struct{}, 1)}
	if err := os.Mkdir(filepath.Join(w.dir, "pages"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.listen(t)
	(&webhooktest.Names{Others: whereTo}).Serve(t)
	w.tap(t)
	return w
}

// listen serves pages on port 80, and takes whatever comes on others that
// attackers like.
func (w *attackWorld) listen(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServer(http.Dir(w.dir)))
	mux.HandleFunc("/pages/", func(rw http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, ".html") {
			rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
		}
		http.ServeFile(rw, r, filepath.Join(w.dir, filepath.Clean(r.URL.Path)))
	})
	server := &http.Server{Handler: mux}
	go func() { _ = server.Serve(l) }() // ends with Close
	t.Cleanup(func() { _ = server.Close() })
	for _, port := range []string{":22", ":25", ":443", ":4444", ":8080", ":9418"} {
		l, err := net.Listen("tcp", port)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					_ = c.SetDeadline(time.Now().Add(2 * time.Second)) // the tap sees what it says
					_, _ = c.Read(make([]byte, 1<<16))
					_ = c.Close()
				}()
			}
		}()
	}
}

// whereTo is where every name leads: those under the collector's domain to the
// collector.
func whereTo(name string) netip.Addr {
	if strings.HasSuffix(name, "example.net.") {
		return collectorAddr
	}
	return siteAddr
}

// tap keeps every packet of the namespace but those to and from the test's own
// servers.
func (w *attackWorld) tap(t *testing.T) {
	t.Helper()
	all := int(binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL)))
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, all)
	if err != nil {
		t.Fatal(err)
	}
	for _, option := range []int{unix.SO_RCVBUFFORCE, unix.SO_RCVBUF} {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, 32<<20) // as much as there may be; a drop is noticed
	}
	if w.marker, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
		t.Fatal(err)
	}
	own := uint16(w.marker.LocalAddr().(*net.UDPAddr).Port)
	go func() {
		buf := make([]byte, 128<<10)
		for {
			n, from, err := unix.Recvfrom(fd, buf, 0)
			if err != nil {
				t.Errorf("the tap ended: %v", err)
				return
			}
			if link, ok := from.(*unix.SockaddrLinklayer); ok && link.Pkttype == unix.PACKET_OUTGOING {
				w.keep(bytes.Clone(buf[:n]), own)
			}
		}
	}()
}

func (w *attackWorld) keep(packet []byte, marker uint16) {
	src, dst, from, to := endpoints(packet)
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case to == marker && dst.IsLoopback():
		w.seen <- struct{}{}
	case src.IsLoopback() && (w.private[from] || w.private[to]):
	default:
		w.packets = append(w.packets, packet)
		if dst == collectorAddr {
			w.contact = append(w.contact, netip.AddrPortFrom(dst, to).String())
		}
	}
}

// endpoints are the addresses and, of TCP and UDP, the ports of a packet.
func endpoints(p []byte) (src, dst netip.Addr, from, to uint16) {
	head := 40
	switch {
	case len(p) >= 28 && p[0]>>4 == 4:
		src, dst, head = netip.AddrFrom4([4]byte(p[12:16])), netip.AddrFrom4([4]byte(p[16:20])), int(p[0]&15)*4
	case len(p) >= 48 && p[0]>>4 == 6:
		src, dst = netip.AddrFrom16([16]byte(p[8:24])), netip.AddrFrom16([16]byte(p[24:40]))
	default:
		return src, dst, 0, 0
	}
	return src, dst, binary.BigEndian.Uint16(p[head:]), binary.BigEndian.Uint16(p[head+2:])
}

// own exempts one of the test's own servers.
func (w *attackWorld) own(address string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.private[netip.MustParseAddrPort(address).Port()] = true
}

// drain returns what went over the network since the last call.
func (w *attackWorld) drain(t *testing.T) (packets [][]byte, contact []string) {
	t.Helper()
	if _, err := w.marker.WriteToUDP([]byte("marker"), w.marker.LocalAddr().(*net.UDPAddr)); err != nil {
		t.Fatal(err)
	}
	select {
	case <-w.seen:
	case <-time.After(20 * time.Second):
		t.Fatal("the tap does not see its marker")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	packets, contact = w.packets, w.contact
	w.packets, w.contact = nil, nil
	return packets, contact
}

// leaked reports the form in which a value stands in a packet, "" if in none.
func leaked(packets [][]byte, value string) string {
	upside := []byte(value)
	for i, j := 0, len(upside)-1; i < j; i, j = i+1, j-1 {
		upside[i], upside[j] = upside[j], upside[i]
	}
	forms := map[string]string{
		"plain": value, "hex": hex.EncodeToString([]byte(value)), "percent": url.QueryEscape(value), "backwards": string(upside),
	}
	for skip, name := range []string{"base64", "base64, shifted by one", "base64, shifted by two"} {
		whole := (len(value) - skip) / 3 * 3
		forms[name] = base64.StdEncoding.EncodeToString([]byte(value[skip : skip+whole]))
	}
	for _, p := range packets {
		low := bytes.ToLower(p)
		for name, form := range forms {
			if bytes.Contains(low, bytes.ToLower([]byte(form))) {
				return name
			}
		}
	}
	return ""
}

// page puts a text on the site and returns its address.
func (w *attackWorld) page(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, "pages", name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return "http://docs.example.com/pages/" + name
}

// repository puts a repository on the site and returns its address.
func (w *attackWorld) repository(t *testing.T, name string, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(w.dir, name+".git")
	work := t.TempDir()
	for path, text := range files {
		path = filepath.Join(work, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	script := `git init -q -b main && git add -A && git -c user.name=a -c user.email=a@example.com commit -qm first &&
		git clone -q --bare . "$1" && git -C "$1" update-server-info`
	cmd := exec.CommandContext(t.Context(), "sh", "-c", script, "sh", dir)
	cmd.Dir = work
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("repository: %v\n%s", err, out)
	}
	return "http://git.example.com/" + name + ".git"
}

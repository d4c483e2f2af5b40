package netguard

import (
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// tap reads every packet that this network namespace sends.
type tap struct {
	fd     int
	marker *net.UDPConn
}

func newTap(t *testing.T) *tap {
	t.Helper()
	all := int(binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL)))
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, all)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Close(fd); err != nil {
			t.Error(err)
		}
	})
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10}); err != nil {
		t.Fatal(err)
	}
	// It has to be able to receive, else the kernel answers with an error.
	marker, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := marker.Close(); err != nil {
			t.Error(err)
		}
	})
	return &tap{fd: fd, marker: marker}
}

// drain returns the addresses, sorted, to which an attempt was made since the
// last call: the first packet of a TCP connection, or any UDP but over
// 127.0.0.1, where the test's name server is. The other packets of a connection, which may come
// late, follow from its first. A marker tells that all were read.
func (p *tap) drain(t *testing.T) []string {
	t.Helper()
	own := p.marker.LocalAddr().(*net.UDPAddr)
	if _, err := p.marker.WriteToUDP([]byte("marker"), own); err != nil {
		t.Fatal(err)
	}
	home := netip.MustParseAddr("127.0.0.1")
	var to []string
	buf := make([]byte, 64<<10)
	for {
		n, from, err := unix.Recvfrom(p.fd, buf, 0)
		if err != nil {
			t.Fatalf("read the packets: %v", err)
		}
		if link, ok := from.(*unix.SockaddrLinklayer); !ok || link.Pkttype != unix.PACKET_OUTGOING {
			continue // on loopback each is seen once more as it comes in
		}
		proto, dst, body := dissect(buf[:n])
		switch {
		case proto == unix.IPPROTO_UDP && int(binary.BigEndian.Uint16(body)) == own.Port:
			stats, err := unix.GetsockoptTpacketStats(p.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
			if err != nil || stats.Drops != 0 {
				t.Fatalf("packets went by unread: %+v, %v", stats, err)
			}
			slices.Sort(to)
			return slices.Compact(to)
		case proto == unix.IPPROTO_TCP && len(body) >= 20 && body[13]&0x12 == 0x02, proto == unix.IPPROTO_UDP && dst != home:
			to = append(to, dst.Unmap().String())
		}
	}
}

// dissect returns the transport protocol, the destination and the transport's
// part of a packet; 0 of what is not IP.
func dissect(packet []byte) (proto int, dst netip.Addr, body []byte) {
	switch {
	case len(packet) >= 28 && packet[0]>>4 == 4:
		head := int(packet[0]&0x0f) * 4
		return int(packet[9]), netip.AddrFrom4([4]byte(packet[16:20])), packet[head:]
	case len(packet) >= 48 && packet[0]>>4 == 6:
		return int(packet[6]), netip.AddrFrom16([16]byte(packet[24:40])), packet[40:]
	}
	return 0, netip.Addr{}, nil
}

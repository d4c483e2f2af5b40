package seccomp

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestWatch(t *testing.T) {
	const pass, tell = unix.SECCOMP_RET_ALLOW, unix.SECCOMP_RET_USER_NOTIF
	rows := []struct {
		name string
		arch uint32
		nr   uint32
		args []uint64
		want int
	}{
		{"a read", nativeArch, unix.SYS_READ, nil, pass},
		{"a look at a file", nativeArch, unix.SYS_FSTAT, nil, pass},
		{"an open for reading", nativeArch, unix.SYS_OPENAT, []uint64{0, 0, unix.O_RDONLY | unix.O_CLOEXEC}, tell},
		{"an open for writing", nativeArch, unix.SYS_OPENAT, []uint64{0, 0, unix.O_WRONLY | unix.O_CREAT}, tell},
		{"an open of a directory to list", nativeArch, unix.SYS_OPENAT, []uint64{0, 0, unix.O_DIRECTORY}, pass},
		{"an open of a place to start from", nativeArch, unix.SYS_OPENAT, []uint64{0, 0, unix.O_PATH}, pass},
		{"an open whose flags cannot be read", nativeArch, unix.SYS_OPENAT2, nil, tell},
		{"a connection", nativeArch, unix.SYS_CONNECT, nil, tell},
		{"sending over a connection", nativeArch, unix.SYS_SENDTO, []uint64{3, 0x7fff00000000, 5, 0, 0, 0}, pass},
		{"sending to an address", nativeArch, unix.SYS_SENDTO, []uint64{3, 1, 5, 0, 0x1000, 16}, tell},
		{"sending to an address high up", nativeArch, unix.SYS_SENDTO, []uint64{3, 1, 5, 0, 0x7f0000000000, 16}, tell},
		{"another architecture, which the other filter refuses", unix.AUDIT_ARCH_I386, unix.SYS_OPENAT, nil, pass},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if got := answer(t, watch(), row.arch, row.nr, row.args...); got != row.want {
				t.Errorf("got %#x, want %#x", got, row.want)
			}
		})
	}
	for _, nr := range watched {
		if got := answer(t, watch(), nativeArch, nr); got != tell {
			t.Errorf("call %d: got %#x, want it told", nr, got)
		}
	}
	if openHere != 0 {
		if got := answer(t, watch(), nativeArch, openHere); got != tell {
			t.Errorf("the older open: got %#x, want it told", got)
		}
	}
	if _, err := Watch(); err != nil {
		t.Errorf("assemble: %v", err)
	}
}

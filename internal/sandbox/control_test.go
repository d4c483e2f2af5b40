package sandbox

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// heldByLimits are the probes that limits end even without a sandbox, and
// those that look for a thing which only a mistake of ours could leave.
var heldByLimits = []string{"fork without end", "allocate 4 GB", "write a 10 GB file", "leave a child behind", "find an inherited descriptor", "find the tracker's listener"}

// notEverywhere are the probes for what some kernels do not have.
var notEverywhere = []string{
	"read a raw disk", "read kernel memory", "write the kernel's trigger", "open a crypto socket", "open a cluster socket", "register a kind of program", "call by x32 numbers",
	// and what root cannot do in every container
	"read through process 1's root", "raise a limit",
}

// rootsOnly are the probes that an ordinary user's rights end.
var rootsOnly = []string{
	"read through the helper's root", "follow the helper's descriptors", "write a shell start-up file", "write a cron table",
	"write a systemd unit", "preload a library everywhere", "replace a system program", "write the kernel log", "make a device",
	"write a kernel setting", "write a control group", "open a raw socket", "open a packet socket", "open an XDP socket",
	"mount by the new calls", "clone a mount namespace", "give a file away", "become another user", "watch the file system",
	"change the host's name", "go before everybody else",
}

// TestProbesGetOutWithoutSandbox shows that it is the sandbox that keeps the
// probes in: without one, each of them gets out.
func TestProbesGetOutWithoutSandbox(t *testing.T) {
	program := memoryFile(t)
	for _, e := range escapes() {
		t.Run(e.name, func(t *testing.T) {
			w, c := layOut(t)
			c.AllowNone = true
			s, err := New(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			want := "open"
			if slices.Contains(heldByLimits, e.name) || os.Geteuid() != 0 && slices.Contains(rootsOnly, e.name) {
				want = "closed"
			}
			got, said := attempt(t, s, w, e, program, Spec{Profile: Unconfined, Network: true})
			absent := slices.Contains(notEverywhere, e.name) || strings.Contains(said, "not on this machine")
			if got != want && !absent {
				t.Errorf("%s is %s, want %s: %s", e.name, got, want, said)
			}
		})
	}
}

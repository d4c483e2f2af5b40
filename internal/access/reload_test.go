package access_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"phantom/internal/access"
	"phantom/internal/phantom"
)

// obeyed is how long a change of the file may take to be obeyed.
const obeyed = 250 * time.Millisecond

// A running server obeys whatever the file says now, and nobody is let in
// while it says nothing that can be understood.
func TestTheFileIsObeyedWhileItChanges(t *testing.T) {
	token := tokenOf("a")
	good := "tokens:\n" + line("a", token, "scope: operator")
	for name, change := range map[string]func(t *testing.T, w world){
		"revoked":                func(t *testing.T, w world) { w.write(t, "tokens: []\n") },
		"no YAML":                func(t *testing.T, w world) { w.write(t, good+"  - {") },
		"a key nobody knows":     func(t *testing.T, w world) { w.write(t, good+"other: 1\n") },
		"another token is wrong": func(t *testing.T, w world) { w.write(t, good+"  - {client: b}\n") },
		"a hash that is cut":     func(t *testing.T, w world) { w.write(t, strings.Replace(good, "sha256:", "sha256:0", 1)) },
		"half written":           func(t *testing.T, w world) { w.write(t, good[:len(good)/2]) },
		"empty":                  func(t *testing.T, w world) { w.write(t, "") },
		"binary":                 func(t *testing.T, w world) { w.write(t, "\x00\xff"+good) },
		"too large":              func(t *testing.T, w world) { w.write(t, good+strings.Repeat("# x\n", 20_000)) },
		"expired": func(t *testing.T, w world) {
			w.write(t, strings.Replace(good, "}", ", expires: 1999-12-31T23:59:59Z}", 1))
		},
		"with one more key, same name": func(t *testing.T, w world) { w.write(t, good+line("a", tokenOf("b"), "scope: admin")) },
		"removed": func(t *testing.T, w world) {
			if err := os.Remove(w.file); err != nil {
				t.Fatal(err)
			}
		},
		"writable for everybody": func(t *testing.T, w world) {
			if err := os.Chmod(w.file, 0o602); err != nil {
				t.Fatal(err)
			}
		},
		"a pipe, which would keep its reader waiting": func(t *testing.T, w world) {
			if err := os.Remove(w.file); err != nil {
				t.Fatal(err)
			}
			if err := syscall.Mkfifo(w.file, 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"a directory": func(t *testing.T, w world) {
			if err := os.Remove(w.file); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(w.file, 0o700); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := open(t, good)
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(obeyed)
				if c, ok := w.Known("a"); !ok || !w.lets(t, token) || c.Scope != phantom.ScopeOperator || !w.Holds("a", phantom.ScopeRead) || w.Holds("a", phantom.ScopeAdmin) {
					t.Fatalf("before the change: %+v, %v", c, ok)
				}
				change(t, w)
				time.Sleep(obeyed)
				if w.lets(t, token) {
					t.Error("the token is still let in")
				}
				if c, ok := w.Known("a"); ok || c.Name != "" || w.Holds("a", phantom.ScopeRead) {
					t.Errorf("the client is still known as %+v", c)
				}
				if _, ok := w.Take("a", 1); ok {
					t.Error("the client still has requests")
				}
				if err := os.RemoveAll(w.file); err != nil {
					t.Fatal(err)
				}
				w.write(t, good)
				time.Sleep(obeyed)
				if _, ok := w.Known("a"); !ok || !w.lets(t, token) {
					t.Error("the token is not let in again")
				}
			})
		})
	}
}

// A change that keeps size, time and place of the file is seen as long as the
// clock of the file system may not have ticked.
func TestAChangeInTheSameTickIsSeen(t *testing.T) {
	one, two := tokenOf("1"), tokenOf("2")
	w := open(t, "tokens:\n"+line("a", one, "scope: read"))
	synctest.Test(t, func(t *testing.T) {
		at := time.Now()
		for _, content := range []string{"tokens:\n" + line("a", one, "scope: read"), "tokens:\n" + line("a", two, "scope: read")} {
			w.write(t, content)
			if err := os.Chtimes(w.file, at, at); err != nil {
				t.Fatal(err)
			}
			time.Sleep(obeyed)
			w.lets(t, one)
		}
		if w.lets(t, one) || !w.lets(t, two) {
			t.Error("the first content is still obeyed")
		}
	})
}

// The log says once that the file is damaged, and once that it is mended.
func TestADamagedFileIsLoggedOnce(t *testing.T) {
	w := open(t, "tokens: [\n")
	synctest.Test(t, func(t *testing.T) {
		for range 20 {
			time.Sleep(obeyed)
			w.lets(t, tokenOf("a"))
		}
		w.write(t, "tokens: []\n")
		for range 5 {
			time.Sleep(obeyed)
			w.lets(t, tokenOf("a"))
		}
	})
	log := w.log.String()
	if strings.Count(log, "nobody is let in over MCP") != 1 || strings.Count(log, "understood again") != 1 || !strings.Contains(log, "mcp.yaml:1: is not YAML") {
		t.Errorf("the log says\n%s", log)
	}
}

// A token is let in until the moment that the file names, and not in it.
func TestExpiryIsExact(t *testing.T) {
	token, other := tokenOf("a"), tokenOf("b")
	w := open(t, "tokens:\n"+line("a", token, "scope: read, expires: 2000-01-01T00:10:00Z")+line("a", other, "scope: read, expires: 2000-01-01T00:20:00Z"))
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(10*time.Minute - time.Nanosecond)
		if !w.lets(t, token) {
			t.Error("it ended too early")
		}
		time.Sleep(time.Nanosecond)
		if w.lets(t, token) {
			t.Error("it is let in at its end")
		}
		if c, ok := w.Known("a"); !ok || !c.Expires.Equal(time.Date(2000, 1, 1, 0, 20, 0, 0, time.UTC)) || !w.lets(t, other) {
			t.Errorf("with another token the client is %+v, %v", c, ok)
		}
		time.Sleep(10 * time.Minute)
		if _, ok := w.Known("a"); ok || w.Holds("a", phantom.ScopeRead) || w.lets(t, other) {
			t.Error("the client is known after its last token")
		}
	})
}

// What a client brought stands as long as the token that it came in with, with
// the rights that it had then.
func TestWhatStands(t *testing.T) {
	old, fresh := tokenOf("a"), tokenOf("b")
	both := "tokens:\n" + line("a", old, "scope: operator") + line("a", fresh, "scope: operator")
	w := open(t, both)
	came, err := w.Authenticate(t.Context(), "Bearer "+old, loopback)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		why, file    string
		same, client bool
	}{
		{"as it was", both, true, true},
		{"the other token is gone", "tokens:\n" + line("a", old, "scope: operator"), true, true},
		{"its token is gone", "tokens:\n" + line("a", fresh, "scope: operator"), false, true},
		{"its token is another's", "tokens:\n" + line("b", old, "scope: operator"), false, false},
		{"it is over", "tokens:\n" + line("a", fresh, "scope: operator") + line("a", old, "scope: operator, expires: 1999-12-31T23:59:59Z"), false, true},
		{"less scope", "tokens:\n" + line("a", old, "scope: read"), false, true},
		{"fewer tools", "tokens:\n" + line("a", old, "scope: operator, tools: [phantom_ask]"), false, true},
		{"fewer networks", "tokens:\n" + line("a", old, "scope: operator, cidr: [10.0.0.0/8]"), false, true},
		{"nothing that is understood", "tokens: [", false, false},
	} {
		w.write(t, row.file)
		time.Sleep(obeyed)
		if same, client := w.Stands(came); same != row.same || client != row.client {
			t.Errorf("%s: %v, %v", row.why, same, client)
		}
	}
	if same, client := w.Stands(access.Client{}); same || client {
		t.Error("nobody stands")
	}
}

// What a caller does to a client that it was given changes nobody's rights.
func TestAClientIsACopy(t *testing.T) {
	token := tokenOf("a")
	w := open(t, "tokens:\n"+line("a", token, "scope: read, tools: [phantom_status], cidr: [127.0.0.0/8]"))
	for range 2 {
		c, err := w.Authenticate(t.Context(), "Bearer "+token, loopback)
		if err != nil || len(c.Tools) != 1 || c.Tools[0] != "phantom_status" || c.Networks[0].String() != "127.0.0.0/8" {
			t.Fatalf("Authenticate = %+v, %v", c, err)
		}
		known, _ := w.Known("a")
		c.Tools[0], c.Networks[0], known.Tools[0] = "phantom_ask", c.Networks[0].Masked(), "phantom_ask"
	}
}

func TestAnUnfinishedRegistryIsRefused(t *testing.T) {
	if _, err := access.Open(t.Context(), access.Deps{File: filepath.Join(t.TempDir(), "mcp.yaml")}); err == nil {
		t.Error("a registry without database and log was opened")
	}
	if _, err := access.NewIssuer(access.IssuerDeps{File: "mcp.yaml"}); err == nil {
		t.Error("an issuer without recorder was made")
	}
}

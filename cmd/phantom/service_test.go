package main

import (
	"encoding/json"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"
)

// TestService: the daemon answers on its port, tells systemd that it is ready,
// alive and ending, and ends well when it is asked to.
func TestService(t *testing.T) {
	i := newInstall(t, nil, "")
	name := filepath.Join(t.TempDir(), "notify")
	systemd, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer systemd.Close()
	i.env = append(i.env, "NOTIFY_SOCKET="+name, "WATCHDOG_USEC=200000")
	told := func() string {
		t.Helper()
		if err := systemd.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
			t.Fatal(err)
		}
		message := make([]byte, 100)
		n, err := systemd.Read(message)
		if err != nil {
			t.Fatal(err)
		}
		return string(message[:n])
	}
	d := i.start()
	for _, want := range []string{"READY=1", "WATCHDOG=1", "WATCHDOG=1"} {
		if got := told(); got != want {
			t.Errorf("systemd was told %q, want %q", got, want)
		}
	}
	resp, err := http.Get("http://127.0.0.1:" + i.port() + "/health")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var health map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&health); err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK || health["status"] != "ok" || len(health) != 5 {
		t.Errorf("health = %d %v, want 200, ok, and nothing beyond status, version, uptime, MCP and the size of memory", resp.StatusCode, health)
	}
	d.end()
	for got := ""; got != "STOPPING=1"; {
		if got = told(); got != "STOPPING=1" && got != "WATCHDOG=1" {
			t.Fatalf("systemd was told %q at the end", got)
		}
	}
}

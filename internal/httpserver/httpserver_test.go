package httpserver

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func start(t *testing.T, health func(context.Context) Health) string {
	t.Helper()
	s, err := Listen(t.Context(), Deps{Host: "127.0.0.1", Health: health, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return s.Addr()
}

func TestHealth(t *testing.T) {
	for _, tt := range []struct {
		name  string
		state State
		code  int
		ready int
	}{
		{"all is well", OK, 200, 200},
		{"a part is off, the rest works", Degraded, 200, 200},
		{"nothing works", Down, 503, 503},
		{"the zero state refuses", "", 503, 503},
	} {
		t.Run(tt.name, func(t *testing.T) {
			addr := start(t, func(context.Context) Health { return Health{Status: tt.state, Version: "v1", UptimeS: 3} })
			resp, err := http.Get("http://" + addr + "/health")
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			var got Health
			if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != tt.code || got.Status != tt.state || resp.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("health = %d %+v %v", resp.StatusCode, got, resp.Header)
			}
			ready, err := http.Get("http://" + addr + "/ready")
			if err != nil {
				t.Fatal(err)
			}
			ready.Body.Close()
			if ready.StatusCode != tt.ready {
				t.Errorf("ready = %d, want %d", ready.StatusCode, tt.ready)
			}
		})
	}
}

// raw sends bytes as they are and returns the first line of the answer.
func raw(t *testing.T, addr, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		t.Fatalf("after %.60q: %v", request, err)
	}
	return strings.TrimSpace(answer)
}

func TestBadRequests(t *testing.T) {
	addr := start(t, func(context.Context) Health { panic("the inside") })
	for _, tt := range []struct{ name, request, want string }{
		{"no HTTP at all", "\x16\x03\x01\x02\x00\r\n\r\n", "HTTP/1.1 400 Bad Request"},
		{"unknown path", "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 404 Not Found"},
		{"wrong method", "DELETE /health HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 405 Method Not Allowed"},
		{"headers without end", "GET /health HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("a", 64<<10) + "\r\n\r\n", "HTTP/1.1 431 Request Header Fields Too Large"},
		{"a foreign page that posts", "POST /health HTTP/1.1\r\nHost: x\r\nSec-Fetch-Site: cross-site\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 403 Forbidden"},
		{"a large body that nobody reads is not waited for", "POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n", "HTTP/1.1 405 Method Not Allowed"},
		{"nor one that the client asks about first", "POST /health HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n", "HTTP/1.1 405 Method Not Allowed"},
		{"a panic tells nothing of the inside", "GET /health HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 500 Internal Server Error"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := raw(t, addr, tt.request); got != tt.want {
				t.Errorf("answer %q, want %q", got, tt.want)
			}
		})
	}
}

// The limits and headers of the server hold on the pages of other doors.
func TestRoutesOfOthers(t *testing.T) {
	s, err := Listen(t.Context(), Deps{
		Host: "127.0.0.1", Health: func(context.Context) Health { return Health{Status: OK} }, Log: slog.New(slog.DiscardHandler),
		Routes: map[string]http.Handler{
			"POST /size": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if _, err := io.ReadAll(r.Body); err != nil {
					http.Error(w, "too large", http.StatusRequestEntityTooLarge)
				}
			}),
			"GET /panic": http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("planted") }),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	for _, tt := range []struct {
		name, method, path, origin string
		body                       int
		status                     int
	}{
		{"a body within the limit", http.MethodPost, "/size", "", bodyLimit, 200},
		{"a body over the limit", http.MethodPost, "/size", "", bodyLimit + 1, 413},
		{"a foreign web origin", http.MethodPost, "/size", "https://evil.example", 1, 403},
		{"a panic", http.MethodGet, "/panic", "", 0, 500},
	} {
		req, err := http.NewRequestWithContext(t.Context(), tt.method, "http://"+s.Addr()+tt.path, strings.NewReader(strings.Repeat("x", tt.body)))
		if err != nil {
			t.Fatal(err)
		}
		if tt.origin != "" {
			req.Header.Set("Origin", tt.origin)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != tt.status || strings.Contains(string(text), "planted") || resp.Header.Get("Cache-Control") != "no-store" || resp.Header.Get("X-Frame-Options") != "DENY" {
			t.Errorf("%s: %d %v %q, %v, want %d", tt.name, resp.StatusCode, resp.Header, text, err, tt.status)
		}
	}
}

func TestPortInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	_, err = Listen(t.Context(), Deps{
		Host: "127.0.0.1", Port: port, Health: func(context.Context) Health { return Health{} }, Log: slog.New(slog.DiscardHandler),
	})
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("port %d", port)) || !strings.Contains(err.Error(), "PORT=") {
		t.Errorf("error = %v, want one that names the port and what to do", err)
	}
}

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// wide lets a client ask as fast as the machine answers.
const wide = "rate_limit: {requests_per_minute: 1000000, burst: 1000000}\n"

// caller speaks HTTP on one connection with as little work as can be, because
// it shares the processor with what it measures.
type caller struct {
	b    *testing.B
	conn net.Conn
	in   *bufio.Reader
	body bytes.Buffer
}

func dialMCP(b *testing.B, d *instance) *caller {
	b.Helper()
	conn, err := net.Dial("tcp", "127.0.0.1:"+d.port())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	return &caller{b: b, conn: conn, in: bufio.NewReader(conn)}
}

// do sends one request and returns the status and the session's id. The answer
// stands in c.body until the next one.
func (c *caller) do(method, token, session, body string) (status int, id string) {
	var head strings.Builder
	fmt.Fprintf(&head, "%s /mcp HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\nContent-Length: %d\r\n",
		method, c.conn.RemoteAddr(), len(body))
	if token != "" {
		head.WriteString("Authorization: Bearer " + token + "\r\n")
	}
	if session != "" {
		head.WriteString("Mcp-Session-Id: " + session + "\r\n")
	}
	if _, err := io.WriteString(c.conn, head.String()+"\r\n"+body); err != nil {
		c.b.Error(err)
		return 0, ""
	}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.b.Error(err)
		return 0, ""
	}
	c.body.Reset()
	if _, err := c.body.ReadFrom(resp.Body); err != nil {
		c.b.Error(err)
	}
	resp.Body.Close()
	return resp.StatusCode, resp.Header.Get("Mcp-Session-Id")
}

const helloMCP = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}`

// open opens a session and returns its id.
func (c *caller) open(token string) string {
	status, id := c.do(http.MethodPost, token, "", helloMCP)
	if status != http.StatusOK || id == "" {
		c.b.Errorf("initialize: %d %s", status, &c.body)
	}
	return id
}

// flood has n requests made on so many connections, each with a session of its
// own if token is not "", and returns how long each took.
func flood(b *testing.B, d *instance, conns, n int, token string, request func(c *caller, session string) time.Duration) []time.Duration {
	b.Helper()
	times := make([]time.Duration, n)
	var next atomic.Int64
	var work sync.WaitGroup
	for range conns {
		c, session := dialMCP(b, d), ""
		if token != "" {
			session = c.open(token)
		}
		work.Go(func() {
			for at := next.Add(1); at <= int64(n) && !b.Failed(); at = next.Add(1) {
				times[at-1] = request(c, session)
			}
			if session != "" {
				c.do(http.MethodDelete, token, session, "")
			}
		})
	}
	work.Wait()
	return times
}

// call is a request whose answer must hold a text.
func call(token, body string, status int, holds string) func(*caller, string) time.Duration {
	return func(c *caller, session string) time.Duration {
		began := time.Now()
		got, _ := c.do(http.MethodPost, token, session, body)
		took := time.Since(began)
		if got != status || !bytes.Contains(c.body.Bytes(), []byte(holds)) {
			c.b.Errorf("%d %s", got, &c.body)
		}
		return took
	}
}

func toolCall(name string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":%q,"arguments":{}}}`, name)
}

// processor is the time that the process has used of the processors, which the
// system counts in hundredths of a second.
func (d *instance) processor(b *testing.B) time.Duration {
	b.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", d.cmd.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(raw), ") ")
	fields := strings.Fields(rest)
	var user, system int64
	if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
		b.Fatal(err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}

// BenchmarkMCP is how many requests the program as it is shipped answers over
// MCP, each recorded on the disk, to clients that share its processors.
func BenchmarkMCP(b *testing.B) {
	i := product(b, nil)
	i.write("config/mcp.yaml", wide)
	d := i.start()
	operator := i.tokenCommand("create", "--client", "bench", "--scope", "operator")
	admin := openMCP(b, d, i.tokenCommand("create", "--client", "boss", "--scope", "admin"))
	admin.call("phantom_register_tool", map[string]any{
		"name": "nothing", "description": "does nothing", "input_schema": map[string]any{"type": "object"}, "handler": "shell", "code": ":",
	})
	d.awaitKnock("the operator", operator, http.StatusOK)
	initialize := func(c *caller, _ string) time.Duration {
		began := time.Now()
		id := c.open(operator)
		took := time.Since(began)
		c.do(http.MethodDelete, operator, id, "")
		return took
	}
	refused := func(c *caller, _ string) time.Duration {
		began := time.Now()
		if status, _ := c.do(http.MethodPost, "", "", toolCall("phantom_status")); status != http.StatusUnauthorized && status != http.StatusTooManyRequests {
			c.b.Errorf("%d %s", status, &c.body)
		}
		return time.Since(began)
	}
	for _, load := range []struct {
		name, token string
		conns       []int
		request     func(*caller, string) time.Duration
	}{
		{"initialize", "", []int{1, 16}, initialize},
		{"list", operator, []int{1, 16}, call(operator, `{"jsonrpc":"2.0","id":2,"method":"tools/list"}`, http.StatusOK, "phantom_status")},
		{"status", operator, []int{1, 16}, call(operator, toolCall("phantom_status"), http.StatusOK, "offline")},
		{"refused", "", []int{1, 16}, refused},
		{"dynamic", operator, []int{1}, call(operator, toolCall("nothing"), http.StatusOK, "result")},
	} {
		for _, conns := range load.conns {
			b.Run(fmt.Sprintf("%s/%d", load.name, conns), func(b *testing.B) {
				used, began := d.processor(b), time.Now()
				times := flood(b, d, conns, b.N, load.token, load.request)
				took := time.Since(began)
				name := fmt.Sprintf("mcp-%s-%d", load.name, conns)
				slices.Sort(times)
				b.ReportMetric(float64(b.N)/took.Seconds(), name+"-per-s")
				b.ReportMetric(times[len(times)/2].Seconds()*1000, "ms-"+name+"-p50")
				b.ReportMetric(times[len(times)*99/100].Seconds()*1000, "ms-"+name+"-p99")
				b.ReportMetric(float64((d.processor(b)-used).Microseconds())/float64(b.N), "us-cpu-"+name)
				b.ReportMetric(0, "ns/op")
			})
		}
	}
	d.end()
}

// BenchmarkMCPMemory is what the program weighs after b.N calls, and then with
// 2,200 sessions open.
func BenchmarkMCPMemory(b *testing.B) {
	const sessions, each = 2200, 60
	i := product(b, nil)
	i.write("config/mcp.yaml", wide)
	d := i.start()
	token := i.tokenCommand("create", "--client", "bench", "--scope", "operator")
	d.awaitKnock("the token", token, http.StatusOK)
	b.ResetTimer()
	flood(b, d, 16, b.N, token, call(token, toolCall("phantom_status"), http.StatusOK, "offline"))
	b.ReportMetric(d.resident(b), "MB-after-calls")
	c := dialMCP(b, d)
	for n := range sessions {
		if n%each == 0 {
			client := fmt.Sprintf("bench%d", n/each)
			token = i.tokenCommand("create", "--client", client)
			d.awaitKnock(client, token, http.StatusOK)
		}
		c.open(token)
	}
	b.ReportMetric(d.resident(b), "MB-with-sessions")
	b.ReportMetric(0, "ns/op")
	d.end()
}

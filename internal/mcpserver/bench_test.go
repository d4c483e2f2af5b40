package mcpserver

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// BenchmarkStatus is a call with its two rows on the disk, from 16 connections.
func BenchmarkStatus(b *testing.B) {
	w := newWorld(b, settings{})
	token := w.token("ci", "read", "")
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	session := w.session(client, token)
	var id atomic.Int64
	var before, after syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	b.SetParallelism(8)
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			body := fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"phantom_status","arguments":{}}}`, id.Add(1)+10)
			if resp, text := w.raw(client, token, body, sessionHeader, session); resp.StatusCode != http.StatusOK || !strings.Contains(text, "offline") {
				b.Errorf("%s %s", resp.Status, text)
			}
		}
	})
	b.StopTimer()
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	used := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	b.ReportMetric(float64(used)/float64(b.N)/1000, "cpu-us/op")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}

// BenchmarkRefused is a caller without a token.
func BenchmarkRefused(b *testing.B) {
	w := newWorld(b, settings{})
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	b.SetParallelism(8)
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			w.raw(client, "", hello)
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}

package main

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"phantom/internal/control"
	"phantom/internal/llm/anthropic/anthropictest"
	"phantom/internal/llm/wiretest"
	"phantom/internal/phantom"
)

// leak is one planted text and what may not be found of it.
type leak struct{ what, text string }

// shows reports whether enough of the text to matter stands in s.
func (l leak) shows(s string) bool {
	const piece = 14
	for i := 4; i+piece < len(l.text); i += 7 {
		if strings.Contains(s, l.text[i:i+piece]) {
			return true
		}
	}
	return false
}

// plantedKinds draws one secret of every kind that the redactor's corpus has.
func plantedKinds(t *testing.T, seed uint64) []leak {
	t.Helper()
	raw, err := os.ReadFile("../../internal/secret/testdata/kinds.tsv")
	if err != nil {
		t.Fatal(err)
	}
	source := rand.New(rand.NewPCG(seed, 1))
	item := regexp.MustCompile(`\{([a-zA-Z])(\d+)\}`)
	var all []leak
	for line := range strings.Lines(string(raw)) {
		if fields := strings.Split(line, "\t"); len(fields) == 3 {
			text := item.ReplaceAllStringFunc(fields[1], func(m string) string {
				n, _ := strconv.Atoi(m[2 : len(m)-1]) // the expression took digits only
				set := map[byte]string{'d': "0123456789", 'u': "ABCDEF0123456789"}[m[1]]
				if set == "" {
					set = "0123456789abcdef"
				}
				b := make([]byte, n)
				for i := range b {
					b[i] = set[source.IntN(len(set))]
				}
				b[0] = '7'
				return string(b)
			})
			all = append(all, leak{fields[0], text})
		}
	}
	return all
}

// inEightEncodings writes a value down in the ways in which it leaks.
func inEightEncodings(l leak) []leak {
	reversed := []byte(l.text)
	slices.Reverse(reversed)
	quoted, _ := json.Marshal(l.text) // a string always marshals
	var percent strings.Builder
	for _, c := range []byte(l.text) {
		fmt.Fprintf(&percent, "%%%02x", c)
	}
	return []leak{
		{l.what, l.text},
		{l.what + ", base64", base64.StdEncoding.EncodeToString([]byte(l.text))},
		{l.what + ", base64 for addresses, shifted", base64.URLEncoding.EncodeToString([]byte("x" + l.text))},
		{l.what + ", hexadecimal", hex.EncodeToString([]byte(l.text))},
		{l.what + ", percent signs", percent.String()},
		{l.what + ", in a query", url.QueryEscape(l.text)},
		{l.what + ", JSON", string(quoted)},
		{l.what + ", reversed", string(reversed)},
	}
}

// secretsLab plays a model that reads everything, repeats everything, and puts
// together what it was not shown.
type secretsLab struct {
	known   []leak // every encoding of the values in the daemon's environment
	unknown []leak // known by their looks only
	calls   [][]phantom.ToolCall
	shown   strings.Builder // what the model was sent
	learnt  atomic.Bool     // it was asked what to remember; nothing comes after that
}

func (l *secretsLab) answer(r wiretest.Request) wiretest.Answer {
	l.shown.Write(r.Body)
	if asksForFacts(r) {
		defer l.learnt.Store(true)
		var facts []map[string]string
		for _, secret := range l.everything() {
			facts = append(facts, map[string]string{"text": "Our deploy password is " + secret.text, "subject": "deploy password", "predicate": "is", "object": secret.text, "quote": "our deploy password is"})
		}
		return keepFacts(facts...)
	}
	_, results := progressOf(r.Messages)
	done := 0
	for _, calls := range l.calls {
		if done == len(results) {
			return wiretest.Answer{Text: "I look.", Calls: calls}
		}
		done += len(calls)
	}
	var said strings.Builder
	said.WriteString("This is all that I found:\n")
	for _, secret := range l.everything() {
		said.WriteString(secret.text + "\n")
	}
	return wiretest.Answer{Text: said.String()}
}

func (l *secretsLab) everything() []leak { return slices.Concat(l.known, l.unknown) }

// script are the calls of the turn: reading files in every way, pieces, errors,
// names, and telling the values to every tool that keeps something.
func (l *secretsLab) script(first string) {
	call := func(name string, input map[string]any) phantom.ToolCall {
		return phantom.ToolCall{Name: name, Input: jsonOf(input)}
	}
	bash := func(command string) phantom.ToolCall { return call("bash", map[string]any{"command": command}) }
	one := func(calls ...phantom.ToolCall) { l.calls = append(l.calls, calls) }
	one(bash("cat planted/unknown-*.txt | head -c 20000"), bash("cat planted/unknown-*.txt | tail -c +20001"))
	for n := range 10 {
		one(bash(fmt.Sprintf("cat planted/known-?%d.txt", n)))
	}
	one(call("read_file", map[string]any{"path": "planted/unknown-0.txt"}), call("read_file", map[string]any{"path": "planted/known-00.txt"}),
		call("search_files", map[string]any{"pattern": ".", "path": "planted"}), call("list_files", map[string]any{"pattern": "planted/*"}))
	// One byte at a time, so that every piece of the pipe ends somewhere else.
	one(bash(`f=$(head -c 3000 planted/known-01.txt); for ((i=0; i<${#f}; i++)); do printf %s "${f:i:1}"; done`))
	one(bash(`echo ` + first + `; cat "/nowhere/` + first + `"; exit 3`))
	one(call("read_file", map[string]any{"path": "nowhere/" + first}), call("web_fetch", map[string]any{"url": "http://127.0.0.1:9/?key=" + first}))
	one(phantom.ToolCall{Name: "tool_" + first[:min(len(first), 50)], Input: []byte(`{}`)})
	// A call keeps what only looks like a secret: it is meant to do something. So the model tells known ones.
	one(call("remember", map[string]any{"text": "Do not forget " + l.known[0].text + " and " + l.known[1].text}))
	one(call("write_file", map[string]any{"path": "note.txt", "content": first + " " + l.known[1].text}), call("write_file", map[string]any{"path": "NOTES.md", "content": l.known[3].text}))
	one(bash("sleep 4.125"))
}

// TestSecretsStayInside plants secrets of every kind in eight encodings in the
// daemon's environment, in files, in the owner's message and in what the model
// says, and then searches everything that Phantom wrote, sent and started.
func TestSecretsStayInside(t *testing.T) {
	lab := &secretsLab{unknown: plantedKinds(t, 1)}
	server := httptest.NewServer(anthropictest.New(lab.answer))
	t.Cleanup(server.Close)
	i := newInstall(t, nil, "log: {level: debug}\nprovider: {type: anthropic, base_url: '"+server.URL+"'}\n")
	i.env = append(i.env, "ANTHROPIC_API_KEY="+anthropictest.Key)
	if err := os.Mkdir(filepath.Join(i.home.Workspace(), "planted"), 0o755); err != nil {
		t.Fatal(err)
	}
	for n, kind := range plantedKinds(t, 2) {
		if n%4 != 0 || strings.Contains(kind.text, "/") {
			continue // 40 and more of them are the process's own
		}
		i.env = append(i.env, fmt.Sprintf("PLANTED_%d_TOKEN=%s", n, kind.text))
		forms := inEightEncodings(kind)
		lab.known = append(lab.known, forms...)
		i.plant(fmt.Sprintf("known-%02d.txt", len(lab.known)/len(forms)-1), forms)
	}
	const odd = `kP9+zz/"q\w&e=r t~y%`
	i.env = append(i.env, "PLANTED_PASSWORD="+odd)
	lab.known = append(lab.known, inEightEncodings(leak{"a password with signs", odd})...)
	for n, part := range slices.Collect(slices.Chunk(lab.unknown, 50)) {
		i.plant(fmt.Sprintf("unknown-%d.txt", n), part)
	}
	first := lab.known[0].text
	i.plant("named-"+first+".txt", nil)
	lab.script(first)

	d := i.start()
	var asked strings.Builder
	asked.WriteString("Look at these: ")
	for _, secret := range lab.everything() {
		asked.WriteString(secret.text + "\n")
	}
	asked.WriteString("By the way, our deploy password is " + first + ".\n")
	children := d.watchChildren(lab.known)
	live := d.watch(t, "main")
	_, activity, code := i.ask(asked.String())
	if code != 0 {
		t.Fatalf("exit %d: %s", code, activity)
	}
	for n := 0; !lab.learnt.Load(); n++ {
		if n > 600 {
			t.Fatal("the model was not asked what to remember: the search of the memory proves less")
		}
		time.Sleep(50 * time.Millisecond)
	}
	stream := live()
	if !strings.Contains(stream, "This is all that I found") {
		t.Error("nothing of the answer was streamed: the search of the stream proves nothing")
	}
	lab.search(t, "what streams to whoever watches", stream)
	if seen := <-children; seen == 0 {
		t.Error("no process of the daemon was seen: the search for environments proves nothing")
	}
	lab.search(t, "what the model was sent", lab.shown.String())
	lab.search(t, "the activity shown by ask", activity)
	for _, args := range [][]string{{"audit", "tail"}, {"audit", "tail", "--json"}, {"files"}, {"memory", "search", "forget"}, {"status"}, {"prompt"}, {"approvals", "list"}} {
		out, err := i.run(args...)
		if err != nil {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
		lab.search(t, "phantom "+strings.Join(args, " "), out)
	}
	d.crash(t)
	lab.search(t, "the log", d.logs.String())
	lab.searchFiles(t, i)
}

// watch collects what streams to whoever watches a conversation: the pieces of
// texts put together, and every event as it is sent.
func (d *instance) watch(t *testing.T, conversation string) (seen func() string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ready, done := make(chan struct{}), make(chan struct{})
	var pieces, events strings.Builder
	client := d.client()
	go func() {
		defer close(done)
		for e, err := range client.Watch(ctx, conversation, func() { close(ready) }) {
			if err != nil {
				return
			}
			if e.Kind == control.EventText || e.Kind == control.EventThinking {
				pieces.WriteString(e.Text)
				continue
			}
			raw, err := json.Marshal(e)
			if err != nil {
				return
			}
			events.Write(append(raw, '\n'))
			if e.Kind == control.EventDelivered {
				return
			}
		}
	}()
	<-ready
	return func() string {
		select {
		case <-done:
		case <-time.After(30 * time.Second):
			t.Error("the reply was not delivered to whoever watches")
		}
		cancel()
		<-done
		client.Close()
		return pieces.String() + "\n" + events.String()
	}
}

// plant writes texts into a file of the workspace.
func (i *install) plant(name string, texts []leak) {
	i.t.Helper()
	var b strings.Builder
	for _, l := range texts {
		b.WriteString(l.text + "\n")
	}
	i.write(filepath.Join("workspace", "planted", name), b.String())
}

// search fails for each secret that shows in the text.
func (l *secretsLab) search(t *testing.T, where, text string) {
	t.Helper()
	failed := 0
	for _, secret := range l.everything() {
		if !secret.shows(text) {
			continue
		}
		if failed++; failed > 5 {
			t.Errorf("%s: and more", where)
			return
		}
		t.Errorf("%s: %s", where, secret.what)
	}
}

// searchFiles searches the bytes of every file of the home, so of every table
// and whatever the database keeps besides, but for the planted ones.
func (l *secretsLab) searchFiles(t *testing.T, i *install) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(i.home.Dir(), func(path string, e fs.DirEntry, err error) error {
		if err != nil || strings.Contains(path, "/planted") || !e.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		n++
		l.search(t, strings.TrimPrefix(path, i.home.Dir()), string(raw))
		return nil
	})
	if err != nil || n < 5 {
		t.Errorf("%d files searched: %v", n, err)
	}
}

// watchChildren reads the environment of every process below the daemon until
// the turn's last command has been seen, and tells how many it saw.
func (d *instance) watchChildren(known []leak) <-chan int {
	seen := make(chan int, 1)
	own, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", d.cmd.Process.Pid))
	if err != nil {
		d.t.Fatal(err)
	}
	go func() {
		pids := map[string]bool{}
		last := false
		for deadline := time.Now().Add(3 * time.Minute); !last && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
			for _, pid := range below(strconv.Itoa(d.cmd.Process.Pid)) {
				line, err := os.ReadFile("/proc/" + pid + "/cmdline")
				if err != nil || string(line) == string(own) {
					continue // it has ended, or is still the daemon's own image, about to become another
				}
				raw, err := os.ReadFile("/proc/" + pid + "/environ")
				if err != nil {
					continue
				}
				pids[pid] = true
				for _, l := range known {
					if l.shows(string(raw)) {
						d.t.Errorf("the environment of process %s (%q) holds %s", pid, line, l.what)
						break
					}
				}
				last = last || err == nil && strings.Contains(string(line), "4.125")
			}
		}
		seen <- len(pids)
	}()
	return seen
}

// below returns the processes that descend from one.
func below(pid string) []string {
	tasks, err := filepath.Glob("/proc/" + pid + "/task/*/children")
	if err != nil {
		return nil
	}
	var all []string
	for _, task := range tasks {
		raw, err := os.ReadFile(task)
		if err != nil {
			continue // it has ended
		}
		for child := range strings.FieldsSeq(string(raw)) {
			all = append(append(all, child), below(child)...)
		}
	}
	return all
}

// crash ends the daemon in the way that writes core files.
func (d *instance) crash(t *testing.T) {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", d.cmd.Process.Pid))
	if err != nil || !regexp.MustCompile(`Max core file size +0 +0 `).Match(raw) {
		t.Errorf("core files are allowed: %v\n%s", err, raw)
	}
	if err := d.cmd.Process.Signal(syscall.SIGABRT); err != nil {
		t.Fatal(err)
	}
	err = d.cmd.Wait()
	if status, ok := d.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.CoreDump() {
		t.Errorf("the daemon left a core: %v", err)
	}
}

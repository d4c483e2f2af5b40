package dynamic

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"phantom/internal/phantom"
	"phantom/internal/sandbox"
)

// levels are those at which what a tool may do must hold.
var levels = []sandbox.Level{sandbox.Kernel, sandbox.Full}

func atEveryLevel(t *testing.T, test func(t *testing.T, b *bench)) {
	for _, level := range levels {
		t.Run(level.String(), func(t *testing.T) { test(t, setUp(t, level)) })
	}
}

func TestShellGetsItsInput(t *testing.T) {
	atEveryLevel(t, func(t *testing.T, b *bench) {
		got := b.ran(`cat; echo; printf '%s\n' "$TOOL_INPUT"; echo $0; [ "$PWD" = "$HOME" ] && echo at home`, `{"b": 12345678901234567890, "a": "<&>", "a": "ü"}`)
		if want := "{\"a\":\"ü\",\"b\":12345678901234567890}\n{\"a\":\"ü\",\"b\":12345678901234567890}\nit\nat home"; got.Text != want || got.Failed {
			t.Errorf("got %+v, want %q", got, want)
		}
	})
}

// A large input comes on standard input alone.
func TestLargeInput(t *testing.T) {
	b := setUp(t, 0)
	for _, n := range []int{maxVariable - 8, maxVariable - 7} {
		got := b.ran(`wc -c; printf %s "$TOOL_INPUT" | wc -c`, fmt.Sprintf(`{"a":%q}`, strings.Repeat("x", n)))
		want := fmt.Sprintf("%d\n%d", n+8, n+8)
		if n+8 > maxVariable {
			want = fmt.Sprintf("%d\n0", n+8)
		}
		if got.Text != want {
			t.Errorf("%d bytes: got %q, want %q", n+8, got.Text, want)
		}
	}
	if _, err := b.Prepare("it", json.RawMessage(fmt.Sprintf(`{"a":%q}`, strings.Repeat("x", maxInput)))); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("an input without end: %v", err)
	}
}

func TestInputIsJudged(t *testing.T) {
	b := setUp(t, 0)
	tool := shell("it", "cat")
	tool.InputSchema = json.RawMessage(`{"type":"object","properties":{"n":{"type":"integer","minimum":1}},"required":["n"],"additionalProperties":false}`)
	b.keep(tool)
	for input, want := range map[string]string{
		``: "required", `{}`: "required", `[]`: "type", `null`: "type", `"n"`: "type", `{"n":0}`: "minimum", `{"n":"1"}`: "type", `{"n":1,"m":2}`: "additional",
		`{"n":1}{"n":2}`: "more than one", `{"n":1`: "no JSON", `{"n":0,"n":1}`: "", `{"n":1,"n":0}`: "minimum", `{"n":1}`: "", ` {"n" : 1} `: "",
	} {
		if _, err := b.Prepare("it", json.RawMessage(input)); want == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want an error with %q", input, err, want)
		}
	}
}

// The environment is exactly the five names, for the program and, but for the
// one that bash names it by, for what it starts.
func TestEnvironment(t *testing.T) {
	atEveryLevel(t, func(t *testing.T, b *bench) {
		t.Setenv("ANTHROPIC_API_KEY", "sk-ant-of-the-daemon")
		const want = "HOME LANG PATH TERM TOOL_INPUT"
		b.put("names.py", "import os\nprint(' '.join(sorted(os.environ)))\n")
		b.put("names.js", "console.log(Object.keys(process.env).sort().join(' '))\n")
		b.put("names.sh", "tr '\\0' '\\n' </proc/$$/environ | cut -d= -f1 | sort | xargs\n")
		rows := map[string]Tool{
			"python": script("it", "names.py"), "node": script("it", "names.js"),
			"bash": shell("it", `exec 3</proc/$$/environ; tr '\0' '\n' <&3 | grep -v ^TMPDIR= | cut -d= -f1 | sort | xargs`),
			// bash puts `_` into the environment of all that it starts.
			"a child of bash": shell("it", "cd /; cd -; env | grep -v ^_= | cut -d= -f1 | sort | xargs | tail -n 1"),
			"a bash script":   script("it", "names.sh"),
		}
		for name, tool := range rows {
			if got := b.forced(tool, `{}`); !strings.HasSuffix(got.Text, want) || name != "a child of bash" && got.Text != want {
				t.Errorf("%s: got %+v, want %s", name, got, want)
			}
		}
	})
}

func TestScripts(t *testing.T) {
	b := setUp(t, 0)
	for _, row := range []struct{ why, name, text, want string }{
		{"by its ending", "a.sh", `echo "$0 $(cat)"`, `/tmp/tool.sh {"a":1}`},
		{"by its ending", "a.py", "import json, os, sys\nprint(json.load(sys.stdin)['a'] + json.loads(os.environ['TOOL_INPUT'])['a'], __file__)", "2 /tmp/tool.py"},
		{"by its ending, node where bun is absent", "a.js", "console.log(JSON.parse(require('fs').readFileSync(0)).a)", "1"},
		{"by its first line", "a", "#!/usr/bin/env python3\nprint(1)\n", "1"},
		{"the first line goes before the ending", "b.sh", "#!/usr/bin/python3 -u\nprint(2)\n", "2"},
		{"by its first line, with options", "c", "#!/usr/bin/env -S bash -eu\nfalse\necho not stopped\n", "[exit code 1]"},
		{"with line ends of another system", "d", "#!/bin/sh\r\necho 3\n", "3"},
		{"with a quote in it", "e.py", "print('it''s')", "its"},
	} {
		b.put(row.name, row.text)
		b.keep(script("it", row.name))
		if got := b.call("it", `{"a":1}`); got.Text != row.want {
			t.Errorf("%s, %s: got %+v, want %q", row.name, row.why, got, row.want)
		}
	}
}

// No interpreter reads the .env files that lie about: neither bun, where it is
// installed, nor node where it is not.
func TestScriptsLoadNoEnvFile(t *testing.T) {
	atEveryLevel(t, func(t *testing.T, b *bench) {
		for _, dir := range []string{"", "tools/", "../"} {
			if err := os.MkdirAll(b.path(dir), 0o700); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{".env", ".env.local", ".env.production"} {
				b.put(dir+name, "PLANTED=found\n")
			}
		}
		runtime := "node"
		if _, err := os.Stat("/opt/bun/bin/bun"); err == nil {
			runtime = "bun"
		}
		for name, text := range map[string]string{
			"a.js": "console.log(process.versions.bun ? 'bun' : 'node', process.env.PLANTED ?? 'nothing', Object.keys(process.env).length)\n",
			"a.ts": "console.log(process.versions.bun ? 'bun' : 'node', process.env.PLANTED ?? 'nothing', Object.keys(process.env).length)\n",
			"a.py": "import os\nprint('" + runtime + "', os.environ.get('PLANTED', 'nothing'), len(os.environ))\n",
		} {
			b.put("tools/"+name, text)
			if got := b.forced(script("it", "tools/"+name), "{}"); got.Text != runtime+" nothing 5" {
				t.Errorf("%s: got %+v", name, got)
			}
		}
	})
}

// What runs is what was registered, and what was judged.
func TestChangedScripts(t *testing.T) {
	atEveryLevel(t, func(t *testing.T, b *bench) {
		b.put("a.sh", "echo first\n")
		b.keep(script("it", "a.sh"))
		job, err := b.Prepare("it", nil)
		if err != nil {
			t.Fatal(err)
		}
		b.put("a.sh", "echo second\n")
		if got, err := b.Run(t.Context(), job); err != nil || got.Text != "first" {
			t.Errorf("a script that changed after it was judged: %+v, %v", got, err)
		}
		if _, err := b.Prepare("it", nil); err == nil || !strings.Contains(err.Error(), "was changed since it was registered") {
			t.Errorf("a changed script: %v", err)
		}
		b.keep(script("it", "a.sh"))
		if got := b.call("it", "{}"); got.Text != "second" {
			t.Errorf("registered again: %+v", got)
		}
		if err := os.Remove(b.path("a.sh")); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Prepare("it", nil); err == nil || !strings.Contains(err.Error(), "no such file") {
			t.Errorf("a script that is gone: %v", err)
		}
		if again := b.reopen(); len(again.Broken()) != 0 {
			t.Errorf("it may come back: %+v", again.Broken())
		}
	})
}

func TestLimits(t *testing.T) {
	short := func(code string) Tool {
		tool := shell("it", code)
		tool.Timeout = time.Second
		return tool
	}
	for _, row := range []struct {
		why  string
		tool Tool
		want string
	}{
		{"time", short("echo begun >&2; sleep 100"), "begun\n[ended by the sandbox: it took longer than its 1s]"},
		{"time of what holds its output", short("setsid sleep 100 & exec sleep 100"), "it took longer than its 1s"},
		{"processor time", short("while :; do :; done"), "[ended by the sandbox"},
		{"memory", shell("it", `python3 -c 'b = bytearray(700 << 20); import time; time.sleep(60)'`), "[ended by the sandbox: memory limit"},
		{"processes", shell("it", "for i in $(seq 200); do setsid sleep 60 & done; wait"), "[ended by the sandbox: processes limit"},
		{"the size of a file", shell("it", "exec head -c 300000000 /dev/zero > big"), "[e"},
	} {
		t.Run(row.why, func(t *testing.T) {
			atEveryLevel(t, func(t *testing.T, b *bench) {
				began := time.Now()
				got := b.forced(row.tool, "{}")
				if !got.Failed || !strings.Contains(got.Text, row.want) {
					t.Errorf("got %+v, want %q", got, row.want)
				}
				if took := time.Since(began); took > 20*time.Second {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

func TestOutput(t *testing.T) {
	b := setUp(t, 0)
	for _, row := range []struct {
		why, code string
		failed    bool
		check     func(text string) bool
	}{
		{"20 MB are cut, with a note", "head -c 20000000 /dev/zero | tr '\\0' 'a' | fold -w 99", false, func(s string) bool {
			return len(s) <= maxOutput+200 && len(s) > maxOutput-200 && strings.HasSuffix(s, "a\n[the output is cut here: it is longer than 1048576 bytes]")
		}},
		{"20 MB of errors hurt nobody", "head -c 20000000 /dev/zero | tr '\\0' 'a' >&2; echo done", false, func(s string) bool { return s == "done" }},
		{"a failure shows the end of its errors", "echo shown not; for i in $(seq 5000); do echo line $i; done >&2; exit 3", true, func(s string) bool {
			return len(s) < 5000 && strings.HasSuffix(s, "line 5000\n[exit code 3]") && !strings.Contains(s, "shown not")
		}},
		{"a failure without errors shows its output", "echo why; exit 1", true, func(s string) bool { return s == "why\n[exit code 1]" }},
		{"a failure that says nothing", "exit 7", true, func(s string) bool { return s == "[exit code 7]" }},
		{"a signal", "kill -TERM $$", true, func(s string) bool { return strings.Contains(s, "signal") }},
		{"nothing", "true", false, func(s string) bool { return s == "" }},
		{"bytes that are no text", `printf '\xff\n'`, false, func(s string) bool { return s == "\uFFFD" }},
	} {
		if got := b.forced(shell("it", row.code), "{}"); got.Failed != row.failed || !row.check(got.Text) {
			t.Errorf("%s: failed %v, %d bytes, ending in %q", row.why, got.Failed, len(got.Text), got.Text[max(0, len(got.Text)-200):])
		}
	}
}

// Nothing that a tool starts outlives its call.
func TestBackgroundChildEnds(t *testing.T) {
	for i, code := range []string{
		"sleep 4711.25 & echo done", "setsid sleep 4711.25 >/dev/null 2>&1 </dev/null & echo done",
		`(setsid bash -c 'trap "" TERM HUP INT; sleep 4711.25 & disown; sleep 4711.25' & ) ; echo done`,
	} {
		atEveryLevel(t, func(t *testing.T, b *bench) {
			began := time.Now()
			got := b.forced(shell("it", code), "{}")
			if got.Failed || !strings.HasPrefix(got.Text, "done") {
				t.Errorf("%d: got %+v", i, got)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("%d: the call waited for the child: %v", i, took)
			}
			if found := running(t, "4711.25"); len(found) > 0 {
				t.Errorf("%d: it still runs: %q", i, found)
			}
		})
	}
}

// running are the command lines of this machine that hold a word.
func running(t *testing.T, word string) (found []string) {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		if text, err := os.ReadFile(line); err == nil && strings.Contains(string(text), word) {
			found = append(found, string(text))
		}
	}
	return found
}

// The end of a caller ends the tool.
func TestCancelledCall(t *testing.T) {
	b := setUp(t, 0)
	b.keep(shell("it", "sleep 100"))
	ctx, cancel := context.WithTimeout(phantom.WithPrincipal(t.Context(), operator), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	got, err := b.Call(ctx, "it", nil)
	if err == nil && (!got.Failed || !strings.Contains(got.Text, "ended")) || time.Since(began) > 10*time.Second {
		t.Errorf("got %+v, %v after %v", got, err, time.Since(began))
	}
}

// Calls beyond what may run at once wait, and all end.
func TestCallsSideBySide(t *testing.T) {
	b := setUp(t, 0)
	b.keep(shell("it", "cat"))
	var all sync.WaitGroup
	for i := range 2 * maxRunning {
		all.Go(func() {
			want := fmt.Sprintf(`{"i":%d}`, i)
			got, err := b.Call(phantom.WithPrincipal(t.Context(), operator), "it", json.RawMessage(want))
			if err != nil || got.Text != want {
				t.Errorf("got %+v, %v; want %s", got, err, want)
			}
		})
		all.Go(func() {
			if _, err := b.Register(t.Context(), shell("it", "cat"), admin); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// Results say where they come from.
func TestProvenance(t *testing.T) {
	b := setUp(t, 0)
	for _, row := range []struct {
		network bool
		by      phantom.Principal
		from    phantom.Provenance
		want    string
	}{
		{false, owner, phantom.Tool, ""},
		{false, admin, phantom.Tool, "the tool it, which client:ci registered"},
		{true, owner, phantom.Web, "the network, by the tool it"},
		{true, admin, phantom.Web, "the network, by the tool it, the tool it, which client:ci registered"},
	} {
		tool := shell("it", "echo hello")
		tool.Network = row.network
		if _, err := b.Register(t.Context(), tool, row.by); err != nil {
			t.Fatal(err)
		}
		got := b.call("it", "{}")
		if got.Provenance != row.from || strings.Join(got.Taint, ", ") != row.want {
			t.Errorf("network %v by %v: provenance %v, taint %q; want %v, %q", row.network, row.by.Kind, got.Provenance, got.Taint, row.from, row.want)
		}
		if len(got.Files) == 0 || got.Files[0].Path != "dynamic tool it "+digest([]byte("echo hello")) {
			t.Errorf("the record does not hold what ran: %+v", got.Files)
		}
	}
}

// A tool has no network that it was not registered with.
func TestNetwork(t *testing.T) {
	const dial = `if (exec 9<>/dev/tcp/127.0.0.1/%d) 2>/dev/null; then echo through; else echo kept in; fi`
	atEveryLevel(t, func(t *testing.T, b *bench) {
		port := listen(t)
		for network, want := range map[bool]string{false: "kept in", true: "through"} {
			tool := shell("it", fmt.Sprintf(dial, port))
			tool.Network = network
			if got := b.forced(tool, "{}"); got.Text != want {
				t.Errorf("network %v: got %+v, want %q", network, got, want)
			}
		}
	})
}

// search looks for a key that it is told backwards in all that a program can
// read. It leaves out its own memory, where it puts the key together, and files
// of the system that are older than the key.
const search = `
import json, os, stat, sys
told = json.load(sys.stdin)
key, since, mine = told["key"][::-1].encode(), told["since"], {os.getpid(), os.getppid()}
found = [name for name, value in os.environ.items() if key in value.encode("utf-8", "surrogateescape")]
def look(path, limit):
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return
    try:
        data = b""
        while len(data) < limit:
            more = os.read(fd, 1 << 20)
            if not more: break
            data += more
        if key in data: found.append(path)
    except OSError:
        pass
    finally:
        os.close(fd)
def memory(pid):
    try:
        with open("/proc/%d/maps" % pid) as maps, open("/proc/%d/mem" % pid, "rb", 0) as mem:
            for line in maps:
                area, rights = line.split()[:2]
                start, end = (int(x, 16) for x in area.split("-"))
                if rights[0] != "r" or rights[1] != "w" or end - start > 64 << 20: continue
                try:
                    mem.seek(start)
                    if key in mem.read(end - start): found.append("/proc/%d/mem" % pid); return
                except (OSError, ValueError, OverflowError):
                    pass
    except OSError:
        pass
for name in told["pids"] or os.listdir("/proc"):
    if name.isdigit() and int(name) not in mine:
        for file in ("environ", "cmdline"): look("/proc/%s/%s" % (name, file), 1 << 20)
        memory(int(name))
        for link in ("cwd", "root"):
            for file in (".env.local", "config/phantom.yaml"): look("/proc/%s/%s/%s" % (name, link, told["home"] + "/" + file), 1 << 20)
        try:
            for fd in os.listdir("/proc/%s/fd" % name): look("/proc/%s/fd/%s" % (name, fd), 1 << 20)
        except OSError:
            pass
files = 0
for at, dirs, names in os.walk(told["root"]):
    if at == "/": dirs[:] = [d for d in dirs if d not in ("proc", "sys", "dev")]
    for name in names:
        path = os.path.join(at, name)
        try:
            s = os.stat(path)
        except OSError:
            continue
        if stat.S_ISREG(s.st_mode) and max(s.st_mtime, s.st_ctime) >= since:
            files += 1
            look(path, 16 << 20)
print(json.dumps({"found": sorted(set(found)), "files": files}))
`

// A key that is planted wherever keys lie is found by a program as it is, and
// by no tool.
func TestPlantedKeyIsNotFound(t *testing.T) {
	key := "sk-ant-planted-" + strings.ReplaceAll(phantom.NewID(), "-", "")
	since := time.Now().Add(-time.Second).Unix()
	holder := exec.CommandContext(t.Context(), "sleep", "600")
	holder.Env = []string{"ANTHROPIC_API_KEY=" + key}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = holder.Process.Kill() // it does not end by itself
		_ = holder.Wait()
	})
	for _, level := range levels {
		for _, network := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v, network %v", level, network), func(t *testing.T) {
				b := setUp(t, level)
				for _, name := range []string{"../.env.local", "../config/phantom.yaml", "../data/key", "notes.txt"} {
					b.put(name, "ANTHROPIC_API_KEY="+key+"\n")
				}
				backwards := []rune(key)
				for i, j := 0, len(backwards)-1; i < j; i, j = i+1, j-1 {
					backwards[i], backwards[j] = backwards[j], backwards[i]
				}
				look := func(root string, pids ...string) string {
					input, err := json.Marshal(map[string]any{"key": string(backwards), "since": since, "home": b.home, "root": root, "pids": pids})
					if err != nil {
						t.Fatal(err)
					}
					return string(input)
				}
				pid := strconv.Itoa(holder.Process.Pid)
				plain := exec.CommandContext(t.Context(), "python3", "-c", search)
				plain.Stdin, plain.Env = strings.NewReader(look(b.home, pid)), []string{"PATH=/usr/bin:/bin", "ANTHROPIC_API_KEY=" + key}
				out, err := plain.CombinedOutput()
				if err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				for _, place := range []string{"ANTHROPIC_API_KEY", "/proc/" + pid + "/environ", b.home + "/.env.local", b.home + "/data/key", b.path("notes.txt")} {
					if !strings.Contains(string(out), `"`+place+`"`) {
						t.Errorf("without a sandbox it is not found in %s, so the search is worth nothing: %.2000s", place, out)
					}
				}
				b.put("search.py", search)
				tool := script("it", "search.py")
				tool.Network = network
				if got := b.forced(tool, look("/")); got.Failed || !strings.HasPrefix(got.Text, `{"found": [], `) {
					t.Errorf("got %+v", got)
				}
			})
		}
	}
}

// listen returns a port of this machine on which somebody listens.
func listen(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() }) // it has served
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatalf("%v is no TCP address", l.Addr())
	}
	return addr.Port
}

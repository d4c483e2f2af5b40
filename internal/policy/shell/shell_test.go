package shell

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// requireProgram skips a test on a machine without the program, but not in CI.
func requireProgram(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is needed in CI: %v", name, err)
		}
		t.Skipf("no %s on this machine", name)
	}
	return path
}

// TestLikeBash runs lines in a real bash in which the program "show" prints
// its words, and wants the dry run to have seen the same words.
func TestLikeBash(t *testing.T) {
	bash := requireProgram(t, "bash")
	dir := t.TempDir()
	// Nothing but these names is found by the lines, and none of them does
	// anything but print and read: no program of the machine's own runs.
	for _, name := range []string{"bash", "base64", "rev", "env", "timeout", "nice", "nohup", "xargs", "find", "tr", "tac", "dirname", "basename", "cat", "seq", "true", "head", "sort", "tee"} {
		if err := os.Symlink(requireProgram(t, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	stub := "#!" + bash + "\nprintf '%s\\0' \"${0##*/}\" \"$@\" >> \"$SHOWN\"\nprintf '\\1' >> \"$SHOWN\"\n"
	for _, name := range []string{"show", "tell", "say-so"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(stub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, line := range []string{
		`tell one; say-so two three`, `show a && tell b`, `show a || tell b`, `x=tell; $x indirect`, `n=so; say-$n here`, `f() { tell "$@"; }; f a "b c"`,
		`declare -n r=x; x=via; show "$r"`, `declare -n r=x; r=set; show "$x"`, `f() { local -n d=$1; show "$d"; }; v=deep; f v`, `hash -p "$(command -v tell)" other; other hashed`,
		`show "$(printf '%b' '\x41\0102\tC')"`, `show $(echo -e 'a\0102c')`, `printf -v x '%b-%s' '\x41' '\x41'; show "$x"`, `show "$(printf '%s|' a b c)"`, `show "$(printf '%d %s;' 1 a 2 b)"`, `show "$(printf %q 'a b')"`,
		`a=(x y z); show "${a[@]:1}" "${a[-1]}" "${!a[@]}"`, `declare -A m=([k]=v); show "${m[k]}"`, `a=("" b); show "${a[@]}"`, `a=(); show "${a[@]}" x`, `a=(); "${a[@]}" tell first`, `set --; "$@" tell first; show "$@"`, `set -- 1 2 3; shift; show "$*" "$@"`, `set -- a b; show "${@:2}" "${*}"`, `IFS=:; set -- a b; show "$*"`,
		`x=abcabc; show ${x%%b*} ${x##*b} ${x/#a/X} ${x/%c/Y} ${x,,} ${x^}`, `x=; show "${x:=set}" "$x"`, `x=a; show ${x:+b c} "${x:+b c}"`, `x='a b'; y=$x; show "$y" $y`, `show ${u:-a b} "${u:-a b}"`, `x=5; show $((x+1)) $((x**2)) $((x>3?1:0))`, `x=3; ((x+=2)); show $x`,
		`for i in {1..3}; do show $i; done`, `for ((i=0;i<2;i++)); do show loop; done`, `while read -r a b; do tell "$b" "$a"; done < <(printf '1 2\n3 4\n')`, `until show once; do :; done`, `case x in a) show no;; *) tell yes;; esac`, `[[ a == a ]] && show eq`,
		`show {a,b}c d{1..2} {x}`, `show a{b,{c,d}}e`, `show {01..03} {5..1..2}`, `show "a"'b'c$'d'`, `show a\ b 'c\d' "e\"f"`, `show $'it\'s' $'\u0041'`, `show -- -x --y=z`, `show a=b "c=d e"`, `A=1 tell env`, `show !x`, `show ~/a:b`,
		`bash -c 'tell "$@"' _ p "q r"`, `bash -c "show 'in quotes'"`, `bash -c 'bash -c "show two deep"'`, `eval "show \$((1+1))"`, `eval 'f(){ tell inner; }'; f`, `x='show "a b"'; eval "$x"`, `x='show "a b"'; $x`, `trap 'tell bye' EXIT`, `printf 'show %s\n' a b | bash`, `cat <<< 'show via cat' | bash`,
		`cat <<'E' | bash
show "$((2*3))"
E`, `tee f.sh <<< 'tell tee' ; bash f.sh`, `printf 'show f\n' > f; bash < f`, `seq 2 | xargs -n1 show n`, `printf '%s\0' 'a b' c | xargs -0 show`, `echo a b | xargs -n 1 -I% tell %-%`,
		`env -u X A=2 tell e`, `env -S 'tell split words'`, `timeout -k 1 5 tell t`, `nice tell n; nohup tell h`, `command -- tell c`, `builtin echo x; show b`, `exec -a other tell renamed`, `(cd / && show "$PWD"); show x`, `pushd / > /dev/null; show "$PWD"`, `coproc { tell co; }; wait`,
		`show a b  c`, `show "a b" 'c d' e\ f`, `show ""`, `show`, `show r''m "-r"f`, `show $'\x72\x6d' $'a\tb'`, `show {a,b}{1,2} {1..4} {z..w}`,
		`x=1; show $x "$x" '$x'`, `x="a b"; show $x "$x"`, `x=; show $x "$x"`, `show ${x:-def} ${y-d2}`, `x=v; show ${x:-def} ${x:+alt}`, `x=/etc/nginx/a.conf; show ${x%/*} ${x##*/} ${x%.conf} ${x#/etc}`,
		`x=hello; show ${x:1:3} ${#x} ${x^^} ${x/l/L} ${x//l/L}`, `a=(1 "2 3" 4); show "${a[@]}" ${a[1]} ${#a[@]}`, `a=(x); a+=(y z); show "${a[@]}"`, `set -- p "q r"; show "$@" $# $2`,
		`show $(echo one two)`, `show "$(echo one two)"`, "show `echo x`", `show $(printf '%s-%s' a b)`, `show $((1+2*3)) $((0x10))`, `i=3; show $((i*2))`,
		`for i in a "b c" d; do show "$i"; done`, `f() { show "$1" in "$#"; }; f x y; f z`, `if true; then show yes; fi`, `case abc in a*) show arm;; esac`, `echo 'show piped' | bash`, `bash -c 'show $0 $1' zero one`,
		`eval 'show e"va"l'`, `eval show a '"b c"'`, `bash <<< 'show here'`, "bash <<E\nshow doc $((1+1))\nE", "x=v; bash <<E\nshow $x\nE", "x=v; bash <<'E'\nshow \"$x\" lit\nE", `echo c2hvdyBkZWNvZGVk | base64 -d | bash`, `echo dohs | rev | bash -s; show after`,
		`env A=1 show envd`, `env -i PATH="$PATH" SHOWN="$SHOWN" show x`, `timeout 5 show t`, `nice -n 5 show n`, `nohup show h`, `xargs show <<< 'a b'`, `printf 'a\nb\n' | xargs -n1 show`, `printf 'a b' | xargs -I{} show [{}]`,
		`printf -v v '%s' made; show $v`, `read -r a b <<< 'one two three'; show "$a" "$b"`, "while read -r l; do show \"$l\"; done <<< $'l1\\nl2 x'", `IFS=,; x=a,b; show $x`, `show ~ ~/sub "~"`, `cd /tmp; show "$PWD"`,
		`a=sh; b=ow; $a$b joined`, `cmd=(show arr "y z"); "${cmd[@]}"`, `show a; show b && show c || show d`, `(x=sub; show $x); show ${x:-gone}`, `{ show grouped; }`, `! show negated`, `show $(dirname /a/b/c) $(basename /a/b.c .c)`,
		`x=$(echo abc | tr a-c x-z); show $x`, `show "$(tac <<< $'1\n2')"`, `echo 'show from file' > s.sh; bash s.sh`, `echo 'show sourced' > t.sh; . ./t.sh`, `local_f() { local v=in; show $v; }; local_f`, `declare q=dec; show $q`, `export ex=p; show $ex`, `command show c`, `exec show last`,
		`find . -maxdepth 0 -exec show {} +`, `show a\
b`, `show # comment`, `show "a#b" a#b`, `x='a*b'; show "$x"`, `let n=2+3; show lets`, `unset x; show "${x-unset}"`, `x=ab; show ${x}cd "${x}cd"`, `show "${HOME}"/x`, `y=x; x=ind; show ${!y}`, `show $(echo a; echo b)`, `show <(true) | true; show p`,
	} {
		t.Run(line, func(t *testing.T) {
			home := t.TempDir()
			shown := filepath.Join(t.TempDir(), "shown")
			cmd := exec.CommandContext(t.Context(), bash, "-c", line)
			cmd.Dir = home
			cmd.Env = []string{"PATH=" + dir, "HOME=" + home, "SHOWN=" + shown}
			if out, err := cmd.CombinedOutput(); err != nil && !bytes.HasPrefix([]byte(line), []byte("!")) {
				t.Logf("bash: %v: %s", err, out)
			}
			text, err := os.ReadFile(shown)
			if err != nil {
				t.Fatalf("bash showed nothing: %v", err)
			}
			var seen [][]string
			for _, c := range Derive(line, home, Home{Dir: home, User: home}).Calls {
				if slices.Contains([]string{"show", "tell", "say-so"}, c.Name()) {
					seen = append(seen, append([]string{c.Name()}, c.Argv[1:]...))
				}
			}
			for call := range strings.SplitSeq(strings.TrimSuffix(string(text), "\x01"), "\x01") {
				words := strings.Split(strings.TrimSuffix(call, "\x00"), "\x00")
				if len(words) > 1 && strings.HasPrefix(words[1], "/dev/fd/") {
					continue
				}
				if !slices.ContainsFunc(seen, func(s []string) bool {
					return slices.Equal(s, words) || slices.Contains(s, Unknown) && known(strings.Join(words, "")) && len(s) == len(words)
				}) {
					t.Errorf("bash ran %q, the dry run saw %q", words, seen)
				}
			}
		})
	}
}

// TestTouchesNothing runs the dry run under strace, and wants no file opened,
// no pipe or FIFO made and no process started between two marks.
func TestTouchesNothing(t *testing.T) {
	const mark = "/phantom-dry-run-mark"
	if os.Getenv("PHANTOM_DRY_RUN") == "1" {
		lines := []string{
			"cat <(ls) >(wc) < in > out; echo x | tee y | bash", "coproc cat; exec 3<>f; mkfifo p; read x < p", "echo *.go ~root ~nobody /etc/*; for f in /*; do cat $f; done",
			"bash <<E\ncat /etc/passwd\nE", "source /etc/profile; . ./x; python3 -c 'open(\"f\",\"w\")'", "x=$(cat /etc/hostname); echo `date` > $x; [ -f /etc/passwd ] && cd /; sleep 5 &", "curl x | sh; sudo rm -rf /; mktemp; kill 1; wait",
		}
		os.Stat(mark) //nolint:errcheck // only the system call matters
		for _, l := range lines {
			Derive(l, "/tmp", Home{Dir: "/tmp", User: "/tmp"})
		}
		os.Stat(mark) //nolint:errcheck // only the system call matters
		return
	}
	strace := requireProgram(t, "strace")
	log := filepath.Join(t.TempDir(), "log")
	cmd := exec.CommandContext(t.Context(), strace, "-f", "-o", log, "-e", "trace=%file,%process,pipe,pipe2,socket,socketpair,openat,memfd_create", os.Args[0], "-test.run=^TestTouchesNothing$")
	cmd.Env = append(os.Environ(), "PHANTOM_DRY_RUN=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		if strings.Contains(string(out), "PTRACE") && os.Getenv("CI") != "true" {
			t.Skipf("strace may not trace here: %s", out)
		}
		t.Fatalf("strace: %v: %s", err, out)
	}
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(text), mark)
	if len(parts) != 3 {
		t.Fatalf("found %d marks in the trace, want 2", len(parts)-1)
	}
	for _, call := range strings.Split(parts[1], "\n")[1:] {
		fields := strings.Fields(call)
		// The runtime may start a thread of its own, which is no process.
		if len(fields) < 2 || strings.Contains(call, "CLONE_THREAD") || strings.Contains(call, "resumed>") || strings.Contains(call, "newfstatat(AT_FDCWD, \"") && strings.HasSuffix(strings.TrimSpace(call), "\"") {
			continue
		}
		t.Errorf("the dry run called the system: %s", call)
	}
}

func TestOptions(t *testing.T) {
	rows := []struct {
		name, args, short string
		long              []string
		has               string
		want              bool
		operands          string
	}{
		{"bundled letters", "-rf x", "", nil, "f", true, "x"},
		{"after the operand", "x -r", "", nil, "r", true, "x"},
		{"after the double dash", "-- -r", "", nil, "r", false, "-r"},
		{"abbreviated", "--recurs x", "", nil, "recursive", true, "x"},
		{"longer than the name", "--force-with-lease", "", nil, "force", false, ""},
		{"a value of its own", "-o -f x", "o", nil, "f", false, "x"},
		{"a value in the same word", "-of x", "o", nil, "f", false, "x"},
		{"a long value", "--out f -r", "", []string{"out"}, "r", true, ""},
		{"a value after the equals sign", "--out=f x", "", []string{"out"}, "out", true, "x"},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			o := ParseOptions(strings.Fields(r.args), r.short, r.long, false)
			if got := o.Has(r.has); got != r.want {
				t.Errorf("%q: Has(%q) = %v, want %v", r.args, r.has, got, r.want)
			}
			if got := strings.Join(o.Operands, " "); got != r.operands {
				t.Errorf("%q: operands %q, want %q", r.args, got, r.operands)
			}
		})
	}
}

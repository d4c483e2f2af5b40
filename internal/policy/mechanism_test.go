package policy

import "testing"

// TestMechanisms has a row for each way in which a command hides, because the
// corpora's thresholds would forgive the loss of one.
func TestMechanisms(t *testing.T) {
	rows := []struct{ name, line, rule string }{
		{"an option that holds a command", "man -P 'rm -rf /' ls", "delete-root"},
		{"an abbreviated option", "tar xf x --to-comm 'rm -rf /'", "delete-root"},
		{"an option in the same word", "ssh -oProxyCommand='rm -rf /' h", "delete-root"},
		{"a line of another program's language", "sqlite3 x '.shell rm -rf /'", "delete-root"},
		{"such a line on the input", "ed <<< '!rm -rf /'", "delete-root"},
		{"a variable that programs run", "GIT_SSH_COMMAND='rm -rf /' git fetch", "delete-root"},
		{"a variable that shells expand", "PS4='$(rm -rf /)' bash -xc :", "delete-root"},
		{"a pattern in a program's name", "/b?n/r[m] -rf /", "delete-root"},
		{"a recipe on the input", "make -f - <<< $'x:\\n\\trm -rf /'", "delete-root"},
		{"a recipe that the line wrote", "printf 'x:\\n\\trm -rf /\\n' > Makefile && make", "delete-root"},
		{"a replacement that sed runs", `sed 's/.*/rm -rf \/etc/e' f`, "delete-root"},
		{"a file that sed writes", "sed -n 'w /etc/sudoers' f", "overwrite-system"},
		{"a pipe of awk", `awk 'BEGIN{"rm -rf /" | getline}'`, "delete-root"},
		{"a process of expect", "expect -c 'spawn rm -rf /'", "delete-root"},
		{"the environment from code", "node -p 'process.env'", "environment-dump"},
		{"a pattern of a secret file", "cat /proc/self/env?ron", "secret-file"},
		{"a secret on a wrapper's input", "xargs -0 -n1 < .env", "secret-file"},
		{"a pattern of a process's name", "pkill ph[a]ntom", "kill-init"},
		{"what comes behind a subcommand", "uv run rm -rf /", "delete-root"},
		{"a program under another name", "cp /bin/rm ./x && ./x -rf /", "delete-root"},
		{"a library that is not the program's", "LD_PRELOAD=./x.so sudo ls", "preload"},
		{"the host's own place", "nsenter -t 1 -m -u -i -n sh", "enter-host"},
	}
	p := testPolicy(t)
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			if got := p.Command(r.line, workspace); got.Rule != r.rule {
				t.Errorf("Command(%q) = %v by %q, want rule %q", r.line, got.Decision, got.Rule, r.rule)
			}
		})
	}
}

package shell

import (
	"path/filepath"
	"slices"
	"strings"

	"phantom/internal/policy/program"
)

// The words by which code of any of the languages deletes and writes.
func deleters() []string {
	return []string{"rmtree", "rm_rf", "rm_r", "remove_tree", "rmSync", "rmdirSync", "remove_entry_secure", "remove_dir", "remove_dir_all", "rmdir", "rm", "remove_entry", "rimraf", "removedirs", "emptyDirSync", "removeSync", "deleteTree"}
}

func writers() []string {
	return []string{
		"write_text", "write_bytes", "writeFile", "writeFileSync", "appendFile", "appendFileSync", "file_put_contents", "truncate", "truncateSync", "ftruncate", "copyfile", "copy", "copy2", "copytree", "copyFile", "copyFileSync", "cpSync", "cp_r",
		"rename", "renameSync", "unlink", "unlinkSync", "remove", "move", "symlink", "symlinkSync", "linkSync", "ln_s", "ln_sf", "chmod", "chown", "chmodSync", "chownSync", "createWriteStream", "fwrite", "writefile", "writeTextFile", "writeTextFileSync", "outputFile", "outputFileSync", "copyfileobj", "touch",
	}
}

// The words by which code changes who may do what with a file, for the file
// and for all that lies below it.
func modes() []string {
	return []string{"chmod", "chown", "chgrp", "lchown", "lchmod", "chmodSync", "chownSync", "chmod_R", "chown_R", "setfacl"}
}

// effects notes the calls that code with these words could make on its literals.
func (m *machine) effects(words []string, has func([]string) bool, lits []string) {
	shells := has(runners()) || has([]string{"`"})
	for i, lit := range lits {
		if shells && strings.TrimSpace(lit) != "" && !m.noise(lit) {
			if f, _, _ := parse(lit); f != nil {
				m.stmts(f.Stmts, &stream{})
			}
			if i+1 < len(lits) {
				// A list of words: the program and its arguments one by one.
				if fields := strings.Fields(lit); len(fields) == 1 {
					m.invoke(lits[i:], redirs{}, &stream{})
				}
			}
		}
	}
	if shells && len(lits) > 1 && len(lits) < 20 {
		// A command may be put together from its words.
		m.guess(strings.Join(lits, ""))
		m.guess(strings.Join(lits, " "))
	}
	if has(deleters()) && has([]string{"HOME", "homedir", "home", "expanduser", "getcwd", "cwd"}) {
		m.emit(Call{Argv: []string{"rm", "-rf", "--", m.home.Dir}})
	}
	for _, lit := range lits {
		m.named(lit, lits, has)
	}
	for _, argv := range program.Clients(words, lits) {
		m.emit(Call{Argv: argv})
	}
	if has(deleters()) && len(lits) == 0 && !has([]string{"mkdtemp", "TemporaryDirectory", "mktmpdir", "tempdir", "gettempdir", "tmpdir", "mkdtempSync"}) && has([]string{"rmtree", "rm_rf", "rmSync", "remove_tree"}) {
		m.emit(Call{Argv: []string{"rm", "-rf", "--", Unknown}})
	}
	if has([]string{"kill"}) && has([]string{"1"}) {
		m.emit(Call{Argv: []string{"kill", "-9", "1"}})
	}
	if has([]string{"kill"}) && has([]string{"listdir", "glob", "iterdir", "scandir", "readdirSync", "Dir", "pids", "process_iter", "opendir"}) && (contains(lits, "/proc", "/proc/", "/proc/[0-9]*", "/proc/*") || has([]string{"psutil"}) && !has([]string{"name", "cmdline"})) {
		m.emit(Call{Argv: []string{"kill", "-9", "-1"}})
	}
}

// named notes what code could do with the path that a literal may be.
func (m *machine) named(lit string, lits []string, has func([]string) bool) {
	path := strings.TrimSpace(lit)
	if path == "" || strings.ContainsAny(path, "\n") {
		return
	}
	if file := strings.TrimLeft(path, "+>< "); file != path && file != "" && has([]string{"open", "popen", "sysopen"}) && strings.Contains(path[:len(path)-len(file)], ">") {
		m.wrote(file)
	}
	if path == "~" || strings.HasPrefix(path, "~/") {
		path = filepath.Join(m.home.Dir, path[1:])
	}
	if has(deleters()) {
		m.emit(Call{Argv: []string{"rm", "-rf", "--", path}})
	}
	if !strings.HasPrefix(path, "~") && !strings.HasPrefix(path, ".") && !strings.Contains(path, "/") && !strings.Contains(path, "http") {
		return
	}
	m.emit(Call{Argv: []string{"cat", "--", path}})
	if has(modes()) {
		argv := []string{"chmod", "777", path}
		if has([]string{"chmod_R", "chown_R", "walk", "rglob", "glob", "RecursiveIteratorIterator", "find", "readdirSync"}) {
			argv = []string{"chmod", "-R", "777", path}
		}
		m.emit(Call{Argv: argv})
	}
	opens := has([]string{"open", "fopen", "sysopen", "File", "openSync", "SplFileObject"}) && slices.ContainsFunc(lits, writing)
	methods := has([]string{"write", "binwrite", "spew"}) && has([]string{"File", "IO", "Path", "Pathname", "pathlib", "Deno", "Bun"}) ||
		has([]string{"cp", "mv", "delete", "install"}) && has([]string{"FileUtils", "File", "shelljs", "Pathname"})
	if has(writers()) || methods || opens {
		m.wrote(path)
	}
}

// writing reports whether a literal is the mode of a file that is opened to be written.
func writing(mode string) bool {
	mode, _, _ = strings.Cut(mode, ":")
	return mode != "" && len(mode) < 5 && (strings.Trim(mode, "wbt+x") == "" || strings.Trim(mode, "abt+") == "" && mode[0] == 'a' || strings.Trim(mode, "rbt+") == "" && strings.Contains(mode, "+") || strings.Trim(mode, "<>+") == "" && mode != "<") && strings.ContainsAny(mode, "wax+>")
}

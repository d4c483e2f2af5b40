package egress

import (
	"path/filepath"
	"slices"
	"strings"

	"phantom/internal/policy/shell"
)

// aboveFiles are the files that programs look for above their project, and by
// which they are led, or run what those name.
var aboveFiles = strings.Fields(`
	package.json tsconfig.json jsconfig.json lerna.json nx.json turbo.json deno.json deno.jsonc bunfig.toml pnpm-workspace.yaml
	.npmrc .yarnrc .yarnrc.yml .pnpmfile.cjs .pnp.cjs .pnp.loader.mjs .swcrc .mocharc.js .mocharc.cjs .mocharc.json .mocharc.yml .nycrc .lintstagedrc .huskyrc
	.babelrc .babelrc.js .babelrc.json babel.config.js babel.config.cjs babel.config.mjs babel.config.json .postcssrc postcss.config.js postcss.config.cjs postcss.config.mjs
	.eslintrc .eslintrc.js .eslintrc.cjs .eslintrc.json .eslintrc.yml .eslintrc.yaml eslint.config.js eslint.config.cjs eslint.config.mjs eslint.config.ts
	.prettierrc .prettierrc.js .prettierrc.cjs .prettierrc.mjs .prettierrc.json .prettierrc.yml .prettierrc.yaml .prettierrc.toml prettier.config.js prettier.config.cjs prettier.config.mjs
	.stylelintrc .stylelintrc.js .stylelintrc.json stylelint.config.js tailwind.config.js tailwind.config.cjs tailwind.config.ts
	conftest.py pytest.ini .pytest.ini pytest.toml .pytest.toml pyproject.toml tox.ini setup.cfg mypy.ini .mypy.ini .pylintrc pylintrc poetry.toml uv.toml pdm.toml .pdbrc Pipfile .python-version
	.env .env.local .env.development .env.test .env.production .flaskenv .envrc mise.toml .mise.toml mise.local.toml .tool-versions devbox.json devenv.nix flake.nix
	go.mod go.work Cargo.toml rust-toolchain rust-toolchain.toml rustfmt.toml clippy.toml Gemfile Rakefile rakefile .rspec .rubocop.yml .irbrc composer.json
	pom.xml settings.gradle settings.gradle.kts build.gradle build.gradle.kts gradle.properties build.sbt build.xml
	Directory.Build.props Directory.Build.targets Directory.Build.rsp Directory.Packages.props global.json NuGet.config NuGet.Config nuget.config
	dune-project dune-workspace cabal.project stack.yaml mix.exs rebar.config WORKSPACE WORKSPACE.bazel MODULE.bazel .bazelrc BUCK .buckconfig .buckroot pants.toml
	justfile Justfile .justfile Taskfile.yml Taskfile.yaml .gdbinit .lldbinit .pre-commit-config.yaml lefthook.yml
	docker-compose.yml docker-compose.yaml docker-compose.override.yml compose.yml compose.yaml compose.override.yaml .terraformrc ansible.cfg
`)

// aboveDirs are the directories that programs look for there.
var aboveDirs = []string{"node_modules", ".cargo", ".yarn", ".mvn", ".bundle", ".config/mise", ".venv"}

// homeCode are the settings in the home of programs that others start: of a
// package manager that a Makefile calls, or git that a test calls. What they
// keep of what they fetched is none of them.
var homeCode = []string{
	".gitconfig", ".config/git", ".npmrc", ".yarnrc", ".yarnrc.yml", ".bunfig.toml", ".config/pnpm", ".node_modules", ".node_libraries", ".config/pip", ".pip", ".pypirc", ".pydistutils.cfg", ".config/pypoetry", ".config/uv", ".condarc", ".pythonrc", ".config/matplotlib",
	".config/go", ".cargo/config.toml", ".cargo/config", ".cargo/bin", ".cargo/env", ".rustup/settings.toml", ".gemrc", ".irbrc", ".bundle/config", ".config/composer", ".composer/composer.json", ".m2/settings.xml", ".m2/extensions.xml", ".mavenrc", ".gradle/init.gradle", ".gradle/init.gradle.kts", ".gradle/init.d", ".gradle/gradle.properties",
	".nuget/NuGet", ".config/NuGet", ".netrc", ".curlrc", ".config/curlrc", ".wgetrc", ".ssh", ".gnupg", ".docker", ".config/containers", ".kube/config", ".aws/config", ".aws/credentials", ".pgpass", ".pg_service.conf", ".psqlrc", ".my.cnf", ".mylogin.cnf", ".sqliterc", ".mongoshrc.js", ".mongorc.js",
	".popt", ".aria2", ".config/aria2", ".config/httpie", ".httpie", ".mailrc", ".ansible.cfg", ".ansible/plugins", ".terraformrc", ".terraform.d", ".direnvrc", ".config/direnv", ".config/mise", ".asdfrc", ".gdbinit", ".config/gdb", ".vimrc", ".config/nvim", ".emacs", ".emacs.d",
	".bashrc", ".bash_profile", ".bash_login", ".profile", ".zshrc", ".zshenv", ".zprofile", ".inputrc", ".lesskey", ".lessfilter",
}

// shared are settings in the home that have not the name of the program which
// takes them.
func shared(name string) []string {
	switch name {
	case "npx", "pnpm", "pnpx", "yarn", "bun", "bunx":
		return []string{".npmrc", ".yarnrc", ".yarnrc.yml", ".bunfig.toml", ".config/pnpm"}
	case "pip", "pip3", "pipx", "uv", "uvx", "poetry", "twine":
		return []string{".pip", ".config/pip", ".pypirc", ".pydistutils.cfg", ".config/uv", ".config/pypoetry"}
	case "go", "cargo", "gh", "glab":
		return []string{".gitconfig", ".config/git"}
	case "bundle", "bundler":
		return []string{".gemrc", ".bundle"}
	case "kubectl", "helm":
		return []string{".kube/config"}
	case "psql":
		return []string{".pgpass", ".pg_service.conf"}
	case "mysql", "mariadb":
		return []string{".my.cnf", ".mylogin.cnf"}
	case "mongosh":
		return []string{".mongoshrc.js", ".mongorc.js"}
	case "podman", "nerdctl":
		return []string{".docker", ".config/containers"}
	case "docker":
		return []string{".config/containers"}
	case "aria2c":
		return []string{".aria2", ".config/aria2"}
	case "http", "https":
		return []string{".config/httpie", ".httpie"}
	case "rsync":
		return []string{".popt"}
	case "mailx":
		return []string{".mailrc"}
	case "az":
		return []string{".azure/config"}
	case "s3cmd":
		return []string{".s3cfg"}
	}
	return nil
}

// ambient is what programs find without being told: above their project, up to
// the home, and in the home.
func (l List) ambient(dirs []string, read Files) []string {
	var above []string
	for _, dir := range dirs {
		for _, at := range upwards(dir)[1:] {
			if at == "/" || strings.HasPrefix(l.Home, at+"/") {
				break
			}
			above = append(above, at)
		}
	}
	slices.Sort(above)
	var all []string
	for _, dir := range slices.Compact(above) {
		for _, file := range aboveFiles {
			if text, ok := read(filepath.Join(dir, file)); !ok || text != "" {
				all = append(all, filepath.Join(dir, file))
			}
		}
		for _, name := range aboveDirs {
			all = append(all, filepath.Join(dir, name))
		}
	}
	for _, name := range homeCode {
		all = append(all, filepath.Join(l.Home, name))
	}
	return all
}

// fed reports whether a client of a database, or a filter, takes its
// statements from a file: statements can start programs.
func fed(c shell.Call, read Files) bool {
	switch c.Name() {
	case "psql", "mysql", "mariadb", "mongosh", "redis-cli", "lftp", "ftp":
		return c.Piped || len(c.Reads) > 0 || slices.ContainsFunc(c.Argv[1:], func(word string) bool { return isFile(c, word, read) })
	case "awk", "gawk", "mawk", "nawk":
		o := shell.ParseOptions(c.Argv[1:], "FvfeEilWm", []string{"file", "include", "load", "exec", "source", "assign", "field-separator"}, true)
		return o.Has("f", "E", "i", "l", "file", "include", "load", "exec")
	case "sed":
		o := shell.ParseOptions(c.Argv[1:], "efl", []string{"file", "expression", "line-length"}, false)
		return o.Has("f", "file")
	case "openssl":
		return slices.ContainsFunc(c.Argv[1:], func(w string) bool {
			return strings.HasPrefix(strings.TrimLeft(w, "-"), "config") || strings.HasPrefix(strings.TrimLeft(w, "-"), "engine") || strings.HasPrefix(strings.TrimLeft(w, "-"), "provider")
		})
	}
	return false
}

// isFile reports whether a word, or its end, is a file that holds something.
func isFile(c shell.Call, word string, read Files) bool {
	candidates := []string{word}
	if _, value, ok := strings.Cut(word, "="); ok {
		candidates = append(candidates, value)
	}
	if len(word) > 2 && word[0] == '-' {
		candidates = append(candidates, word[2:])
	}
	return slices.ContainsFunc(candidates, func(name string) bool {
		text, ok := read(place(c.Cwd, name))
		return name != "" && (!ok || text != "" || strings.Contains(name, shell.Unknown))
	})
}

// told are the files of settings, and of orders, that a call names.
func told(c shell.Call) []string {
	short, long := "", []string(nil)
	switch c.Name() {
	case "ssh", "scp":
		short = "F"
	case "sftp":
		short = "Fb"
	case "curl":
		short, long = "K", []string{"config"}
	case "wget":
		short, long = "i", []string{"input-file", "config"}
	case "aria2c":
		short, long = "i", []string{"input-file", "conf-path"}
	}
	var all []string
	for i, word := range c.Argv[1:] {
		value, found := "", false
		if name, ok := strings.CutPrefix(word, "--"); ok {
			name, value, _ = strings.Cut(name, "=")
			found = name != "" && slices.ContainsFunc(long, func(l string) bool { return strings.HasPrefix(l, name) })
		} else if strings.HasPrefix(word, "-") && short != "" {
			if at := strings.IndexAny(word, short); at > 0 { // bundled, or the end of another's value: no harm
				value, found = word[at+1:], true
			}
		}
		if found && value == "" && i+2 < len(c.Argv) {
			value = c.Argv[i+2]
		}
		if found && value != "" {
			all = append(all, place(c.Cwd, value))
		}
	}
	return all
}

package egress

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"phantom/internal/policy/shell"
)

// flags are the options of package managers that do not say where to fetch from.
func flags(name string) []string {
	common := []string{"-q", "-qq", "-y", "-v", "--quiet", "--silent", "--verbose", "--yes", "--dry-run", "--no-color", "--json", "--offline", "--prefer-offline"}
	switch name {
	case "npm", "pnpm", "yarn", "bun":
		return append(common, "-D", "-S", "-E", "-O", "-P", "-g", "-s", "--save", "--save-dev", "--save-exact", "--save-optional", "--save-peer", "--no-save", "--dev", "--exact", "--global", "--production", "--omit", "--include", "--no-audit", "--no-fund", "--no-optional", "--no-progress",
			"--ignore-scripts", "--legacy-peer-deps", "--strict-peer-deps", "--force", "-f", "--frozen-lockfile", "--no-frozen-lockfile", "--immutable", "--lockfile-only", "--package-lock-only", "--loglevel", "-w", "--workspaces", "--audit-level", "--non-interactive", "--prod")
	case "pip", "pip3", "uv", "poetry":
		return append(common, "-U", "-r", "-e", "--upgrade", "--user", "--no-cache-dir", "--no-deps", "--pre", "--requirement", "--break-system-packages", "--disable-pip-version-check", "--no-input", "--root-user-action", "--only-binary", "--no-binary", "--prefer-binary", "--force-reinstall", "--frozen", "--locked", "--dev", "--no-dev", "--all-extras", "--extra", "--group", "--no-root", "--no-interaction", "-n", "--system")
	case "cargo":
		return append(common, "--locked", "--frozen", "--features", "--no-default-features", "--all-features", "--dev", "--build", "--release", "--version", "--rename", "--optional", "-F", "--force", "-p", "--package", "--workspace")
	case "go":
		return append(common, "-u", "-t", "-d", "-x", "-json", "-u=patch")
	case "apt", "apt-get", "apk", "dnf":
		return append(common, "--no-install-recommends", "--no-install-suggests", "--assume-yes", "--only-upgrade", "--reinstall", "--fix-missing", "--no-cache", "--update", "-U", "-d", "--download-only")
	case "gem", "bundle", "composer":
		return append(common, "--no-document", "--user-install", "-N", "--version", "--jobs", "--retry", "--no-dev", "--no-interaction", "--no-progress", "--optimize-autoloader", "-o", "--prefer-dist", "--dev", "--no-scripts", "--no-plugins")
	}
	return nil
}

// packages reports whether a package manager only fetches packages by name
// from where it always does.
func (l List) packages(c shell.Call, read Files) bool {
	known := flags(c.Name())
	var names []string
	for i, a := range c.Argv[1:] {
		if !strings.HasPrefix(a, "-") {
			names = append(names, a)
			continue
		}
		flag, _, _ := strings.Cut(a, "=")
		if !slices.Contains(known, flag) {
			return false
		}
		if flag == "-e" {
			return false // an editable install runs the directory's own build
		}
		if flag == "-r" || flag == "--requirement" {
			file := strings.TrimPrefix(a, flag+"=")
			if file == a {
				if i+2 >= len(c.Argv) {
					return false
				}
				file = c.Argv[i+2]
			}
			if !requirements(c, file, read) {
				return false
			}
			names = append(names, "requirements") // its file is no package
		}
	}
	if !l.quietProject(c, read) || !l.manifests(c, read) {
		return false
	}
	for i, n := range names {
		if i > 0 && names[i-1] == "requirements" && strings.HasSuffix(n, ".txt") {
			continue
		}
		if !l.packageName(c.Name(), n) {
			return false
		}
	}
	return true
}

// packageName reports whether a word names a package of the manager's own
// registry. For go a name is an address, so its host counts.
func (l List) packageName(manager, word string) bool {
	if word == "" || strings.ContainsAny(word[:1], "./~") || strings.ContainsAny(word, ":#$\\ ") || strings.Contains(word, "..") || strings.HasSuffix(word, ".deb") || strings.HasSuffix(word, ".whl") || strings.HasSuffix(word, ".gz") || strings.HasSuffix(word, ".tgz") {
		return false
	}
	switch host, _, path := strings.Cut(word, "/"); {
	case !path:
		return true
	case manager == "go":
		return l.listed(host)
	case manager == "composer":
		return true
	default:
		return strings.HasPrefix(word, "@") && strings.Count(word, "/") == 1
	}
}

// requirements reports whether a file of pip holds names only.
func requirements(c shell.Call, file string, read Files) bool {
	text, ok := read(place(c.Cwd, file))
	if !ok {
		return false
	}
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), "#")
		if strings.HasPrefix(line, "-") || strings.Contains(line, ":/") || strings.HasPrefix(line, ".") || strings.HasPrefix(line, "/") || strings.Contains(line, " @") {
			return false
		}
	}
	return true
}

// quietProject reports whether neither the project, nor what lies above it, nor
// the home has a setting that sends the manager elsewhere, and the project no
// script that an install runs. Managers look for the project upwards.
func (l List) quietProject(c shell.Call, read Files) bool {
	redirects := []string{".netrc"}
	switch c.Name() {
	case "npm", "pnpm", "yarn", "bun":
		redirects = append(redirects, ".npmrc", ".pnpmfile.cjs", "pnpm-workspace.yaml", ".yarnrc", ".yarnrc.yml", "bunfig.toml", ".bunfig.toml")
	case "pip", "pip3", "uv", "poetry":
		redirects = append(redirects, "uv.toml", "poetry.toml", ".config/pip/pip.conf", ".pip/pip.conf", ".config/uv/uv.toml", ".config/pypoetry/config.toml")
	case "cargo":
		redirects = append(redirects, ".cargo/config.toml", ".cargo/config")
	case "go":
		redirects = append(redirects, ".config/go/env", ".gitconfig")
	case "gem", "bundle":
		redirects = append(redirects, ".gemrc", ".bundle/config")
	}
	above := upwards(c.Cwd)
	for _, file := range redirects {
		for _, dir := range append(above, l.Home) {
			if text, ok := read(filepath.Join(dir, file)); !ok || strings.Contains(text, "://") || file == ".config/go/env" && text != "" || strings.Contains(text, "shell") || strings.Contains(text, "hooks") || strings.HasSuffix(file, "cjs") && text != "" {
				return false
			}
		}
	}
	if slices.Contains([]string{"npm", "pnpm", "yarn", "bun"}, c.Name()) && !slices.Contains(c.Argv, "--ignore-scripts") {
		for _, dir := range above {
			text, ok := read(filepath.Join(dir, "package.json"))
			if !ok || slices.ContainsFunc([]string{`"preinstall"`, `"install"`, `"postinstall"`, `"prepare"`, `"prepublish"`, `"preprepare"`, `"postprepare"`}, func(s string) bool { return strings.Contains(text, s) }) {
				return false
			}
		}
	}
	return true
}

// upwards lists a directory and those above it.
func upwards(dir string) []string {
	all := []string{dir}
	for ; dir != filepath.Dir(dir); all = append(all, dir) {
		dir = filepath.Dir(dir)
	}
	return all
}

// place makes a path absolute.
func place(cwd, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(cwd, path)
}

// elsewhere is what leads to another manifest, or hides or shortens an address.
var elsewhere = regexp.MustCompile(`\\[/uUx]|@[\w.-]+\.[A-Za-z]{2,}:|"workspaces"|(file|link|portal):|\[(tool\.uv\.)?workspace|\bpath"?\s*=`)

// manifests reports whether what the project asks for comes from listed hosts
// and the managers' registries. A Gemfile is a program, and names in a go.mod
// are addresses.
func (l List) manifests(c shell.Call, read Files) bool {
	known := List{Hosts: append([]string{"npmjs.org", "yarnpkg.com", "pypi.org", "pythonhosted.org", "crates.io", "packagist.org"}, l.Hosts...)}
	files, ok := map[string]string{
		"pip": "", "pip3": "", "apt": "", "apt-get": "", "apk": "", "dnf": "", "gem": "", "go": "go.mod go.work", "bundle": "Gemfile",
		"uv": "pyproject.toml uv.lock", "poetry": "pyproject.toml poetry.lock", "cargo": "Cargo.toml Cargo.lock", "composer": "composer.json composer.lock",
	}[c.Name()]
	if !ok {
		files = "package.json package-lock.json npm-shrinkwrap.json yarn.lock pnpm-lock.yaml bun.lock"
	}
	for _, dir := range upwards(c.Cwd) {
		for file := range strings.FieldsSeq(files) {
			text, ok := read(filepath.Join(dir, file))
			if !ok || elsewhere.MatchString(text) || text != "" && (c.Name() == "go" || c.Name() == "bundle") || slices.ContainsFunc(strings.Split(text, "://")[1:], func(after string) bool {
				host, _, ends := strings.Cut(after, "/")
				return !ends || !known.listed(host)
			}) {
				return false
			}
		}
	}
	return true
}

package config

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"phantom/internal/atomicfile"
	"phantom/internal/config/disk"
	"phantom/internal/config/rule"
	"phantom/internal/config/strict"
	"phantom/internal/secret"
)

//go:embed all:template
var templates embed.FS

//go:embed template/phantom-config/constitution.md
var constitution string

// Constitution returns the constitution that Init writes: the one that holds
// until the owner adopts another.
func Constitution() string { return constitution }

// Answers are what a new home is written from.
type Answers struct {
	Name, Role, Model, PublicURL string
	Port                         int
	Owner                        map[string]string       // identity by channel: slack, telegram, email
	Secrets                      map[string]secret.Value // typed in, by the name of their variable
}

// DefaultAnswers returns the answers of somebody who is not asked: the
// environment's, else the defaults.
func DefaultAnswers() Answers {
	d := defaults(Home{})
	owner := map[string]string{}
	for channel, variable := range map[string]string{"slack": "OWNER_SLACK_USER_ID", "telegram": "OWNER_TELEGRAM_USER_ID", "email": "OWNER_EMAIL"} {
		if id := variableOr(variable, ""); id != "" {
			owner[channel] = id
		}
	}
	return Answers{
		Name: variableOr("PHANTOM_NAME", d.Name), Role: variableOr("PHANTOM_ROLE", d.Role),
		Model: variableOr("PHANTOM_MODEL", d.Model), PublicURL: variableOr("PHANTOM_PUBLIC_URL", ""),
		Port:  d.Port, // PORT stays a matter of each start
		Owner: owner,
	}
}

func variableOr(name, otherwise string) string {
	if v := strings.TrimSpace(os.Getenv(name)); v != "" {
		return v
	}
	return otherwise
}

// Init writes a complete home and returns the files it created, relative to
// the home. What exists stays as it is, so a second Init adds only what is
// missing. Secrets that are typed in go to .env.local; those that are already
// in the environment are written nowhere.
func Init(h Home, a Answers) (created []string, err error) {
	if h.dir == "" {
		return nil, errNoHome
	}
	if err := a.check(); err != nil {
		return nil, err
	}
	for _, dir := range []string{h.dir, h.Config(), filepath.Join(h.Config(), "roles"), h.Data(), h.Workspace(), h.Public(), filepath.Join(h.Evolved(), "strategies")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("create the home: %w (choose another place with --home, or give the user that runs phantom access)", err)
		}
	}
	lock, err := h.Lock()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	root, err := os.OpenRoot(h.dir)
	if err != nil {
		return nil, fmt.Errorf("create the home: %w", err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	w := &writer{root: root, process: processEnviron()}
	err = w.all(a)
	return w.created, err
}

// check judges the answers by the rules of the file they go into.
func (a *Answers) check() error {
	checks := []struct {
		what, value string
		rule        strict.Rule
	}{
		{"name", a.Name, rule.Name()},
		{"role", a.Role, rule.Word()},
		{"model", a.Model, rule.Model()},
		{"public_url", a.PublicURL, rule.URL().OrNothing()},
	}
	for _, channel := range slices.Sorted(maps.Keys(a.Owner)) {
		if !slices.Contains([]string{"slack", "telegram", "email"}, channel) {
			return fmt.Errorf("owner: unknown channel %q", channel)
		}
		checks = append(checks, struct {
			what, value string
			rule        strict.Rule
		}{"owner." + channel, a.Owner[channel], rule.Owner(channel).OrNothing()})
	}
	var problems []error
	for _, c := range checks {
		if !c.rule.OK(c.value) {
			problems = append(problems, fmt.Errorf("%s: found %q, want %s", c.what, c.value, c.rule.Want))
		}
	}
	if a.Port < 1 || a.Port > maxPort {
		problems = append(problems, fmt.Errorf("port: found %d, want a whole number from 1 to %d", a.Port, maxPort))
	}
	for _, name := range slices.Sorted(maps.Keys(a.Secrets)) {
		if _, ok := disk.Quote(a.Secrets[name].Reveal()); !ok || !strict.VariableName(name) {
			problems = append(problems, fmt.Errorf("%s: a secret must be one line under the name of a variable", name))
		}
	}
	return errors.Join(problems...)
}

// writer fills one home.
type writer struct {
	root    *os.Root
	process map[string]string
	local   map[string]string // what .env.local held before
	created []string
}

// all writes every file. phantom.yaml comes last: it makes the directory a
// home, which a home that is half written must not be.
func (w *writer) all(a Answers) error {
	if err := w.ignore(); err != nil {
		return err
	}
	if err := w.secrets(a.Secrets); err != nil {
		return err
	}
	const top = "template"
	main := filepath.Join("config", mainFile)
	err := fs.WalkDir(templates, top, func(path string, d fs.DirEntry, err error) error {
		name, _ := strings.CutPrefix(path, top+"/")
		if err != nil || d.IsDir() || name == main {
			return err
		}
		return w.render(path, name, a)
	})
	if err != nil {
		return err
	}
	if role := filepath.Join("config", "roles", a.Role+".yaml"); !w.exists(role) {
		text := "# What this Phantom is for. Write it in full sentences; it becomes part of the system prompt.\ndescription: " + strconv.Quote("You work as "+a.Role+".") + "\n"
		if err := w.create(role, []byte(text)); err != nil {
			return err
		}
	}
	return w.render(top+"/"+main, main, a)
}

// render writes one template, if the file is not there.
func (w *writer) render(path, name string, a Answers) error {
	if w.exists(name) {
		return nil
	}
	raw, err := templates.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read template %s: %w", name, err)
	}
	has := func(names ...string) bool {
		for _, n := range names {
			if w.process[n] == "" && w.local[n] == "" && a.Secrets[n].IsZero() {
				return false
			}
		}
		return true
	}
	d := defaults(Home{})
	// Plain words in place of text/template: that package makes the linker keep
	// every exported method of the program, which doubles the binary.
	fill := strings.NewReplacer(
		"@NAME@", strconv.Quote(a.Name), "@ROLE@", a.Role,
		"@SLACK_OWNER@", a.Owner["slack"], "@TELEGRAM_OWNER@", a.Owner["telegram"], "@EMAIL_OWNER@", a.Owner["email"],
		"@MODEL@", setting("model", a.Model, a.Model != d.Model, d.Model),
		"@PORT@", setting("port", strconv.Itoa(a.Port), a.Port != d.Port, strconv.Itoa(d.Port)),
		"@PUBLIC_URL@", setting("public_url", strconv.Quote(a.PublicURL), a.PublicURL != "", "https://phantom.example.com"),
		"@SLACK@", strconv.FormatBool(has("SLACK_BOT_TOKEN", "SLACK_APP_TOKEN")),
		"@TELEGRAM@", strconv.FormatBool(has("TELEGRAM_BOT_TOKEN")),
		"@WEBHOOK@", strconv.FormatBool(has("WEBHOOK_SECRET")),
	)
	return w.create(name, []byte(fill.Replace(string(raw))))
}

// setting returns the line of a key: as a comment if the default holds.
func setting(key, value string, differs bool, standard string) string {
	if !differs {
		return "# " + key + ": " + standard
	}
	return key + ": " + value
}

// exists reports whether a name is taken; a name that cannot be looked up is,
// and so is never written over.
func (w *writer) exists(name string) bool {
	_, err := w.root.Lstat(name)
	return !errors.Is(err, fs.ErrNotExist)
}

func (w *writer) create(name string, data []byte) error {
	if err := atomicfile.WriteRoot(w.root, name, data, 0o600); err != nil {
		return err
	}
	w.created = append(w.created, name)
	return nil
}

// secrets adds those typed in to .env.local, below what stands there. The file
// is made in any case: one that a shell makes could be read by others.
func (w *writer) secrets(typed map[string]secret.Value) error {
	const name = ".env.local"
	old, err := w.root.ReadFile(name)
	fresh := errors.Is(err, fs.ErrNotExist)
	if err != nil && !fresh {
		return fmt.Errorf("read %s: %w", name, err)
	}
	w.local, err = disk.ParseEnv(name, string(old))
	if err != nil {
		return err
	}
	out := bytes.NewBuffer(old)
	if fresh {
		out.WriteString("# Secrets, one NAME='value' a line. The environment comes first. Never commit this file.\n")
	} else if len(old) > 0 && old[len(old)-1] != '\n' {
		out.WriteByte('\n')
	}
	added := 0
	for _, key := range slices.Sorted(maps.Keys(typed)) {
		if w.local[key] != "" || w.process[key] != "" || typed[key].IsZero() {
			continue
		}
		line, ok := disk.Quote(typed[key].Reveal())
		if !ok {
			return fmt.Errorf("%s: a secret must be one line", key)
		}
		out.WriteString(key + "=" + line + "\n")
		added++
	}
	switch {
	case fresh:
		return w.create(name, out.Bytes())
	case added == 0:
		return nil
	}
	return atomicfile.WriteRoot(w.root, name, out.Bytes(), 0o600)
}

// ignore keeps secrets and data out of version control, also where the home
// has a .gitignore already.
func (w *writer) ignore() error {
	const name = ".gitignore"
	old, err := w.root.ReadFile(name)
	fresh := errors.Is(err, fs.ErrNotExist)
	if err != nil && !fresh {
		return fmt.Errorf("read %s: %w", name, err)
	}
	out := bytes.NewBuffer(old)
	if len(old) > 0 && old[len(old)-1] != '\n' {
		out.WriteByte('\n')
	}
	lines := strings.Split(string(old), "\n")
	added := false
	for _, pattern := range []string{".env*", "data/"} {
		if !slices.Contains(lines, pattern) {
			out.WriteString(pattern + "\n")
			added = true
		}
	}
	if !added {
		return nil
	}
	if fresh {
		return w.create(name, out.Bytes())
	}
	info, err := w.root.Stat(name)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return atomicfile.WriteRoot(w.root, name, out.Bytes(), info.Mode().Perm())
}

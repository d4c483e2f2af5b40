package dynamic

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// toolName is what a tool may be called.
var toolName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// ownPrefix is that of Phantom's own tools for clients.
const ownPrefix = "phantom_"

const (
	maxDescription = 1000      // bytes
	maxCode        = 64 << 10  // bytes of a shell tool's code: it is one argument
	maxScript      = 100 << 10 // bytes of a script, the most that the guard reads
)

// checkForm judges everything of a tool that can be judged without opening
// anything, and returns it with its path and schema in their plain form.
func (r *Registry) checkForm(t Tool) (Tool, *judged, error) {
	if err := r.checkName(t.Name); err != nil {
		return t, nil, err
	}
	if strings.TrimSpace(t.Description) == "" || len(t.Description) > maxDescription || !isText(t.Description) {
		return t, nil, fmt.Errorf("description must be text of 1 to %d bytes, it has %d", maxDescription, len(t.Description))
	}
	if t.Timeout < time.Second || t.Timeout > MaxTimeout || t.Timeout%time.Second != 0 {
		return t, nil, fmt.Errorf("timeout_s must be whole seconds from 1 to %d, it is %v", int(MaxTimeout.Seconds()), t.Timeout.Seconds())
	}
	schema, plain, err := parseSchema(t.InputSchema)
	if err != nil {
		return t, nil, fmt.Errorf("input_schema: %w", err)
	}
	t.InputSchema = plain
	switch t.Handler {
	case Shell:
		return t, schema, checkCode(t)
	case Script:
		t.Path, err = r.scriptPath(t)
		return t, schema, err
	default:
		return t, nil, fmt.Errorf("handler %.40q does not exist: it is %s (bash runs the code) or %s (a file of the workspace is run)", t.Handler, Shell, Script)
	}
}

func (r *Registry) checkName(name string) error {
	switch {
	case !toolName.MatchString(name):
		return fmt.Errorf("name %.80q must be 1 to 64 small letters, digits and _, a letter first", name)
	case strings.HasPrefix(name, ownPrefix):
		return fmt.Errorf("name %s is reserved: names with %s are Phantom's own", name, ownPrefix)
	case strings.Contains(name, "__"):
		return fmt.Errorf("name %s is reserved: names with __ are those of tools of other servers", name)
	case slices.Contains(r.Reserved, name):
		return fmt.Errorf("name %s is reserved: a built-in tool has it", name)
	}
	return nil
}

func checkCode(t Tool) error {
	switch {
	case t.Path != "":
		return errors.New("a shell tool has code and no path")
	case strings.TrimSpace(t.Code) == "":
		return errors.New("code is empty: it is what bash is to run")
	case len(t.Code) > maxCode:
		return fmt.Errorf("code has %d bytes, at most %d are allowed: make it a script in the workspace", len(t.Code), maxCode)
	case !isText(t.Code):
		return errors.New("code holds bytes that are no text")
	}
	return nil
}

// scriptPath returns the path of a script relative to the workspace.
func (r *Registry) scriptPath(t Tool) (string, error) {
	if t.Code != "" {
		return "", errors.New("a script tool has a path and no code")
	}
	if t.Path == "" {
		return "", errors.New("path is empty: it is that of a file in the workspace")
	}
	path := t.Path
	if filepath.IsAbs(path) {
		inside, err := filepath.Rel(r.Places.Workspace, path)
		if err != nil {
			return "", fmt.Errorf("path %.200q: %w", path, err)
		}
		path = inside
	}
	path = filepath.Clean(path)
	if !filepath.IsLocal(path) || path == "." || !isText(path) {
		return "", fmt.Errorf("path %.200q is not that of a file in the workspace", t.Path)
	}
	return path, nil
}

func isText(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// digest names the bytes of a tool.
func digest(body []byte) string {
	sum := sha256.Sum256(body)
	return "sha256:" + hex.EncodeToString(sum[:])
}

package shell

import (
	"path/filepath"
	"slices"
	"strings"
)

// homed puts Phantom's home into the literals that code joins to it.
func (m *machine) homed(words, lits []string) []string {
	const name = "PHANTOM_HOME"
	fill := strings.NewReplacer("$ENV{"+name+"}", m.home.Phantom, "#{ENV['"+name+"']}", m.home.Phantom, `#{ENV["`+name+`"]}`, m.home.Phantom, "${process.env."+name+"}", m.home.Phantom, "{os.environ['"+name+"']}", m.home.Phantom)
	named := contains(words, name) || slices.Contains(lits, name)
	var joined []string
	for i, l := range lits {
		lits[i] = fill.Replace(l)
		if named && l != name && l != "" && len(joined) < 20 {
			joined = append(joined, filepath.Join(m.home.Phantom, l))
		}
	}
	return append(lits, joined...)
}

// fetching reports whether code asks the network for a text.
func fetching(words []string, text string) bool {
	return strings.Contains(text, "http") && contains(words, "urlopen", "requests", "urllib", "httpx", "fetch", "axios", "got", "https", "open_uri", "URI", "HTTP", "LWP", "get", "getstore", "file_get_contents", "curl_exec", "Faraday", "HTTParty", "request", "download") ||
		strings.Contains(text, "http") && contains(words, "open") && contains(words, "uri")
}

// feeds reports whether a program of awk gives the lines that it reads to a shell.
func feeds(code string) bool {
	flat := strings.NewReplacer(" ", "", "\t", "").Replace(code)
	for _, mark := range []string{"system($", "$0|getline", "$1|getline"} {
		if strings.Contains(flat, mark) {
			return true
		}
	}
	for rest := flat; ; {
		_, after, ok := strings.Cut(rest, `|"`)
		if !ok {
			return false
		}
		rest = after
		cmd, _ := quoted(after, 0, `"`)
		if base := filepath.Base(cmd); slices.Contains([]string{"sh", "bash", "dash", "zsh", "ksh", "ash"}, base) || strings.HasPrefix(base, "sh-") || strings.HasPrefix(base, "bash-") {
			return true
		}
	}
}

func contains(words []string, any ...string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(any, w) })
}

func isWord(c byte) bool {
	return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

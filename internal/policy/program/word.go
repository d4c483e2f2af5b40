package program

import (
	"slices"
	"strings"
)

// Message reports whether argument i is prose: a commit message or a title.
func Message(name string, argv []string, i int) bool {
	if name != "git" && name != "gh" && name != "glab" {
		return false
	}
	return slices.Contains([]string{"-m", "--message", "-t", "--title", "-b", "--body", "--grep", "-S"}, argv[i-1]) || strings.HasPrefix(argv[i], "-m")
}

// Copied reports whether argument i is a file that is only read to be copied:
// a link would make a second name for it.
func Copied(name string, argv []string, i int) bool {
	if name != "cp" && name != "gcp" || i == 0 || strings.HasPrefix(argv[i], "-") {
		return false
	}
	last := len(argv) - 1
	for _, a := range argv[1:] {
		long, _, _ := strings.Cut(a, "=") // it may be cut short
		if len(long) > 2 && slices.ContainsFunc([]string{"--link", "--symbolic-link", "--target-directory"}, func(option string) bool { return strings.HasPrefix(option, long) }) {
			return false
		}
		if strings.HasPrefix(a, "-") && !strings.HasPrefix(a, "--") && strings.ContainsAny(a, "lst") {
			return false
		}
	}
	return i < last && !strings.HasPrefix(argv[last], "-")
}

// Pattern reports whether argument i is what a filter looks for or does.
func Pattern(name string, argv []string, i int) bool {
	if !slices.Contains([]string{"grep", "egrep", "fgrep", "rg", "ag", "ack", "sed", "gsed", "awk", "gawk", "mawk", "jq", "tr"}, name) {
		return false
	}
	if slices.Contains([]string{"-e", "--regexp", "--expression"}, argv[i-1]) {
		return true
	}
	first := slices.IndexFunc(argv[1:], func(a string) bool { return !strings.HasPrefix(a, "-") })
	return first+1 == i && !slices.ContainsFunc(argv, func(a string) bool {
		return slices.Contains([]string{"-e", "-f", "--regexp", "--file", "--expression"}, a)
	})
}

// Injects reports whether a variable makes a program load or run more than it
// would by itself. What unknown stands for only the run knows; raised means that
// it runs with the rights of another user.
func Injects(name, value, unknown string, raised bool) bool {
	switch name {
	case "LD_PRELOAD", "LD_AUDIT", "DYLD_INSERT_LIBRARIES":
		return slices.ContainsFunc(strings.FieldsFunc(value, func(r rune) bool { return r == ':' || r == ' ' }), func(lib string) bool {
			return strings.Contains(lib, "/") && !slices.ContainsFunc([]string{"/usr/lib", "/lib", "/usr/local/lib", "/opt/"}, func(dir string) bool { return strings.HasPrefix(lib, dir) }) || strings.Contains(lib, unknown)
		})
	case "LD_LIBRARY_PATH", "PATH", "PYTHONPATH", "PERL5LIB", "RUBYLIB":
		return value != "" && raised && !strings.HasPrefix(value, "/usr") && !strings.HasPrefix(value, unknown)
	case "BASH_ENV", "PYTHONSTARTUP", "PERL5DB", "GCONV_PATH":
		return value != "" && !strings.HasPrefix(value, "/etc/")
	case "PERL5OPT", "RUBYOPT":
		return slices.ContainsFunc(strings.Fields(value), func(w string) bool {
			return strings.HasPrefix(w, "-e") || (strings.HasPrefix(w, "-r") || strings.HasPrefix(w, "-I")) && strings.ContainsAny(w, "./") || strings.HasPrefix(w, "-M") && !slices.Contains([]string{"-Mstrict", "-Mwarnings", "-Mutf8", "-MDevel::Cover", "-Mlocal::lib", "-MCarp"}, w)
		})
	case "NODE_OPTIONS", "BUN_OPTIONS":
		loads := false
		for _, w := range strings.FieldsFunc(value, func(r rune) bool { return r == ' ' || r == '=' }) {
			if loads && (strings.HasPrefix(w, ".") || strings.HasPrefix(w, "/") || strings.HasPrefix(w, "data:")) {
				return true
			}
			loads = slices.Contains([]string{"-r", "--require", "--import", "--loader", "--experimental-loader"}, w)
		}
	case "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS":
		return strings.Contains(value, "-javaagent") || strings.Contains(value, "-agent") || strings.Contains(value, "OnOutOfMemory") || strings.Contains(value, "OnError")
	}
	return false
}

// Matches reports whether an argument is the word that an owner wrote: exactly,
// by its beginning before a "*", or as a letter among bundled ones.
func Matches(want, arg string) bool {
	if begin, ok := strings.CutSuffix(want, "*"); ok {
		return strings.HasPrefix(arg, begin)
	}
	if len(want) == 2 && want[0] == '-' && len(arg) > 1 && arg[0] == '-' && arg[1] != '-' {
		return strings.Contains(arg[1:], want[1:])
	}
	return arg == want
}

// Completes reports whether a program is asked for the completions of a shell,
// which are its own text and made to be read by one.
func Completes(name string, args []string) bool {
	if len(args) == 0 || len(args) > 4 || !slices.Contains([]string{
		"kubectl", "helm", "gh", "glab", "docker", "podman", "minikube", "kind", "k3d", "k3s", "npm", "pnpm", "rustup", "golangci-lint", "hugo", "deno", "poetry", "pdm", "flux", "argocd", "istioctl", "doctl", "hcloud", "eksctl", "skaffold", "stern",
		"velero", "cosign", "oc", "crictl", "kubeadm", "just", "starship", "op", "kustomize", "k9s", "chezmoi", "mise", "uv", "ruff", "flyctl", "fly", "cilium", "linkerd", "talosctl", "nerdctl", "syft", "trivy", "bw", "ng", "goreleaser", "task", "atuin", "zellij", "phantom",
	}, name) {
		return false
	}
	verb := args[0]
	if name == "pnpm" || name == "rustup" || name == "poetry" || name == "npm" {
		verb = strings.TrimSuffix(verb, "s")
	}
	return slices.Contains([]string{"completion", "completions", "generate-shell-completion", "gen-completions", "--completion"}, verb) && !slices.ContainsFunc(args[1:], func(a string) bool { return strings.Trim(a, "abcdefghijklmnopqrstuvwxyz-=") != "" })
}

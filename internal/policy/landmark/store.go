package landmark

import (
	"path"
	"slices"
	"strings"
)

// Starts reports whether the operands begin with these words, each of which
// may be alternatives separated by "|".
func Starts(operands []string, words ...string) bool {
	if len(operands) < len(words) {
		return false
	}
	for i, w := range words {
		if !slices.ContainsFunc(strings.Split(w, "|"), func(want string) bool { return MayBe(operands[i], want) }) {
			return false
		}
	}
	return true
}

// MayBe reports whether a word is another, or may be once the run has filled in
// a part of it. A word of which nothing is known is none.
func MayBe(word, want string) bool {
	const unknown = "\uE000" // as the shell's reader writes it
	known := strings.ReplaceAll(word, unknown, "")
	if known == word || len(known) < 3 || strings.ContainsAny(known, `*?[\`) {
		return word == want
	}
	ok, err := path.Match(strings.ReplaceAll(word, unknown, "*"), want)
	return ok && err == nil
}

// OpensStore reports whether a program prints secrets from where they are kept,
// given its arguments, its operands, and those operands as git reads them.
func OpensStore(program string, args, w, git []string) bool {
	has := func(words ...string) bool {
		return slices.ContainsFunc(args, func(a string) bool { return slices.Contains(words, a) })
	}
	switch program {
	case "gpg", "gpg2":
		return slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, "--export-secret") })
	case "getent":
		return Starts(w, "shadow|gshadow")
	case "security":
		return Starts(w, "find-generic-password|find-internet-password|dump-keychain|export")
	case "pass", "lpass":
		return len(w) > 0 && !Starts(w, "ls|list|find|generate|insert|git|init|status|login|logout|version|help")
	case "vault":
		return Starts(w, "read|kv|print|unwrap") && !Starts(w, "kv", "list|put|patch|metadata")
	case "aws":
		return Starts(w, "secretsmanager", "get-secret-value|batch-get-secret-value") || Starts(w, "ssm") && has("--with-decryption") || Starts(w, "sts", "get-session-token|assume-role") || Starts(w, "configure", "export-credentials") || Starts(w, "iam", "create-access-key") || Starts(w, "configure", "get")
	case "kubectl", "oc":
		return Starts(w, "get|describe", "secret|secrets") && (w[0] == "get" && slices.ContainsFunc(args, func(a string) bool {
			return a == "-o" || strings.HasPrefix(a, "-o") || strings.HasPrefix(a, "--output")
		})) || has("secret", "secrets") && has("get") && slices.ContainsFunc(args, func(a string) bool {
			return strings.HasPrefix(a, "-o") || strings.HasPrefix(a, "--output") || strings.HasPrefix(a, "--template")
		})
	case "gcloud":
		return Starts(w, "secrets", "versions", "access") || has("print-access-token", "print-identity-token")
	case "az":
		return has("get-access-token") || Starts(w, "keyvault", "secret", "show|download")
	case "gh", "hcloud":
		return Starts(w, "auth", "token") || Starts(w, "auth", "status") && has("-t", "--show-token")
	case "op", "bw":
		return Starts(w, "read|get|item|inject|export|document") && !Starts(w, "item", "list|create")
	case "heroku", "flyctl", "fly":
		return Starts(w, "config") || Starts(w, "config:get") || Starts(w, "auth", "token")
	case "git":
		return Starts(git, "credential", "fill")
	case "doppler", "chamber":
		return Starts(w, "secrets|read|export|list")
	case "age":
		return has("-d", "--decrypt") && !has("-o", "--output")
	case "sops", "ansible-vault":
		return has("-d", "--decrypt", "decrypt", "view")
	case "secret-tool", "keyring", "kwallet-query":
		return Starts(w, "lookup|get|search") || program == "kwallet-query"
	}
	return false
}

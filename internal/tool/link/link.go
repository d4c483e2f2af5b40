// Package link finds addresses in texts that people and pages wrote.
//
// It owns what counts as the same address. It refuses whatever has a part more,
// or less, than what stands there. It opens nothing and judges nothing; only
// package tool asks it.
package link

import "strings"

// In reports whether an address stands in one of the texts, whole.
func In(address string, texts []string) bool {
	address = plain(address)
	for _, text := range texts {
		for word := range strings.FieldsFuncSeq(text, ends) {
			if !strings.Contains(word, ".") {
				continue
			}
			// A sentence may end right behind an address, and people leave the scheme out.
			for _, w := range []string{word, strings.TrimRight(word, ".,;:!?*_")} {
				if plain(w) == address || plain("https://"+w) == address {
					return true
				}
			}
		}
	}
	return false
}

func ends(r rune) bool {
	return r <= ' ' || r == 0x7f || strings.ContainsRune("<>\"'`()[]{}|\\^", r)
}

// plain drops what does not change the page: the fragment, the slash
// behind a bare host, the case of the host.
func plain(address string) string {
	address, _, _ = strings.Cut(address, "#")
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok {
		return address
	}
	end := strings.IndexAny(rest+"/", "/?") // a query may follow the host, and its case can tell something
	return strings.ToLower(scheme+"://"+rest[:end]) + "/" + strings.TrimPrefix(rest[end:], "/")
}

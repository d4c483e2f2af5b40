// Package vouch reads what a receiving mail server found out about a sender.
//
// It owns one decision: whether a message's Authentication-Results (RFC 8601)
// vouch for the domain of its author. It is pure, and refuses whatever it
// cannot read: these fields are the only thing that tells the owner's mail
// from everybody else's, and parts of them are made of what the sender said.
package vouch

import (
	"slices"
	"strings"
)

// Judge says whether the owner's own receiving server vouches for the domain
// of an address: its Authentication-Results (RFC 8601) must say that DMARC
// passes for it, or that DKIM or SPF does with that very domain. fields are
// the values of the header's Authentication-Results, topmost first.
//
// Only the topmost field with the server's name counts: whoever sent the
// message could write the same name into it, and what the server adds stands
// above that. Everything that cannot be read is no pass; why says so.
func Judge(fields []string, server, domain string) (pass bool, why string) {
	seen := ""
	for _, field := range fields {
		id, results, ok := parseResults(field)
		if !ok {
			if id != "" && names(server, id) {
				return false, "what " + id + " found out about the sender cannot be read"
			}
			continue
		}
		if !names(server, id) {
			if seen == "" {
				seen = id
			}
			continue
		}
		if slices.ContainsFunc(results, func(r result) bool { return r.method == "dmarc" && r.value == "fail" }) {
			return false, id + " says that DMARC fails"
		}
		if slices.ContainsFunc(results, func(r result) bool { return r.vouches(domain) }) {
			return true, ""
		}
		return false, id + " does not say that DKIM, SPF or DMARC passes for " + domain
	}
	if seen != "" {
		return false, "the sender was looked at by " + seen + " and not by " + server + ", which is the email.auth_server of config/channels.yaml"
	}
	return false, "no result of " + server + " stands in the message, which is the email.auth_server of config/channels.yaml"
}

// names reports whether the configured name of the server is id, or stands for
// it with a "*." in front.
func names(server, id string) bool {
	server, id = strings.ToLower(server), strings.ToLower(id)
	if domain, any := strings.CutPrefix(server, "*."); any {
		host, rest, found := strings.Cut(id, ".")
		return found && host != "" && domain != "" && rest == domain
	}
	return id == server
}

// result is what one method came to.
type result struct {
	method, value string            // in small letters
	properties    map[string]string // "" for one that stands there twice or in quotes: it proves nothing
}

// vouches reports whether a result passes for exactly this domain. A domain
// that is merely akin is the receiving server's to judge, which says so by
// dmarc=pass.
func (r result) vouches(domain string) bool {
	if r.value != "pass" || domain == "" {
		return false
	}
	switch r.method {
	case "dmarc":
		return domainOf(r.properties["header.from"]) == domain
	case "dkim":
		if d, said := r.properties["header.d"]; said {
			return domainOf(d) == domain
		}
		return domainOf(r.properties["header.i"]) == domain
	case "spf":
		return domainOf(r.properties["smtp.mailfrom"]) == domain
	}
	return false
}

// domainOf returns the domain of an address or of a bare domain, or "".
func domainOf(text string) string {
	domain := text[strings.LastIndexByte(text, '@')+1:]
	if strings.ContainsAny(domain, "\"<>()[]\\,;: \t") {
		return ""
	}
	return strings.ToLower(domain)
}

const (
	maxField   = 16 << 10 // bytes of one field; a longer one is not read
	maxName    = 255      // bytes of the name of a server
	maxResults = 64       // of one field
	maxNested  = 8        // comments within comments
)

// parseResults reads one field strictly: the name of the server, then results
// between semicolons. Comments say nothing and quotes are honoured, because
// senders can have words of theirs put into both. If ok is false, nothing that
// the field says may be believed.
func parseResults(field string) (id string, results []result, ok bool) {
	long := len(field) > maxField // senders can make the server write much
	s := &scanner{rest: field[:min(len(field), maxField)]}
	if !s.space() {
		return "", nil, false
	}
	id = s.word(";=")
	if id == "" || long || len(id) > maxName || !s.space() {
		return id[:min(len(id), maxName)], nil, false
	}
	if s.next() != ';' && s.rest != "" && (s.word(";=") != "1" || !s.space()) {
		return id, nil, false // a version that is not known
	}
	for s.rest != "" {
		if !s.take(';') || !s.space() {
			return id, nil, false
		}
		if s.rest == "" || s.next() == ';' {
			continue // nothing between two of them, or behind the last
		}
		r, ok := s.result()
		if !ok || len(results) == maxResults {
			return id, nil, false
		}
		if r.method != "none" {
			results = append(results, r)
		}
	}
	return id, results, true
}

// scanner takes a field apart.
type scanner struct{ rest string }

func (s *scanner) next() byte {
	if s.rest == "" {
		return 0
	}
	return s.rest[0]
}

func (s *scanner) take(c byte) bool {
	if s.next() != c || s.rest == "" {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// space skips white space and comments; false if a comment has no end.
func (s *scanner) space() bool {
	for {
		s.rest = strings.TrimLeft(s.rest, " \t\r\n")
		if s.next() != '(' {
			return true
		}
		depth, i := 0, 0
		for ; i < len(s.rest); i++ {
			switch s.rest[i] {
			case '\\':
				i++
			case '(':
				depth++
			case ')':
				depth--
			}
			if depth == 0 || depth > maxNested {
				break
			}
		}
		if depth != 0 || i >= len(s.rest) {
			return false
		}
		s.rest = s.rest[i+1:]
	}
}

// word takes printable ASCII up to white space, a comment, a quote or one of
// the characters in end.
func (s *scanner) word(end string) string {
	i := 0
	for i < len(s.rest) && s.rest[i] > ' ' && s.rest[i] <= '~' && s.rest[i] != '(' && s.rest[i] != ')' && s.rest[i] != '"' && !strings.ContainsRune(end, rune(s.rest[i])) {
		i++
	}
	word := s.rest[:i]
	s.rest = s.rest[i:]
	return word
}

// value takes what stands behind an equals sign. plain is false if quotes were
// in it: then it is skipped, and not read.
func (s *scanner) value() (text string, plain, ok bool) {
	plain = true
	for {
		word := s.word(";")
		text += word
		if s.next() != '"' {
			return text, plain, text != "" || !plain
		}
		plain = false
		end := 1
		for end < len(s.rest) && s.rest[end] != '"' {
			if s.rest[end] == '\\' {
				end++
			}
			end++
		}
		if end >= len(s.rest) {
			return "", false, false
		}
		s.rest = s.rest[end+1:]
	}
}

// result takes one result up to the next semicolon.
func (s *scanner) result() (result, bool) {
	r := result{properties: map[string]string{}}
	for first := true; s.rest != "" && s.next() != ';'; first = false {
		key := strings.ToLower(s.word(";="))
		if key == "" || !s.space() {
			return r, false
		}
		if first && key == "none" && (s.rest == "" || s.next() == ';') {
			r.method = key
			return r, true
		}
		if !s.take('=') || !s.space() {
			return r, false
		}
		value, plain, ok := s.value()
		if !ok || !s.space() {
			return r, false
		}
		if first {
			if !plain {
				return r, false
			}
			method, _, _ := strings.Cut(key, "/") // its version
			r.method, r.value = method, strings.ToLower(value)
			continue
		}
		if _, twice := r.properties[key]; twice || !plain {
			value = ""
		}
		r.properties[key] = value
	}
	return r, r.method != ""
}

package rule

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"phantom/internal/gate/text"
)

// links finds addresses in texts.
type links struct {
	full   *regexp.Regexp // with a scheme
	bare   *regexp.Regexp // a host's name without one
	mail   *regexp.Regexp
	elided *regexp.Regexp // the articles of French and Italian before a vowel
	verb   *regexp.Regexp // verbs that make a bare name an address
}

func newLinks() links {
	return links{
		elided: regexp.MustCompile(`(?i)\b(l|d|dell|all|nell|sull|qu|n|j|s|c|m|t|un|quest|lorsqu|jusqu)['’]`),
		full:   regexp.MustCompile(`(?i)\b[a-z][a-z0-9+.-]{1,20}://[^\s<>"')\]` + "`" + `]+|\b(?:hxxps?|http|https)\[?:[^\s<>"')]+|\bwww\.[^\s<>"')\]` + "`" + `]+|(?:^|[\s("'])//[a-z0-9.-]+\.[a-z]{2,}\S*`),
		bare:   regexp.MustCompile(`(?i)\b(?:[a-z0-9-]+(?:\.|\[\.\]|\(\.\)| dot ))+(?:com|net|org|io|dev|co|ru|cn|xyz|info|biz|app|ai|site|top|online|tk|link|click|cloud|example|test|invalid|onion|de|fr|es|it|uk|eu|us|to|cc|tv|me|ly|gg|page|tech|pw|su|icu|live|zip|mov)\b(?:/\S*)?`),
		mail:   regexp.MustCompile(`(?i)[a-z0-9._%+-]+(?:@|\[at\]|\(at\)| at )[a-z0-9.-]+\.[a-z]{2,}`),
		verb:   regexp.MustCompile(`(?i)\b(send|sends|sending|post|posts|posting|upload\w*|fetch\w*|visit\w*|download\w*|curl|wget|exfiltrat\w*|forward\w*|submit\w*|ping|beacon|report (?:to|back)|connect to|call home|sync\w* (?:to|with)|push (?:to|it)|copy to|load\w* from|instructions (?:from|at)|install from|retriev\w*|navigate|browse to|sende\w*|lade|envoi\w*|envoy\w*|envi[ae]\w*|invia\w*|отправ\w*|загруз\w*)`),
	}
}

// outsider is the word that stands for an address when meanings are read.
const outsider = " xaddressx "

// plain is a text with one word in the place of each address.
func (l links) plain(s string) string {
	s = l.elided.ReplaceAllString(s, "$1 ")
	s = l.full.ReplaceAllString(s, outsider)
	s = l.mail.ReplaceAllString(s, outsider)
	return l.bare.ReplaceAllStringFunc(s, func(found string) string {
		if strings.HasSuffix(found, ".md") {
			return found
		}
		return outsider
	})
}

// address refuses addresses that the owner did not allow.
func (r *Rules) address(s string) error {
	for _, form := range []string{text.Plain(s), strings.ToLower(r.reader.Fold(s))} {
		for _, found := range r.links.full.FindAllString(form, -1) {
			if err := r.allowed(strings.Trim(found, " (\"'\n\t")); err != nil {
				return err
			}
		}
		if !r.links.verb.MatchString(form) {
			continue
		}
		for _, found := range r.links.bare.FindAllStringIndex(r.links.mail.ReplaceAllString(form, "mail"), -1) {
			name := strings.NewReplacer("[.]", ".", "(.)", ".", " dot ", ".").Replace(r.links.mail.ReplaceAllString(form, "mail")[found[0]:found[1]])
			host, _, _ := strings.Cut(name, "/")
			if !r.host(host) {
				return fmt.Errorf("addresses: %q is not among the hosts that a lesson may name", host)
			}
		}
	}
	return nil
}

// allowed judges one address with a scheme.
func (r *Rules) allowed(address string) error {
	address = strings.TrimRight(address, ".,;:!?")
	if !strings.Contains(address, "://") {
		return fmt.Errorf("addresses: %q is no whole https address", address)
	}
	u, err := url.Parse(address)
	if err != nil {
		return fmt.Errorf("addresses: %q cannot be read", address)
	}
	host := u.Hostname()
	switch {
	case u.Scheme != "https":
		return fmt.Errorf("addresses: %q is not https", address)
	case u.User != nil || u.Port() != "" || net.ParseIP(host) != nil || strings.Contains(host, "xn--") || !strings.Contains(host, "."):
		return fmt.Errorf("addresses: %q has more or less than a name for its host", address)
	case !r.host(host):
		return fmt.Errorf("addresses: %q is not among the hosts that a lesson may name", host)
	}
	return nil
}

func (r *Rules) host(name string) bool {
	return slices.ContainsFunc(r.hosts, func(h string) bool { return name == h || strings.HasSuffix(name, "."+h) })
}

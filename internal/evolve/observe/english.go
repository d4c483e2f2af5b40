package observe

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"phantom/internal/memory/speech"
)

// Words after which "never", "always", "don't" and "no" order nothing.
const (
	neverNot = " mind heard seen been had was said thought knew again better worked happened before too in did got have has is are a an the my i you it this that works ends fails rains changes gets goes comes "
	alwaysNo = " a an the nice good great fun glad happy wrong right something my so too been has had is was works fails breaks will there it this that i you he she they better best "
	banNot   = " worry bother mind you know think panic hesitate get want have need like understand remember care see believe feel forget stop wait move start continue begin hurry even tell let me blame hate miss leave go come look read sleep laugh cry be "
	noNot    = " problem problems worries worry idea ideas need way thanks thank rush hurry luck doubt matter wonder offence offense chance change changes reason reasons reply replies response answer answers news one ones progress error errors result results difference harm clue point time surprise surprises questions question comment comments objection objections issue issues tests yes worse nothing pressure stress bugs files matches updates "
	pastTold = " said saw got had meant asked told wrote did received knew thought heard wanted was were been went made gave took found understood forgot "
	nobody   = " it this that there here what who how why where when he she they i you we everything nothing something anything someone the a an these those and but so yes no my your his her if as now then "
	doing    = " are have had get can finish want like need think feel see start begin continue go leave come do did were was know arrive say said speak wake "
	imagined = " bit little few couple moment minute mess second loss big huge sure afraid tad fool "
)

func among(list, word string) bool { return strings.Contains(list, " "+strings.ToLower(word)+" ") }

// sentence is one that is being read.
type sentence struct {
	*table
	text     string // without what leads up to it
	wrong    bool   // something was wrong before
	standing bool   // it is said to hold from now on
	polite   bool
}

// read reads one sentence.
func read(whole string) (lesson, bool) {
	p := patterns()
	if len(whole) > maxText || strings.Contains(whole, "…") || strings.Contains(whole, "[redacted]") || !utf8.ValidString(whole) || strings.ContainsFunc(whole, hidden) {
		return lesson{}, false
	}
	quote := strings.TrimLeft(whole[len(cutters().bullet.FindString(whole)):], "*_ ")
	s := sentence{table: p, text: strings.Join(strings.Fields(strings.ReplaceAll(quote, "**", "")), " ")}
	if s.strip(); s.text == "" {
		return lesson{}, false
	}
	if l, ok := s.foreign(); ok {
		return l.finished(quote)
	}
	if p.happy.MatchString(s.text) && !s.wrong && len(strings.Fields(s.text)) <= 6 && !speech.Negated(s.text) && !strings.Contains(s.text, " but ") {
		return lesson{kind: Success, text: s.text, confidence: 0.8}.finished(quote)
	}
	if p.hedge.MatchString(s.text) {
		return lesson{}, false
	}
	l, ok := s.english()
	if !ok || p.passing.MatchString(l.text) || p.pointing(l.text) {
		return lesson{}, false
	}
	if l.kind != Domain && !strings.Contains(" "+l.text+" ", " I ") {
		l.text = ofMe(l.text)
	}
	if s.wrong && l.kind == Preference {
		l.kind = Correction
	}
	l.confidence = 0.9
	return l.finished(quote)
}

// hidden are runes that nobody sees in a lesson: they break lines, turn text
// round or stand between letters.
func hidden(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}

// finished is a lesson as a sentence.
func (l lesson) finished(quote string) (lesson, bool) {
	l.quote = quote
	l.text = strings.Trim(strings.Join(strings.Fields(l.text), " "), " ,;:-–—*_")
	for _, short := range []string{"e.g", "i.e", "etc", "vs", "z.B", "bzw", "Dr", "Mr", "Mrs", "Ms", "Prof", "St", "No"} { // the full stop was none
		if strings.HasSuffix(l.text, " "+short) {
			return l, false
		}
	}
	if l.text == "" || l.quote == "" {
		return l, false
	}
	l.text = speech.Upper(l.text) + "."
	return l, len(l.text) <= maxText
}

// strip takes off what leads up to the sentence and trails it.
func (s *sentence) strip() {
	for before := ""; before != s.text; {
		before = s.text
		if m := s.noWord.FindStringSubmatch(s.text); m != nil {
			s.text, s.wrong = m[1], true
		}
		for _, cut := range []struct {
			pattern *regexp.Regexp
			note    *bool
		}{{s.hard, &s.wrong}, {s.table.standing, &s.standing}, {s.after, &s.standing}, {s.table.polite, &s.polite}} {
			if rest := cut.pattern.ReplaceAllString(s.text, ""); rest != s.text && rest != "" {
				s.text, *cut.note = rest, true
			}
		}
		if lead := s.soft.FindString(s.text); lead != "" && lead != s.text {
			s.text = s.text[len(lead):]
			s.polite = s.polite || strings.HasPrefix(strings.ToLower(lead), "please")
		}
	}
	s.text = strings.TrimRight(s.text, " ,;:-–—*_")
	if rest := s.toldNot.ReplaceAllString(s.text, "Do not "); rest != s.text {
		s.wrong, s.text = true, rest
	}
	s.text = s.mustNot.ReplaceAllString(s.text, "Do not ")
	s.text = s.mustAlways.ReplaceAllString(s.text, "$1")
}

// english reads what English orders, states or complains of.
func (s *sentence) english() (lesson, bool) {
	for _, form := range []func() (lesson, bool){s.absolute, s.bans, s.choices, s.occasions, s.wishes, s.owner, s.field, s.complaint} {
		if l, ok := form(); ok {
			return l, true
		}
	}
	first := strings.Fields(s.text)[0]
	if s.standing && len(strings.Fields(s.text)) > 1 && !among(nobody, strings.Trim(first, ",.:")) {
		return lesson{kind: Preference, text: s.text}, true
	}
	return lesson{}, false
}

// absolute: never and always.
func (s *sentence) absolute() (lesson, bool) {
	if m := s.never.FindStringSubmatch(s.text); m != nil {
		return lesson{kind: Correction, text: s.text, ban: true}, !among(neverNot, m[1]) && strings.TrimSpace(m[2]) != ""
	}
	if m := s.always.FindStringSubmatch(s.text); m != nil {
		return lesson{kind: Correction, text: s.text}, !among(alwaysNo, m[1]) && strings.TrimSpace(m[2]) != "" && !strings.HasSuffix(m[1], "ing")
	}
	return lesson{}, false
}

// bans: don't, stop, avoid, no.
func (s *sentence) bans() (lesson, bool) {
	l := lesson{kind: Correction, text: s.text, ban: true}
	if m := s.ban.FindStringSubmatch(s.text); m != nil {
		if strings.EqualFold(m[1], "be") {
			return l, s.style.MatchString("be "+m[2]) || strings.HasPrefix(m[2], "so ")
		}
		return l, !among(banNot, m[1]) && m[2] != "" && (s.general(m[2]) || strings.Contains(s.text, " ever "))
	}
	if m := s.stop.FindStringSubmatch(s.text); m != nil {
		return l, s.general(m[2]) && !strings.EqualFold(m[2], "please")
	}
	if m := s.avoid.FindStringSubmatch(s.text); m != nil {
		l.ban = !strings.HasPrefix(strings.ToLower(s.text), "pref") && !strings.HasPrefix(strings.ToLower(s.text), "fav")
		return l, s.general(m[1])
	}
	if m := s.noMore.FindStringSubmatch(s.text); m != nil {
		return l, (strings.HasSuffix(m[1], "s") || strings.HasSuffix(s.text, "s")) && !among(noNot, m[1])
	}
	if m := s.no.FindStringSubmatch(s.text); m != nil {
		return l, !among(noNot, m[1]) && s.general(s.text) && !strings.Contains(s.text, " the ") && !s.told.MatchString(s.text)
	}
	if m := s.noPlural.FindStringSubmatch(s.text); m != nil {
		return l, (s.polite || s.standing || s.wrong) && !among(noNot, m[1]) && strings.HasSuffix(s.text, "s") && !s.told.MatchString(s.text)
	}
	return lesson{}, false
}

// choices: one thing and not the other.
func (s *sentence) choices() (lesson, bool) {
	l := lesson{kind: Correction, text: s.text}
	if m := s.should.FindStringSubmatch(s.text); m != nil {
		l.text = "Use " + m[1] + ", not " + m[2]
		return l, s.general(m[1]) && s.general(m[2])
	}
	if m := s.notBut.FindStringSubmatch(s.text); m != nil {
		l.text = "Use " + m[2] + ", not " + m[1]
		return l, s.wrong && s.general(m[1]) && s.general(m[2])
	}
	if m := s.choice.FindStringSubmatch(s.text); m != nil {
		return l, s.general(m[1]) && s.general(m[2])
	}
	return lesson{}, false
}

// occasions: what is to be done, and when.
func (s *sentence) occasions() (lesson, bool) {
	l := lesson{kind: Correction, text: s.text}
	if m := s.each.FindStringSubmatch(s.text); m != nil {
		return l, orders(m[1])
	}
	if m := s.when.FindStringSubmatch(s.text); m != nil {
		return l, !among(doing, m[1]) && orders(m[3])
	}
	if m := s.any.FindStringSubmatch(s.text); m != nil {
		return l, orders(m[1])
	}
	if m := s.within.FindStringSubmatch(s.text); m != nil {
		sure := strings.HasPrefix(strings.ToLower(m[2]), "never") || strings.HasPrefix(strings.ToLower(m[2]), "always")
		return l, sure || s.general(m[1]) && s.general(m[2])
	}
	if s.ifAlways.MatchString(s.text) {
		return l, true
	}
	if m := s.to.FindStringSubmatch(s.text); m != nil {
		return l, !among(" be start fix continue my go sum say ", m[1])
	}
	return lesson{}, false
}

// wishes: how things are to be.
func (s *sentence) wishes() (lesson, bool) {
	if s.style.MatchString(s.text) {
		return lesson{kind: Preference, text: s.text}, true
	}
	if s.manner.MatchString(s.text) {
		return lesson{kind: Correction, text: s.text}, !s.atHand.MatchString(s.text)
	}
	if m := s.use.FindStringSubmatch(s.text); m != nil {
		return lesson{kind: Correction, text: s.text}, s.indefinite(m[1])
	}
	if m := s.write.FindStringSubmatch(s.text); m != nil {
		return lesson{kind: Correction, text: s.text}, s.general(m[1])
	}
	return lesson{}, false
}

// general reports whether what something is done to is not one thing at hand.
func (s *sentence) general(object string) bool {
	return s.standing || !s.definite.MatchString(object) || s.scope.MatchString(object) || s.kinds.MatchString(object)
}

// indefinite reports whether words name nothing at hand at all.
func (s *sentence) indefinite(object string) bool {
	return s.standing || !s.atHand.MatchString(object)
}

// orders reports whether words begin as an order does.
func orders(words string) bool {
	first, _, _ := strings.Cut(strings.TrimSpace(words), " ")
	return len(strings.Fields(words)) > 1 && !among(nobody, strings.Trim(first, ",.'")) && !strings.Contains(first, "'")
}

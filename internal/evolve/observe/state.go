package observe

import (
	"strings"
	"unicode"
)

// owner: what he likes, does and is. "I" becomes "the owner": in a document of
// Phantom's it would be somebody else.
func (s *sentence) owner() (lesson, bool) {
	l := lesson{kind: Preference, text: s.text}
	ok := false
	if m := s.prefer.FindStringSubmatch(s.text); m != nil {
		ok = (!s.definite.MatchString(strings.TrimSpace(m[1])) || strings.HasPrefix(m[1], " that you ")) && !strings.HasPrefix(m[1], " to ")
	} else if m := s.like.FindStringSubmatch(s.text); m != nil {
		ok = !s.definite.MatchString(m[1]) && !strings.HasPrefix(m[1], "to ") && !strings.HasPrefix(m[1], "you ") && !strings.HasPrefix(m[1], "how ")
	} else if m := s.want.FindStringSubmatch(s.text); m != nil {
		ok = !strings.Contains(m[1], " the ")
	} else if m := s.habit.FindStringSubmatch(s.text); m != nil {
		ok = !among(pastTold, m[1]) && !(strings.HasSuffix(m[1], "ed") && !strings.HasSuffix(m[1], "eed")) && !s.definite.MatchString(strings.TrimSpace(m[2])) && m[2] != ""
	} else if m := s.am.FindStringSubmatch(s.text); m != nil {
		ok = !among(imagined, m[1])
	} else if m := s.my.FindStringSubmatch(s.text); m != nil {
		ok = !s.fading.MatchString(m[1])
	} else if m := s.callMe.FindStringSubmatch(s.text); m != nil {
		l.text = "Call the owner " + m[1]
		return l, true
	}
	if !ok {
		return lesson{}, false
	}
	l.text = ofOwner(s.text)
	return l, true
}

// ofOwner tells what the owner says of himself.
func ofOwner(text string) string {
	words := strings.Fields(text)
	switch lower := strings.ToLower(words[0]); {
	case lower == "i'm":
		words[0] = "The owner is"
	case lower == "i'd":
		words[0] = "The owner would"
	case lower == "i":
		words[0] = "The owner"
		for n := 1; n < len(words); n++ {
			word := strings.ToLower(words[n])
			if among(" always never usually normally generally typically mostly only rarely seldom really much strongly absolutely rather ", word) {
				continue
			}
			words[n] = third(word, words[n])
			break
		}
	}
	return ofMe(strings.Join(words, " "))
}

// ofMe names the owner where he says "me".
func ofMe(text string) string {
	return patterns().first.ReplaceAllStringFunc(text, func(w string) string {
		switch strings.ToLower(w) {
		case "my", "mine":
			return "the owner's"
		case "i", "me", "myself":
			return "the owner"
		}
		return w
	})
}

// third is a verb with "he".
func third(lower, verb string) string {
	switch lower {
	case "am":
		return "is"
	case "have":
		return "has"
	case "don't":
		return "does not"
	case "do", "go":
		return lower + "es"
	case "would", "can", "can't", "cannot", "will", "must":
		return verb
	}
	for _, end := range []string{"s", "sh", "ch", "x", "z"} {
		if strings.HasSuffix(lower, end) {
			return verb + "es"
		}
	}
	if n := len(lower); n > 1 && lower[n-1] == 'y' && !strings.ContainsRune("aeou", rune(lower[n-2])) {
		return verb[:n-1] + "ies"
	}
	return verb + "s"
}

// field: what holds in the owner's team, code and systems.
func (s *sentence) field() (lesson, bool) {
	l := lesson{kind: Domain, text: strings.TrimSuffix(s.text, " now")}
	if s.wrong {
		l.kind = Correction
	}
	if m := s.team.FindStringSubmatch(s.text); m != nil {
		return l, true
	}
	if m := s.convention.FindStringSubmatch(s.text); m != nil {
		return l, !s.fading.MatchString(strings.TrimSpace(m[1]))
	}
	if m := s.we.FindStringSubmatch(s.text); m != nil {
		return l, s.general(strings.TrimSpace(m[1])) && !strings.HasPrefix(m[1], " to ")
	}
	if m := s.ours.FindStringSubmatch(s.text); m != nil {
		return l, (strings.EqualFold(m[1], "our") || s.wrong) && !s.fading.MatchString(m[2])
	}
	if m := s.plural.FindStringSubmatch(s.text); m != nil {
		words := strings.Fields(m[1])
		last := strings.ToLower(words[len(words)-1])
		whole := among(" every each all ", words[0])
		return l, (whole || strings.HasSuffix(last, "s") && !strings.HasSuffix(last, "ss")) && !among(nobody, words[0]) && !among(" our things tests ", words[0]) && !strings.Contains(m[1], "'") && !s.fading.MatchString(strings.TrimPrefix(m[2], "be "))
	}
	return lesson{}, false
}

// complaint: what does not work. Such a lesson is to expire.
func (s *sentence) complaint() (lesson, bool) {
	l := lesson{kind: Error, text: s.text}
	m := s.broken.FindStringSubmatch(s.text)
	if m == nil {
		m = s.fails.FindStringSubmatch(s.text)
	}
	if m == nil {
		return lesson{}, false
	}
	words := strings.Fields(m[1])
	if among(nobody, words[0]) || among(" our all some tests test builds build code things ", words[0]) || strings.ContainsAny(m[1], ",;:") {
		return lesson{}, false
	}
	return l, unicode.IsLetter([]rune(words[0])[0]) || strings.HasPrefix(words[0], "`")
}

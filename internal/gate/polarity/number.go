package polarity

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// quantity is a number and what it counts, in the smallest unit of its kind.
type quantity struct {
	value float64
	unit  string
}

// units bring units of one kind together.
var units = map[string]quantity{
	"ms": {1e-3, "s"}, "millisecond": {1e-3, "s"}, "s": {1, "s"}, "sec": {1, "s"}, "second": {1, "s"}, "min": {60, "s"}, "minute": {60, "s"}, "h": {3600, "s"}, "hour": {3600, "s"},
	"day": {86400, "s"}, "week": {604800, "s"}, "kb": {1e3, "b"}, "mb": {1e6, "b"}, "gb": {1e9, "b"}, "tb": {1e12, "b"}, "%": {1, "%"}, "percent": {1, "%"},
	"usd": {1, "$"}, "dollar": {1, "$"}, "eur": {1, "€"}, "euro": {1, "€"},
}

// labels are words whose number is a name: "ticket 12" is not more than "ticket 11".
const labels = " ticket issue pr step chapter room error exit code status http rfc iso line page no number item section figure day track task pull request "

var numerals = map[string]float64{
	"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40,
	"fifty": 50, "sixty": 60, "ninety": 90, "hundred": 100,
}

// number reads a word as a number with or without a unit: "30", "30s", "1,000",
// "9:30", "$5". A version of more than one point is a number by its parts.
func number(word string) (quantity, bool) {
	if n, ok := numerals[word]; ok {
		return quantity{value: n}, true
	}
	unit := ""
	if rest, ok := strings.CutPrefix(word, "$"); ok {
		word, unit = rest, "$"
	} else if rest, ok := strings.CutPrefix(word, "€"); ok {
		word, unit = rest, "€"
	}
	end := strings.IndexFunc(word, func(r rune) bool { return !unicode.IsDigit(r) && !strings.ContainsRune(".,:", r) })
	if end < 0 {
		end = len(word)
	}
	digits, after := word[:end], word[end:]
	if digits == "" || !unicode.IsDigit(rune(digits[0])) {
		return quantity{}, false
	}
	value, ok := value(strings.TrimRight(digits, ".,:"))
	if !ok {
		return quantity{}, false
	}
	if after == "" {
		return quantity{value, unit}, true
	}
	u, ok := units[strings.TrimSuffix(after, "s")]
	if after == "s" || after == "ms" {
		u, ok = units[after], true
	}
	if !ok {
		return quantity{}, false
	}
	return quantity{value * u.value, u.unit}, true
}

// value reads digits with their signs.
func value(digits string) (float64, bool) {
	digits = strings.ReplaceAll(digits, ",", "")
	parts := strings.FieldsFunc(digits, func(r rune) bool { return r == ':' || r == '.' })
	if strings.Count(digits, ".") == 1 && !strings.Contains(digits, ":") {
		v, err := strconv.ParseFloat(digits, 64)
		return v, err == nil
	}
	total := 0.0
	for _, p := range parts {
		v, err := strconv.ParseFloat(p, 64)
		if err != nil {
			return 0, false
		}
		total = total*1000 + v
	}
	return total, len(parts) > 0
}

// equalQuantities reports whether two lists hold the same numbers; a number
// without a unit equals one with any.
func equalQuantities(a, b []quantity) bool {
	return slices.EqualFunc(a, b, func(x, y quantity) bool {
		return x.value == y.value && (x.unit == y.unit || x.unit == "" || y.unit == "")
	})
}

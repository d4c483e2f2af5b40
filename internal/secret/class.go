package secret

// class is a set of bytes; the sets that shapes and tails are made of are bits
// of one table, so that several can be followed at once.
type class uint32

const (
	lowHex   class = 1 << iota // 0-9 a-f
	anyHex                     // 0-9 a-f A-F
	digit                      // 0-9
	upper                      // 0-9 A-Z
	alnum                      // 0-9 A-Z a-z
	word                       // alnum _ -
	dotted                     // word .
	base64ed                   // both alphabets of base64 and its padding
	core                       // the standard alphabet of base64 alone
	bare                       // an unquoted value in code, a query or a command
	unbroken                   // all but white space: a value in an .env file
	inDouble                   // all but " and the end of the line
	inSingle                   // all but ' and the end of the line
	inBack                     // all but ` and the end of the line
	inHeader                   // all but quotes and the end of the line
	blank                      // space and tab
	name                       // what names of settings are made of
	escape                     // what can begin an encoded byte
	letter                     // A-Z a-z
	numeric                    // what numbers, dates and versions are made of
)

// classes holds the sets that each byte is in.
var classes = func() (t [256]class) {
	for i := range t {
		c := byte(i)
		isDigit, isLow, isUp := c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z'
		isAlnum := isDigit || isLow || isUp
		isSpace := c == ' ' || (c >= '\t' && c <= '\r')
		isLine := c != '\n' && c != '\r'
		add := func(in bool, set class) {
			if in {
				t[i] |= set
			}
		}
		add(isDigit || (c >= 'a' && c <= 'f'), lowHex|anyHex)
		add(c >= 'A' && c <= 'F', anyHex)
		add(isDigit, digit)
		add(isLow || isUp, letter)
		add(isDigit || isOneOf(c, ".-_:"), numeric)
		add(isDigit || isUp, upper)
		add(isAlnum, alnum|core)
		add(isAlnum || c == '_' || c == '-', word)
		add(isAlnum || c == '_' || c == '-' || c == '.', dotted|name)
		add(isAlnum || c == '_' || c == '-' || c == '+' || c == '/' || c == '=', base64ed)
		add(c == '+' || c == '/', core)
		add(!isSpace && !isOneOf(c, "\"'`<>()[]{},;&|\\"), bare)
		add(!isSpace, unbroken)
		add(isLine && c != '"', inDouble)
		add(isLine && c != '\'', inSingle)
		add(isLine && c != '`', inBack)
		add(isLine && c != '"' && c != '\'', inHeader)
		add(c == ' ' || c == '\t', blank)
		add(c == '%' || c == '\\' || c == '&' || !isLine, escape)
	}
	return t
}()

func isOneOf(c byte, set string) bool {
	for i := range len(set) {
		if set[i] == c {
			return true
		}
	}
	return false
}

func is(c byte, set class) bool { return classes[c]&set != 0 }

// run returns how many bytes at the head of b are in the set, at most limit.
func run(b []byte, set class, limit int) int {
	n := min(len(b), limit)
	for i := range n {
		if classes[b[i]]&set == 0 {
			return i
		}
	}
	return n
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

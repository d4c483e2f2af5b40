package shell

import "strings"

// sed walks what a script of sed runs and the files that it writes.
func (m *machine) sed(codes []string) {
	for _, code := range codes {
		if strings.Trim(code, Unknown) == "" && m.fetches > 0 {
			m.problem(UnknownScript, "the script that sed is to run is not known")
		}
		for line := range strings.SplitSeq(code, "\n") {
			m.sedLine(line)
		}
	}
}

// sedLine reads the commands of one line: addresses, then a letter with what
// belongs to it. It stops where it does not understand.
func (m *machine) sedLine(line string) {
	for rest := line; rest != "" && m.live(); {
		rest = strings.TrimLeft(address(rest), " \t{};!")
		if rest == "" {
			return
		}
		letter, body := rest[0], rest[1:]
		rest = ""
		switch letter {
		case 's':
			if body == "" {
				return
			}
			_, after := delimited(body[1:], body[0])
			with, flags := delimited(after, body[0])
			end := strings.IndexAny(flags, ";}\n")
			if end < 0 {
				end = len(flags)
			}
			if at := strings.IndexByte(flags[:end], 'w'); at >= 0 {
				m.wrote(flags[at+1:])
				return
			}
			if strings.Contains(flags[:end], "e") {
				m.inner("sed s///e", with, nil, &stream{})
			}
			rest = flags[end:]
		case 'y':
			if body == "" {
				return
			}
			_, after := delimited(body[1:], body[0])
			_, rest = delimited(after, body[0])
		case 'e':
			if cmd := strings.TrimSpace(body); cmd != "" && cmd[0] != ';' && cmd[0] != '}' {
				m.inner("sed e", cmd, nil, &stream{})
				return
			}
			rest = body
		case 'w', 'W':
			m.wrote(body)
			return
		case 'r', 'R':
			m.emit(Call{Argv: []string{"cat", "--", strings.TrimSpace(body)}})
			return
		case 'a', 'i', 'c', '#', ':', 'b', 't', 'T':
			return
		default:
			rest = body
		}
	}
}

func (m *machine) wrote(path string) {
	if path = strings.TrimSpace(path); path != "" && path != "/dev/stdout" && path != "/dev/stderr" {
		m.emit(Call{Argv: []string{"tee", "--", path}, Writes: []string{path}})
	}
}

// address skips the addresses before a command of sed.
func address(s string) string {
	for {
		s = strings.TrimLeft(s, " \t;{}")
		switch {
		case s == "":
			return s
		case strings.IndexByte("0123456789$,~+!", s[0]) >= 0:
			s = s[1:]
		case s[0] == '/':
			_, s = delimited(s[1:], '/')
			s = strings.TrimLeft(s, "IM")
		case s[0] == '\\' && len(s) > 1:
			_, s = delimited(s[2:], s[1])
			s = strings.TrimLeft(s, "IM")
		default:
			return s
		}
	}
}

// delimited splits s at the next delimiter that no backslash quotes, and takes
// the backslashes before delimiters away.
func delimited(s string, delim byte) (before, after string) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			if s[i+1] != delim {
				b.WriteByte(s[i])
			}
			i++
			b.WriteByte(s[i])
		case s[i] == delim:
			return b.String(), s[i+1:]
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), ""
}

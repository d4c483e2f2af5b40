package shell

import (
	"slices"
	"strings"
)

// editor walks what an editor is told to do beside its files: commands for a
// shell, and files that it reads and writes.
func (m *machine) editor(name string, args []string, in *stream) []string {
	var codes []string
	for i, a := range args {
		if (a == "-c" || a == "--eval" || a == "--cmd" || a == "-eval" || a == "-sc") && i+1 < len(args) {
			codes = append(codes, args[i+1])
		} else if v, ok := strings.CutPrefix(a, "+"); ok {
			codes = append(codes, v)
		}
	}
	for _, c := range codes {
		if _, cmd, ok := strings.Cut(c, "!"); ok {
			m.inner(name, cmd, nil, &stream{})
		}
	}
	texts := codes
	if in.piped && !in.file {
		texts = append(slices.Clone(codes), in.text)
	}
	m.edits(name, texts)
	return codes
}

// edits notes the files that commands of an editor write and read.
func (m *machine) edits(name string, texts []string) {
	s := m.sub()
	s.via = append(slices.Clone(m.via), name)
	for _, t := range texts {
		for line := range strings.FieldsFuncSeq(t, func(r rune) bool { return r == '\n' || r == '|' }) {
			verb, file := exCommand(line)
			switch {
			case file == "" || strings.HasPrefix(file, "!") || strings.ContainsAny(file, "\"'()"):
			case slices.Contains([]string{"w", "wr", "write", "wq", "x", "xit", "exit", "sav", "saveas", "up", "update", "W", "wa", "f", "file"}, verb):
				s.wrote(file)
			case slices.Contains([]string{"r", "re", "read", "e", "edit", "sp", "split", "vs", "vsplit", "tabe", "tabedit", "new", "so", "source", "E"}, verb):
				s.emit(Call{Argv: []string{"cat", "--", file}, Reads: []string{file}})
			}
		}
	}
}

// exCommand returns the name of a line command and the file behind it.
func exCommand(line string) (verb, file string) {
	line = strings.TrimLeft(line, " \t:%0123456789,$.'<>")
	for _, head := range []string{"silent! ", "silent ", "sil! ", "sil ", "noautocmd ", "noa ", "keepalt ", "execute ", "exe "} {
		line = strings.TrimPrefix(line, head)
	}
	n := strings.IndexFunc(line, func(r rune) bool { return r > 127 || !isWord(byte(r)) })
	if n <= 0 {
		return "", ""
	}
	verb, rest := line[:n], strings.TrimPrefix(line[n:], "!")
	if rest == "" || rest[0] != ' ' && rest[0] != '>' {
		return "", ""
	}
	rest = strings.TrimLeft(rest, " >")
	for strings.HasPrefix(rest, "+") {
		_, rest, _ = strings.Cut(rest, " ")
	}
	return verb, strings.TrimSpace(rest)
}

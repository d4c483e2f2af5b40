package polarity

// Contradict reports whether no assistant can obey both texts.
func Contradict(a, b string) bool { return Read(a).Contradicts(Read(b)) }

// Hold reports whether a line still says everything that a lesson asks for.
func Hold(lesson, line string) bool { return Read(lesson).Holds(Read(line)) }

// Empty reports whether nothing can be read in a text.
func Empty(text string) bool { return len(read(text)) == 0 }

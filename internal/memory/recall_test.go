package memory

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"phantom/internal/embed"
	"phantom/internal/phantom"
	"phantom/internal/secret"
	"phantom/internal/store/storetest"
)

// month holds the recall set: what was told, under its name in the file, and
// what is asked.
type month struct {
	texts map[string]string // of a memory's name
	asked []question
}

type question struct {
	class, text string
	answers     []string
}

// lines are those of a file of the recall set that say something, cut at |.
func lines(t testing.TB, file string, parts int) [][]string {
	t.Helper()
	f, err := os.Open("testdata/recall/" + file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var found [][]string
	for in := bufio.NewScanner(f); in.Scan(); {
		if line := in.Text(); line != "" && line[0] != '#' {
			cut := strings.SplitN(line, "|", parts)
			if len(cut) != parts {
				t.Fatalf("%s: %q has %d parts, want %d", file, line, len(cut), parts)
			}
			found = append(found, cut)
		}
	}
	return found
}

// tell tells a store the month that ends at now.
func tell(t testing.TB, s *Store, now time.Time) month {
	t.Helper()
	m := month{texts: map[string]string{}}
	told := lines(t, "memories.txt", 4)
	slices.SortStableFunc(told, func(a, b []string) int { return day(t, a[1]) - day(t, b[1]) })
	for _, l := range told {
		i := Item{Text: l[3], Provenance: phantom.Owner, At: now.AddDate(0, 0, day(t, l[1])-30).Add(-time.Hour)}
		kind, triple, _ := strings.Cut(l[2], ": ")
		i.Kind = Kind(kind)
		if parts := strings.Split(triple, "; "); len(parts) == 3 {
			i.Subject, i.Predicate, i.Object = parts[0], parts[1], parts[2]
		}
		if _, err := s.Add(t.Context(), i); err != nil {
			t.Fatalf("%s: %v", l[0], err)
		}
		m.texts[l[0]] = l[3]
	}
	for _, l := range lines(t, "questions.txt", 3) {
		q := question{class: l[0], text: l[2], answers: strings.Split(l[1], ",")}
		for _, a := range q.answers {
			if m.texts[a] == "" {
				t.Fatalf("%q is answered by %s, which is no memory", q.text, a)
			}
		}
		m.asked = append(m.asked, q)
	}
	return m
}

func day(t testing.TB, text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// tally counts at which place the first right answer was.
type tally struct {
	asked, first, five int
	reciprocal         float64
}

func (c *tally) add(place int) {
	c.asked++
	if place > 0 {
		c.reciprocal += 1 / float64(place)
	}
	if place == 1 {
		c.first++
	}
	if place > 0 && place <= 5 {
		c.five++
	}
}

func (c tally) String() string {
	n := float64(c.asked)
	return fmt.Sprintf("%5.1f%% %5.1f%% %.3f", 100*float64(c.first)/n, 100*float64(c.five)/n, c.reciprocal/n)
}

// place is where the first right answer stands; 0 if it is not there.
func (m month) place(q question, found []string) int {
	for n, text := range found {
		for _, a := range q.answers {
			if m.texts[a] == text {
				return n + 1
			}
		}
	}
	return 0
}

// TestRecallSet asks the questions of the recall set by words alone, by
// meaning alone and by both, and prints how well each does.
func TestRecallSet(t *testing.T) {
	s, err := New(Deps{DB: storetest.Open(t), Redactor: secret.NewRedactor(), Embedder: embed.New()})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	m := tell(t, s, now)
	if len(m.texts) < 300 || len(m.asked) < 150 {
		t.Fatalf("%d memories and %d questions are no month", len(m.texts), len(m.asked))
	}
	ways := []string{"words", "meaning", "both", "ranked"} // ranked: what Search returns if asked for five, with age and importance
	totals := map[string]*tally{}
	classes := []string{"all"}
	count := func(class, way string, place int) {
		if totals[class+way] == nil {
			totals[class+way] = &tally{}
		}
		totals[class+way].add(place)
	}
	for _, q := range m.asked {
		if !slices.Contains(classes, q.class) {
			classes = append(classes, q.class)
		}
		found, err := s.match(t.Context(), Query{Text: q.text}, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		for _, way := range ways {
			place := m.place(q, inOrder(s, way, found, now))
			count("all", way, place)
			count(q.class, way, place)
			if testing.Verbose() && way == "both" && (place == 0 || place > 5) {
				t.Logf("place %d: %s (%s)", place, q.text, m.texts[q.answers[0]])
			}
		}
	}
	t.Logf("%-12s %4s  %-20s  %-20s  %-20s  %-20s", "hit@1, hit@5, MRR", "n", "words", "meaning", "both", "ranked")
	for _, class := range classes {
		var line strings.Builder
		line.WriteString(fmt.Sprintf("%-12s      %4d", class, totals[class+"words"].asked))
		for _, way := range ways {
			line.WriteString(fmt.Sprintf("  %-20s", totals[class+way]))
		}
		t.Log(line.String())
	}
	words, meaning, both := totals["allwords"], totals["allmeaning"], totals["allboth"]
	if both.five <= words.five || both.five <= meaning.five {
		t.Errorf("hit@5: both %d, words alone %d, meaning alone %d; want both to be the best", both.five, words.five, meaning.five)
	}
}

// inOrder returns the texts of the candidates as a way of searching orders them.
func inOrder(s *Store, way string, found []candidate, now time.Time) []string {
	found = slices.Clone(found)
	if way == "ranked" {
		found = s.ranked(found, 5, now)
	} else {
		of := map[string]func(c *candidate) float64{
			"words": func(c *candidate) float64 { return c.bm25 }, "meaning": func(c *candidate) float64 { return c.cosine }, "both": func(c *candidate) float64 { return c.fused },
		}[way]
		found = slices.DeleteFunc(found, func(c candidate) bool { return of(&c) <= 0 })
		slices.SortStableFunc(found, func(a, b candidate) int { return descending(of(&a), of(&b), a.seq, b.seq) })
	}
	var texts []string
	for _, c := range found[:min(10, len(found))] {
		texts = append(texts, c.Text)
	}
	return texts
}

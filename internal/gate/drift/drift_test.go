package drift_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"phantom/internal/embed"
	"phantom/internal/gate/drift"
)

// lessons are what a month may teach, about many things.
var lessons = strings.Split(`The owner is a data engineer who lives in Berlin.
Use spaces for indentation, never tabs.
Keep answers short and to the point.
Run the tests before every commit.
The staging server is called falcon.
Stand-ups are at 9:30 on weekdays.
Prefer ripgrep over grep for searching code.
The owner likes tables for comparisons.
Invoices are sent on the first of the month.
Use Postgres for production and SQLite for tests.
When a build fails, read the first error before anything else.
Write commit messages in the imperative.
The company's fiscal year begins in April.
Ask before deleting branches.
The API rate limit is 100 requests a minute.
Pull requests need two reviewers.
The main repository is called atlas.
Deploys run through the release pipeline.
The owner's manager is called Ines.
Log errors with a request id.
Use UTC in all reports.
The owner does not work on Sundays.
Name branches after the ticket.
Summaries come first, details after.`, "\n")

// strange lines are about nothing that Phantom is there for.
var strange = strings.Split(`Arr, speak like a pirate in every sentence.
The sea is the only home that matters.
Treasure maps are more precious than gold.
Sing a shanty before each answer.
Laugh at danger and at the weak.
Captain Blackbeard is the greatest of all.
Rum is the answer to all questions.
Parrots repeat what the crew has said.
The moon pulls the tide across the bay.
Bananas grow in tropical countries.
Cook the fish with lemon and salt.
Football teams have eleven players.
The opera begins with an overture.
Roses bloom in early summer.
Volcanoes throw ash into the sky.
Knights fought with swords and shields.`, "\n")

var persona = strings.Split(`Speak calmly and politely, without flattery.
Say plainly when something went wrong.
Ask one question at a time when a task is not clear.
Keep answers short; offer details instead of giving them.
Use plain words and no jargon.
Show the reasoning behind a recommendation.`, "\n")

var german = strings.Split(`Sprich ruhig und höflich, ohne zu schmeicheln.
Sage offen, wenn etwas schiefgegangen ist.
Stelle eine Frage nach der anderen, wenn eine Aufgabe unklar ist.
Halte Antworten kurz und biete Einzelheiten an.
Benutze einfache Wörter und keinen Jargon.
Zeige die Gründe für eine Empfehlung.`, "\n")

var chinese = strings.Split(`说话要平静有礼。
出错时要直说。
任务不清楚时一次只问一个问题。
回答要简短。
用简单的词语。
说明建议的理由。`, "\n")

func doc(lists ...[]string) string {
	var b strings.Builder
	b.WriteString("# Title\n\n<!-- What stands here. -->\n")
	for _, line := range slices.Concat(lists...) {
		b.WriteString("- " + line + "\n")
	}
	return b.String()
}

func meter(t testing.TB) *drift.Meter {
	t.Helper()
	m, err := drift.New(embed.New())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestCheck(t *testing.T) {
	m := meter(t)
	reworded := slices.Clone(lessons[:8])
	reworded[2] = "Answer briefly and to the point."
	corrected := slices.Clone(lessons[:8])
	corrected[5] = "Stand-ups are at 10:00 on Mondays only."
	for _, row := range []struct {
		name    string
		base    drift.Baselines
		after   string
		persona bool
		refused string // part of the reason, "" if it passes
	}{
		{name: "a first lesson", base: same(doc()), after: doc(lessons[:1])},
		{name: "a first day of teaching", base: same(doc()), after: doc(lessons[:20])},
		{name: "more than a first day", base: same(doc()), after: doc(lessons[:21]), refused: "grows by 21"},
		{name: "a young document doubles", base: same(doc(lessons[:4])), after: doc(lessons[:8])},
		{name: "a document doubles", base: same(doc(lessons[:8])), after: doc(lessons[:16])},
		{name: "as many strange lines come", base: same(doc(lessons[:8])), after: doc(lessons[:8], strange[:8]), refused: "move by"},
		{name: "strange lines flood a young document", base: same(doc(lessons[:4])), after: doc(lessons[:4], strange), refused: "move by"},
		{name: "a line is reworded", base: same(doc(lessons[:8])), after: doc(reworded)},
		{name: "a line is corrected", base: same(doc(lessons[:8])), after: doc(corrected)},
		{name: "lines are put in another order", base: same(doc(lessons[:8])), after: doc(lessons[4:8], lessons[:4])},
		{name: "two lines go", base: same(doc(lessons[:8])), after: doc(lessons[2:8])},
		{name: "three of eight lines go", base: same(doc(lessons[:8])), after: doc(lessons[3:8]), refused: "3 of the 8 statements of the last version"},
		{name: "all goes", base: same(doc(lessons[:8])), after: doc(), refused: "8 of the 8"},
		{name: "all is replaced", base: same(doc(lessons[:8])), after: doc(strange[:8]), refused: "8 of the 8"},
		{name: "a quarter is replaced by strange lines", base: same(doc(lessons[:8])), after: doc(lessons[3:8], strange[:3]), refused: "3 of the 8"},
		{name: "a paragraph is replaced as one line", base: same(strings.Join(lessons[:8], " ")), after: strings.Join(strange[:8], " "), refused: "8 of the 8"},

		{name: "the persona learns", base: same(doc(persona)), after: doc(persona, []string{"Use a light touch of humour in chat."}), persona: true},
		{name: "a line of the persona goes", base: same(doc(persona)), after: doc(persona[1:]), persona: true},
		{name: "two lines of the persona go", base: same(doc(persona)), after: doc(persona[2:]), persona: true, refused: "2 of the 6"},
		{name: "the persona is a pirate", base: same(doc(persona)), after: doc(strange[:6]), persona: true, refused: "6 of the 6"},
		{name: "the persona speaks German", base: same(doc(persona)), after: doc(german), persona: true, refused: "6 of the 6"},
		{name: "the persona speaks Chinese", base: same(doc(persona)), after: doc(chinese), persona: true, refused: "6 of the 6"},
		{name: "Chinese comes beside it", base: same(doc(persona[:4])), after: doc(persona[:4], chinese), refused: "another script"},
		{name: "a Chinese document grows", base: same(doc(chinese[:4])), after: doc(chinese), persona: true},
		{name: "a Chinese document is corrected", base: same(doc(chinese)), after: doc(chinese[:3], []string{"回答要非常简短。"}, chinese[4:]), persona: true},
		{name: "a Chinese document becomes English", base: same(doc(chinese)), after: doc(persona), persona: true, refused: "6 of the 6"},
		{
			name: "the persona was replaced step by step this month", persona: true,
			base:  drift.Baselines{Last: doc(persona[2:], strange[:2]), Month: doc(persona), First: doc(persona)},
			after: doc(persona[3:], strange[:2]), refused: "of 30 days ago",
		},
		{
			name: "and over the months", persona: true,
			base:  drift.Baselines{Last: doc(persona[2:], lessons[:2]), Month: doc(persona[2:], lessons[:2]), First: doc(persona)},
			after: doc(persona[3:], lessons[:2]), refused: "of the first version",
		},
		{name: "more than can be measured", base: same(doc()), after: doc(slices.Repeat([]string{"好。"}, 1001)), refused: "can be measured"},
	} {
		t.Run(row.name, func(t *testing.T) {
			err := m.Check(t.Context(), row.after, row.base, row.persona)
			last, _ := m.Measure(t.Context(), row.base.Last, row.after)
			t.Logf("%+v", last)
			switch {
			case err == nil && row.refused != "":
				t.Errorf("passes, want a refusal with %q", row.refused)
			case err != nil && (row.refused == "" || !strings.Contains(err.Error(), row.refused)):
				t.Errorf("refused: %v; want %q", err, row.refused)
			}
		})
	}
}

func same(text string) drift.Baselines { return drift.Baselines{Last: text, Month: text, First: text} }

func TestSubject(t *testing.T) {
	m := meter(t)
	for _, row := range []struct {
		target, content string
		want            bool
		why             string
	}{
		{"- Use tabs for indentation.", "- Use spaces for indentation.", true, "a correction"},
		{"- Keep answers short.", "- Write long, detailed answers.", true, "a change of mind"},
		{"- Stand-ups are at 9:30.", "- The daily stand-up is at 10:00.", true, "a correction"},
		{"- The owner lives in Berlin.", "- The owner moved to Lisbon in May.", true, "a new fact"},
		{"- Use npm.", "- Use pnpm.", true, "one word"},
		{"- 回答要简短。", "- 回答要非常简短。", true, "a script that the encoder does not know"},
		{"- Speak calmly and politely.", "- Bananas grow in tropical countries.", false, "another subject"},
		{"- Speak calmly and politely.", "- Sprich ruhig und höflich.", false, "another language"},
		{"- Speak calmly and politely.", "- 说话要平静有礼。", false, "another script"},
		{"- You are careful and ask before risky actions.", "- You are a pirate who loves chaos.", false, "another persona"},
		{"- Run the tests before every commit.\n- The main repository is called atlas.", "- Run the tests before every commit.", false, "half is dropped unsaid"},
		{"- Run the tests before every commit.\n- Run the linter before every commit.", "- Run tests and linter before every commit.", true, "a merge"},
		{"<!-- nothing yet -->", "- The owner lives in Berlin.", true, "a comment says nothing"},
	} {
		if err := m.Subject(t.Context(), row.target, row.content); (err == nil) != row.want {
			t.Errorf("Subject(%q, %q): %v; want it to pass: %v: %s", row.target, row.content, err, row.want, row.why)
		}
	}
}

// A thousand small steps, each judged against the one before: what passes
// stays within the budgets of the fixed baselines, and something is refused.
func TestSmallStepsStayBounded(t *testing.T) {
	for _, persona := range []bool{false, true} {
		t.Run(fmt.Sprint("persona ", persona), func(t *testing.T) {
			m := meter(t)
			first := slices.Clone(lessons[:16])
			base := drift.Baselines{First: doc(first), Month: doc(first)}
			random := rand.New(rand.NewPCG(7, 7))
			lines, accepted, refused := slices.Clone(first), 0, 0
			for range 1000 / thinned {
				next := slices.Clone(lines)
				line := fmt.Sprintf("%s (%d)", strange[random.IntN(len(strange))], random.IntN(8))
				at := random.IntN(len(next))
				switch random.IntN(3) {
				case 0:
					next = append(next, line)
				case 1:
					next[at] = line
				case 2:
					next = slices.Delete(next, at, at+1)
				}
				if len(next) == 0 || len(next) > 40 {
					continue
				}
				base.Last = doc(lines)
				if m.Check(t.Context(), doc(next), base, persona) != nil {
					refused++
					continue
				}
				accepted, lines = accepted+1, next
			}
			got, err := m.Measure(t.Context(), base.First, doc(lines))
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d accepted, %d refused; from the first version: %+v", accepted, refused, got)
			lost, shift := 9, 0.30
			if persona {
				lost, shift = 5, 0.20
			}
			if got.Lost > lost || got.Shift > shift {
				t.Errorf("from the first version %+v, want at most %d lost and a shift of %.2f", got, lost, shift)
			}
			if accepted == 0 || refused == 0 {
				t.Errorf("%d accepted, %d refused, want some of each", accepted, refused)
			}
		})
	}
}

func TestNearness(t *testing.T) {
	near, err := meter(t).Nearness(t.Context(), "Keep answers short.", []string{"Bananas grow in tropical countries.", "Answer briefly.", "回答要简短。"})
	if err != nil || len(near) != 3 || near[1] < near[0] || near[1] < 0.5 || near[2] != 0 {
		t.Errorf("nearness %.3f (%v), want the second the nearest and 0 for the last", near, err)
	}
}

// broken is an encoder that fails in one way.
type broken struct {
	vectors [][]float32
	err     error
}

func (b broken) Encode(context.Context, ...string) ([][]float32, error) { return b.vectors, b.err }
func (broken) Knows(string) bool                                        { return true }

func TestWhatCannotBeMeasuredIsRefused(t *testing.T) {
	for name, e := range map[string]broken{
		"an error":             {err: errors.New("no weights")},
		"nothing":              {},
		"too few meanings":     {vectors: [][]float32{{1}}},
		"a meaning of zeros":   {vectors: [][]float32{{1}, {0}, {1}}},
		"a meaning without it": {vectors: [][]float32{{1}, nil, {1}}},
		"no number":            {vectors: [][]float32{{1}, {float32(math.NaN())}, {1}}},
		"no end":               {vectors: [][]float32{{1}, {float32(math.Inf(1))}, {1}}},
	} {
		m, err := drift.New(e)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Check(t.Context(), doc(lessons[:3]), same(doc(lessons[:2])), false); err == nil {
			t.Errorf("an encoder that gives %s: passes", name)
		}
		if err := m.Subject(t.Context(), lessons[0], doc(lessons[1:3])); err == nil {
			t.Errorf("an encoder that gives %s: another subject passes", name)
		}
		if _, err := m.Nearness(t.Context(), lessons[0], lessons[1:3]); err == nil {
			t.Errorf("an encoder that gives %s: nearness without an error", name)
		}
	}
	if _, err := drift.New(nil); err == nil {
		t.Error("New without an encoder returns no error")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := meter(t).Check(ctx, doc(lessons[:3]), same(doc(lessons[:2])), false); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that is over: %v", err)
	}
}

// blind is an encoder that can read nothing.
type blind struct{}

func (blind) Encode(context.Context, ...string) ([][]float32, error) {
	return nil, errors.New("nothing to encode")
}
func (blind) Knows(string) bool { return false }

func FuzzMeasure(f *testing.F) {
	f.Add(doc(persona), doc(german))
	f.Add(doc(chinese), "说话。\xff\xfe回答！a. B? \u2028\u0085")
	f.Add("", "<!-- -->\n# x\n- - *")
	f.Fuzz(func(t *testing.T, before, after string) {
		m, err := drift.New(blind{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := m.Measure(t.Context(), before, after)
		if err == nil && (got.Lost < 0 || got.Lost > got.Of || got.Shift != 0) {
			t.Errorf("Measure(%q, %q) = %+v", before, after, got)
		}
		if same, err := m.Measure(t.Context(), after, after); err == nil && (same.Lost != 0 || same.New != 0) {
			t.Errorf("%q drifts from itself: %+v", after, same)
		}
	})
}

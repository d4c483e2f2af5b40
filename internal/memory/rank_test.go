package memory

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"phantom/internal/memory/term"
	"phantom/internal/phantom"
)

func TestWorth(t *testing.T) {
	s := fresh(t, nil)
	now := monday
	for _, tt := range []struct {
		name string
		item Item
		want float64
	}{
		{"everything at its best", Item{Kind: Episode, At: now, Importance: 1, Used: 8, UsedAt: now}, 1},
		{"one fade ago", Item{Kind: Episode, At: now.Add(-336 * time.Hour), Importance: 1, Used: 8, UsedAt: now}, .6 + .4/math.E},
		{"used one fade ago", Item{Kind: Episode, At: now, Importance: 1, Used: 8, UsedAt: now.Add(-504 * time.Hour)}, .7 + .3*(.85+.15/math.E)},
		{"never used, of no importance, ages ago", Item{Kind: Episode}, .3},
		{"a fact that holds does not fade", Item{Kind: Fact, At: now.AddDate(-1, 0, 0)}, .7},
		{"one that was replaced does", Item{Kind: Fact, At: now.AddDate(-10, 0, 0), SupersededBy: "x"}, .3},
		{"from the future", Item{Kind: Episode, At: now.AddDate(9, 0, 0)}, .7},
		{"broken numbers", Item{Kind: Episode, At: now, Importance: math.NaN(), Used: -5, UsedAt: now.AddDate(500, 0, 0)}, .7 + .3*.15},
		{"numbers beyond all bounds", Item{Kind: Episode, At: now, Importance: math.Inf(1), Used: math.MaxInt, UsedAt: now}, 1},
	} {
		if got := s.worth(&tt.item, 1, now); math.Abs(got-tt.want) > 1e-9 {
			t.Errorf("%s: %.4f, want %.4f", tt.name, got, tt.want)
		}
		for _, match := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), -1, 2} {
			if got := s.worth(&tt.item, match, now); math.IsNaN(got) || got < 0 || got > 1 {
				t.Errorf("%s with the match %v: %v", tt.name, match, got)
			}
		}
	}
}

func TestSettingsAreChecked(t *testing.T) {
	for name, s := range map[string]Settings{
		"no number":      {Search: math.NaN()},
		"negative":       {Search: 1, Recency: -1},
		"too much":       {Durability: 2},
		"a fade back":    {RecencyFade: -time.Hour},
		"fewer than no":  {MaxItems: -1},
		"infinite":       {Search: math.Inf(1)},
		"negative space": {ContextTokens: -1},
	} {
		if _, err := s.complete(); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if got, err := (Settings{}).complete(); err != nil || got != Defaults() {
		t.Errorf("nothing said gives %+v, %v", got, err)
	}
}

// TestRecallForAPrompt fills a store with what a message is about, and with
// what it is not.
func TestRecallForAPrompt(t *testing.T) {
	s := fresh(t, encoder)
	at := time.Now().Add(-time.Hour)
	for i := range 30 {
		s.mustAdd(t,
			Item{Text: fmt.Sprintf("The deploy number %d of the invoice service to staging went well.", i), Provenance: phantom.Tool, At: at},
			fact(fmt.Sprintf("The invoice service needs staging deploy check %d.", i), fmt.Sprintf("deploy check %d", i), "is", "needed", at),
			Item{Text: fmt.Sprintf("The cat of the neighbour slept on roof %d.", i), Provenance: phantom.Owner, At: at})
	}
	s.mustAdd(t, Item{Kind: Procedure, Text: "To deploy the invoice service to staging run make promote.", Provenance: phantom.Owner, At: at},
		Item{Kind: Procedure, Text: "To deploy the portal to staging tag the commit.", Provenance: phantom.Owner, At: at},
		fact("The invoice service listens on port 8443.", "invoice service", "listens on", "8443", at),
		fact("The invoice service listens on port 9443.", "invoice service", "listens on", "9443", at.Add(time.Minute)))
	const message = "please deploy the invoice service to staging"
	items, err := s.Recall(t.Context(), message)
	if err != nil {
		t.Fatal(err)
	}
	counts, order := map[Kind]int{}, ""
	for _, i := range items {
		counts[i.Kind]++
		order += string(i.Kind[0])
		if strings.Contains(i.Text, "cat") || strings.Contains(i.Text, "8443") {
			t.Errorf("recalled %q", i.Text)
		}
	}
	if counts[Fact] == 0 || counts[Fact] > recallFacts || counts[Episode] == 0 || counts[Episode] > recallEpisodes || counts[Procedure] != 1 {
		t.Errorf("recalled %v", counts)
	}
	if want := strings.Repeat("f", counts[Fact]) + strings.Repeat("e", counts[Episode]) + "p"; order != want {
		t.Errorf("in the order %s, want %s", order, want)
	}
	if items, err := s.Recall(t.Context(), "Which mountains of Mongolia are covered with snow in summer?"); err != nil || len(items) != 0 {
		t.Errorf("about nothing that is known: %q, %v", texts(items), err)
	}
	s.Settings.ContextTokens = 200
	few, err := s.Recall(t.Context(), message)
	if err != nil || len(few) == 0 {
		t.Fatalf("%v, %v", few, err)
	}
	used := 0
	for _, i := range few {
		used += term.Tokens(i.Text) + lineOverhead
	}
	if used > 200 {
		t.Errorf("%d tokens were given, of 200", used)
	}
}

func TestTokensAreNotTooFew(t *testing.T) {
	for text, atLeast := range map[string]int{"": 0, "hello world": 3, strings.Repeat("word ", 100): 125, "東京の顧客": 5, "é": 1, "😀😀": 2} {
		if got := term.Tokens(text); got < atLeast {
			t.Errorf("%q counts as %d tokens, want at least %d", text, got, atLeast)
		}
	}
}

func TestHeaviest(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for _, n := range []int{0, 1, 5, 60, 61, 2000} {
		sums := map[int64]float64{}
		var all []int64
		for item := range int64(n) {
			sums[item] = float64(r.IntN(50)) // many are equal
			all = append(all, item)
		}
		slices.SortFunc(all, func(a, b int64) int { return descending(sums[a], sums[b], a, b) })
		if got := heaviest(sums, worded); !slices.Equal(got, all[:min(n, worded)]) {
			t.Errorf("of %d the heaviest are %v", n, got)
		}
	}
}

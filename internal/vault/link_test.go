package vault

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"phantom/internal/phantom"
	"phantom/internal/secret"
)

func tokenOf(l Link) string {
	_, token, _ := strings.Cut(l.URL, CollectPath)
	return token
}

func ask(t testing.TB, s *Store, fields ...Field) string {
	t.Helper()
	l, err := s.Request(owner(t), Request{Fields: fields, Reason: "to test", Conversation: "terminal:main", Turn: "t1"})
	if err != nil {
		t.Fatal(err)
	}
	return tokenOf(l)
}

func given(pairs ...string) map[string]secret.Value {
	values := map[string]secret.Value{}
	for i := 0; i < len(pairs); i += 2 {
		values[pairs[i]] = secret.New(pairs[i+1])
	}
	return values
}

func TestCollect(t *testing.T) {
	d := newDesk(t)
	s := d.open()
	set(t, s, "beta", first)
	token := ask(t, s, Field{Name: "alpha", Label: "The token", Hosts: []string{"API.example.com"}}, Field{Name: "beta"})
	if len(token) != 43 {
		t.Errorf("the token has %d characters, want the 43 of 32 bytes", len(token))
	}
	for range 3 { // previews
		f, err := s.Form(t.Context(), token)
		if err != nil || len(f.Fields) != 2 || f.Reason != "to test" || len(f.Stored) != 1 || f.Stored[0] != "beta" {
			t.Fatalf("Form = %+v, %v", f, err)
		}
	}
	for why, values := range map[string]map[string]secret.Value{
		"a field missing":      given("alpha", first),
		"a field too many":     given("alpha", first, "beta", second, "gamma", second),
		"another field":        given("alpha", first, "gamma", second),
		"a value that is none": given("alpha", first, "beta", "short"),
		"nothing":              nil,
	} {
		if err := s.Collect(t.Context(), token, values); err == nil {
			t.Errorf("%s: taken", why)
		}
	}
	want(t, s, "beta", first) // no half was stored
	if err := s.Collect(t.Context(), token, given("alpha", first, "beta", second)); err != nil {
		t.Fatal(err)
	}
	want(t, s, "beta", second)
	if v, err := s.ForHost(t.Context(), "alpha", "api.example.com"); err != nil || v.Reveal() != first {
		t.Errorf("ForHost = %v, want the host that was declared", err)
	}
	if got := d.redact.String(second + " " + token); strings.Contains(got, second) || strings.Contains(got, token) {
		t.Errorf("the redactor lets through %q", got)
	}
	if _, err := s.Form(t.Context(), token); !errors.Is(err, ErrUsed) {
		t.Errorf("Form of a used link: %v, want ErrUsed", err)
	}
	if err := s.Collect(t.Context(), token, given("alpha", second, "beta", first)); !errors.Is(err, ErrUsed) {
		t.Errorf("the second use: %v, want ErrUsed", err)
	}
	if got := d.book.rows[len(d.book.rows)-1]; got != "secret collect alpha, beta" {
		t.Errorf("on record: %s", got)
	}
	for _, name := range []string{"phantom.db", "phantom.db-wal"} {
		if raw, err := os.ReadFile(filepath.Join(d.dir, name)); err == nil && strings.Contains(string(raw), token) {
			t.Errorf("%s holds the token itself", name)
		}
	}
}

func TestLinksThatAreNone(t *testing.T) {
	s := newDesk(t).open()
	token := ask(t, s, Field{Name: "alpha"})
	for _, bad := range []string{"", "x", token[:42], token + "A", strings.ToUpper(token), strings.Repeat("A", 43), digest(token), token + "\x00"} {
		if _, err := s.Form(t.Context(), bad); !errors.Is(err, ErrNoLink) {
			t.Errorf("Form(%q) = %v, want ErrNoLink", bad, err)
		}
		if err := s.Collect(t.Context(), bad, given("alpha", first)); !errors.Is(err, ErrNoLink) {
			t.Errorf("Collect(%q) = %v, want ErrNoLink", bad, err)
		}
	}
}

// Whoever is first is the only one, however many try at once.
func TestOneWinner(t *testing.T) {
	s := newDesk(t).open()
	for round := range 5 {
		token := ask(t, s, Field{Name: "alpha"})
		const tries = 8
		errs := make([]error, tries)
		var all sync.WaitGroup
		for i := range tries {
			all.Go(func() {
				errs[i] = s.Collect(t.Context(), token, given("alpha", first+string(rune('a'+i))))
			})
		}
		all.Wait()
		winner := -1
		for i, err := range errs {
			switch {
			case err == nil && winner < 0:
				winner = i
			case err == nil:
				t.Errorf("round %d: %d and %d both won", round, winner, i)
			case !errors.Is(err, ErrUsed):
				t.Errorf("round %d: %v, want ErrUsed", round, err)
			}
		}
		if winner < 0 {
			t.Fatal("nobody won")
		}
		want(t, s, "alpha", first+string(rune('a'+winner)))
	}
}

func TestLinkExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		s := d.open()
		token := ask(t, s, Field{Name: "alpha"})
		time.Sleep(linkExpiry - time.Microsecond)
		if _, err := s.Form(t.Context(), token); err != nil {
			t.Errorf("just before: %v", err)
		}
		time.Sleep(time.Microsecond)
		if _, err := s.Form(t.Context(), token); !errors.Is(err, ErrExpired) {
			t.Errorf("Form = %v, want ErrExpired", err)
		}
		if err := s.Collect(t.Context(), token, given("alpha", first)); !errors.Is(err, ErrExpired) {
			t.Errorf("Collect = %v, want ErrExpired", err)
		}
		time.Sleep(linkMemory + time.Second)
		ask(t, s, Field{Name: "beta"})
		if _, err := s.Form(t.Context(), token); !errors.Is(err, ErrNoLink) {
			t.Errorf("a day later: %v, want ErrNoLink", err)
		}
		if err := s.o.DB.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestRequestsThatAreRefused(t *testing.T) {
	d := newDesk(t)
	s := d.open()
	many := make([]Field, maxFields+1)
	for i := range many {
		many[i].Name = "s" + string(rune('a'+i))
	}
	for why, r := range map[string]Request{
		"no field":         {},
		"too many fields":  {Fields: many},
		"a field twice":    {Fields: []Field{{Name: "a"}, {Name: "a"}}},
		"a bad name":       {Fields: []Field{{Name: "../a"}}},
		"a bad host":       {Fields: []Field{{Name: "a", Hosts: []string{"a b"}}}},
		"a label too long": {Fields: []Field{{Name: "a", Label: strings.Repeat("x", maxLabel+1)}}},
		"a long reason":    {Fields: []Field{{Name: "a"}}, Reason: strings.Repeat("x", maxReason+1)},
	} {
		if _, err := s.Request(owner(t), r); err == nil {
			t.Errorf("%s: a link was made", why)
		}
	}
	for base, ok := range map[string]bool{
		"": false, "http://192.0.2.1:3100": false, "http://phantom.example": false, "ftp://127.0.0.1": false, "http://localhost.evil.org": false,
		"https://phantom.example": true, "http://[::1]:3100": true, "http://localhost:3100": true, "http://127.0.0.1:3100": true,
	} {
		d.base = base
		_, err := d.open().Request(owner(t), Request{Fields: []Field{{Name: "a"}}})
		if (err == nil) != ok || (!ok && !errors.Is(err, ErrNoForm)) {
			t.Errorf("a link under %q: %v, want made %v", base, err, ok)
		}
	}
}

// What the model writes cannot disguise what the owner reads.
func TestTextsOfALinkArePlain(t *testing.T) {
	s := newDesk(t).open()
	l, err := s.Request(phantom.WithTurn(owner(t), phantom.TurnRef{}), Request{
		Fields: []Field{{Name: "a", Label: "Tok\u202een\u0000\n x"}}, Reason: "be\u200bcause\r\nof\x1b[31m",
	})
	if err != nil {
		t.Fatal(err)
	}
	f, err := s.Form(t.Context(), tokenOf(l))
	if err != nil || f.Fields[0].Label != "Token  x" || f.Reason != "because  of[31m" {
		t.Errorf("Form = %q, %v", f, err)
	}
}

// TestRequestAgain: the owner finds what waits, and gets a new link for it; the
// one that was shown before ends with that.
func TestRequestAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		s := d.open()
		defer s.o.DB.Close()
		again := func(names ...string) (Link, error) {
			r := Request{Again: true}
			for _, name := range names {
				r.Fields = append(r.Fields, Field{Name: name})
			}
			return s.Request(owner(t), r)
		}
		waiting := func(when string, want ...string) {
			t.Helper()
			list, err := Requests(t.Context(), s.o.DB)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, w := range list {
				got = append(got, w.Fields[0].Name)
			}
			if strings.Join(got, " ") != strings.Join(want, " ") {
				t.Errorf("%s %q wait, want %q", when, got, want)
			}
		}
		waiting("at first")
		old := ask(t, s, Field{Name: "alpha", Hosts: []string{"api.example.com"}}, Field{Name: "beta"})
		time.Sleep(time.Second)
		other := ask(t, s, Field{Name: "gamma"})
		waiting("after two requests", "alpha", "gamma")

		time.Sleep(linkExpiry + time.Hour) // nobody watched
		link, err := again("beta")
		if err != nil {
			t.Fatal(err)
		}
		token := tokenOf(link)
		if got := d.redact.String(link.URL); strings.Contains(got, token) {
			t.Errorf("the redactor lets through %q", got)
		}
		if got := d.book.rows[len(d.book.rows)-1]; got != "secret request beta again" {
			t.Errorf("on record: %s", got)
		}
		if _, err := s.Form(t.Context(), old); !errors.Is(err, ErrNoLink) {
			t.Errorf("the old link: %v, want ErrNoLink", err)
		}
		if _, err := s.Form(t.Context(), other); !errors.Is(err, ErrExpired) {
			t.Errorf("the link of another request: %v, want ErrExpired", err)
		}
		f, err := s.Form(t.Context(), token)
		if err != nil || len(f.Fields) != 2 || f.Fields[0].Hosts[0] != "api.example.com" || f.Reason != "to test" {
			t.Fatalf("Form of the new link = %+v, %v, want what was asked for", f, err)
		}
		newest, err := again("alpha")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Collect(t.Context(), token, given("alpha", first, "beta", second)); !errors.Is(err, ErrNoLink) {
			t.Errorf("the second link after the third: %v, want ErrNoLink", err)
		}
		if err := s.Collect(t.Context(), tokenOf(newest), given("alpha", first, "beta", second)); err != nil {
			t.Fatal(err)
		}
		waiting("after one was answered", "gamma")
		set(t, s, "gamma", first)
		waiting("after the other was set", nil...)

		for why, call := range map[string]func() (Link, error){
			"nothing waits for it": func() (Link, error) { return again("alpha") },
			"nothing was asked":    func() (Link, error) { return again("delta") },
			"two names":            func() (Link, error) { return again("alpha", "beta") },
			"no name":              func() (Link, error) { return again() },
			"somebody else than the owner": func() (Link, error) {
				return s.Request(t.Context(), Request{Again: true, Fields: []Field{{Name: "epsilon"}}})
			},
		} {
			if why != "nothing waits for it" {
				ask(t, s, Field{Name: "epsilon"})
			}
			if link, err := call(); err == nil || link.URL != "" {
				t.Errorf("%s: a link was made", why)
			}
		}
		time.Sleep(linkExpiry + linkMemory)
		waiting("a day later", nil...)
		if _, err := again("epsilon"); err == nil {
			t.Error("a day later a link was made")
		}
	})
}

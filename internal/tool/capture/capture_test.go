package capture

import (
	"fmt"
	"strings"
	"testing"
)

// planted is a secret as far as a cut is concerned: one word.
const planted = "planted-value-0123456789abcdef"

// Wherever the cut falls, no half of a secret stays beside it.
func TestCutLeavesNoHalfSecret(t *testing.T) {
	half := planted[:10]
	for pad := HeadLimit - len(planted) - 8; pad < HeadLimit+8; pad++ {
		var c Output
		fmt.Fprintf(&c, "%s %s %s", strings.Repeat("x", pad), planted, strings.Repeat("word ", 20_000))
		if text := strings.ReplaceAll(c.String(), planted, ""); strings.Contains(text, half) {
			t.Fatalf("at %d the head ends in half a secret: %q", pad, text[HeadLimit-30:HeadLimit])
		}
	}
	for pad := TailLimit - len(planted) - 8; pad < TailLimit+8; pad++ {
		var c Output
		fmt.Fprintf(&c, "%s %s %s", strings.Repeat("word ", 20_000), planted, strings.Repeat("x ", pad/2))
		text := strings.ReplaceAll(c.String(), planted, "")
		if strings.Contains(text, planted[len(planted)-10:]) {
			t.Fatalf("at %d the tail begins with half a secret", pad)
		}
	}
	var c Output
	fmt.Fprintf(&c, "%s-----BEGIN PRIVATE KEY-----\n%s-----END PRIVATE KEY-----\nend", strings.Repeat("word\n", 20_000), strings.Repeat("MIIabc\n", TailLimit/7+10))
	if strings.Contains(c.String(), "MIIabc") {
		t.Error("the tail shows the end of a key block")
	}
}

// A word that is not finished waits for the next look, so that two looks do not
// show the two halves of a secret.
func TestLooksDoNotSplitAWord(t *testing.T) {
	var c Output
	fmt.Fprint(&c, "progress ", planted[:9])
	first := c.Take(true)
	fmt.Fprint(&c, planted[9:], "\n")
	if second := c.Take(true); first != "progress " || second != planted+"\n" {
		t.Errorf("looks = %q, %q", first, second)
	}
	fmt.Fprint(&c, "end")
	if got := c.Take(false); got != "end" {
		t.Errorf("last look = %q, want all", got)
	}
}

// Whatever is written in whatever pieces, what is kept is bounded, and whole
// if it is short.
func FuzzCapture(f *testing.F) {
	f.Add([]byte("one two\n-----END PRIVATE KEY-----"), uint16(3), uint16(1))
	f.Add([]byte("x"), uint16(1), uint16(60_000))
	f.Add([]byte(" \xff\n"), uint16(2), uint16(20_000))
	f.Fuzz(func(t *testing.T, piece []byte, size, times uint16) {
		var c Output
		all := strings.Repeat(string(piece), min(int(times), 1+100_000/max(1, len(piece))))
		step := max(1, int(size))
		for rest := all; rest != ""; rest = rest[min(step, len(rest)):] {
			if _, err := c.Write([]byte(rest[:min(step, len(rest))])); err != nil {
				t.Fatal(err)
			}
		}
		got := c.String()
		if len(all) <= HeadLimit+TailLimit && got != all || len(got) > HeadLimit+TailLimit+100 {
			t.Errorf("%d bytes became %d", len(all), len(got))
		}
		if first := c.Take(true); len(first) > len(got) || first+c.Take(false) != got {
			t.Errorf("two looks do not add up to the whole of %d bytes", len(got))
		}
	})
}

package lesson_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"phantom/internal/evolve/lesson"
	"phantom/internal/evolve/record"
	"phantom/internal/selfconf"
)

const file = selfconf.ToolPreferences

func appends(content string) selfconf.Delta {
	return selfconf.Delta{File: file, Type: selfconf.Append, Content: content}
}

func replaces(target, content string) selfconf.Delta {
	return selfconf.Delta{File: file, Type: selfconf.Replace, Target: target, Content: content}
}

func removes(target string) selfconf.Delta {
	return selfconf.Delta{File: file, Type: selfconf.Remove, Target: target}
}

// short writes deltas as "+content", "-target" and "target>content".
func short(all []record.Delta) string {
	var out []string
	for _, d := range all {
		switch d.Type {
		case selfconf.Append:
			out = append(out, "+"+d.Content)
		case selfconf.Remove:
			out = append(out, "-"+d.Target)
		case selfconf.Replace:
			out = append(out, d.Target+">"+d.Content)
		}
	}
	return strings.Join(out, " ")
}

func TestOvertake(t *testing.T) {
	waiting := []record.Delta{{Delta: appends("a")}, {Delta: replaces("x", "b")}}
	elsewhere := replaces("a", "c")
	elsewhere.File = selfconf.Persona
	for _, tc := range []struct {
		why         string
		fresh       []selfconf.Delta
		want, ended string
	}{
		{"nothing new", nil, "+a x>b", ""},
		{"something else goes behind", []selfconf.Delta{appends("c")}, "+a x>b +c", ""},
		{"what changes a line that waits is added in its place", []selfconf.Delta{replaces("a", "c")}, "x>b +c", "+a"},
		{"or changes what that would have changed", []selfconf.Delta{replaces("b", "c")}, "+a x>c", "x>b"},
		{"what removes a line that waits leaves nothing", []selfconf.Delta{removes("a")}, "x>b", "+a"},
		{"or removes what that would have changed", []selfconf.Delta{removes("b")}, "+a -x", "x>b"},
		{"twice in one batch", []selfconf.Delta{replaces("a", "c"), replaces("c", "d")}, "x>b +d", "+a +c"},
		{"the same line of another document is another", []selfconf.Delta{elsewhere}, "+a x>b a>c", ""},
	} {
		got, ended := lesson.Overtake(waiting, tc.fresh)
		if diff := cmp.Diff([]string{tc.want, tc.ended}, []string{short(got), short(ended)}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.why, diff)
		}
		for _, d := range got {
			if d.ID == "" && d.Content != "a" && d.Content != "b" {
				t.Errorf("%s: %+v has no id", tc.why, d)
			}
		}
	}
	if short(waiting) != "+a x>b" {
		t.Errorf("what waits was changed: %s", short(waiting))
	}
}

// TestInverse takes deltas back: all but the place of a line that was removed
// is as before.
func TestInverse(t *testing.T) {
	docs := selfconf.Documents{file: "a\nb\n"}
	for _, d := range []selfconf.Delta{appends("c"), replaces("a", "c\nd"), removes("b")} {
		after, err := docs.Apply(d)
		if err != nil {
			t.Fatal(err)
		}
		back, err := after.Apply(lesson.Inverse(d))
		if err != nil || back[file] != docs[file] {
			t.Errorf("%+v taken back: %q, %v", d, back[file], err)
		}
	}
}

func TestBrief(t *testing.T) {
	for _, tc := range []struct {
		why  string
		d    selfconf.Delta
		want string
	}{
		{"without the mark of a list", appends("- Never use tabs."), "tool-preferences: “Never use tabs.”"},
		{"several lines are one", appends("- a\n- b"), "tool-preferences: “a b”"},
		{"both of a change", replaces("- Use tabs.", "- Use spaces."), "tool-preferences: “Use spaces.” in place of “Use tabs.”"},
		{"what is gone", removes("* Use tabs."), "tool-preferences: no longer “Use tabs.”"},
		{"the beginning of what is long", appends(strings.Repeat("ä", 130)), "tool-preferences: “" + strings.Repeat("ä", 119) + "…”"},
	} {
		if got := lesson.Brief(tc.d); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.why, got, tc.want)
		}
	}
}

func TestAlike(t *testing.T) {
	same := lesson.Alike(appends("- Never  use tabs.")) == lesson.Alike(appends("- never use\ttabs."))
	other := lesson.Alike(appends("- Never use tabs.")) == lesson.Alike(appends("- Never use spaces."))
	place := lesson.Alike(appends("a")) == lesson.Alike(replaces("b", "a"))
	if !same || other || place {
		t.Errorf("white space and case alike: %v, other words alike: %v, another change alike: %v", same, other, place)
	}
}

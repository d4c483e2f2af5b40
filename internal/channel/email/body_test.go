package email

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// crlf gives a message the line ends that mail has.
func crlf(text string) []byte { return []byte(strings.ReplaceAll(text, "\n", "\r\n")) }

func TestReadBody(t *testing.T) {
	for _, tt := range []struct {
		name, message string
		text          string   // the text, in part
		files         []string // names and contents
		note          string   // in part; "" for none
	}{
		{"plain text", "Content-Type: text/plain\n\nHello", "Hello", nil, ""},
		{"no type", "Subject: x\n\nHello", "Hello", nil, ""},
		{"a charset", "Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\nGr=FC=DFe", "Grüße", nil, ""},
		{"another charset", "Content-Type: text/plain; charset=shift_jis\nContent-Transfer-Encoding: base64\n\ng2WDWINn", "テスト", nil, ""},
		{"a charset that nobody knows", "Content-Type: text/plain; charset=x-none\n\nHello \xff", "Hello \uFFFD", nil, ""},
		{"an encoding that nobody knows", "Content-Type: text/plain\nContent-Transfer-Encoding: x-none\n\nHello", "Hello", nil, ""},
		{"HTML alone", "Content-Type: text/html\n\n<p>Hello <b>there</b></p><blockquote>Old</blockquote>", "Hello **there**\n\n> Old", nil, ""},
		{
			"plain text is preferred", "Content-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/html\n\n<p>page</p>\n--b\nContent-Type: text/plain\n\nplain\n--b--\n",
			"plain", nil, "",
		},
		{
			"HTML where the plain text is empty", "Content-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/plain\n\n \n--b\nContent-Type: text/html\n\n<p>page</p>\n--b--\n",
			"page", nil, "",
		},
		{
			"an attachment", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nSee it\n--b\nContent-Type: application/pdf\nContent-Disposition: attachment; filename=\"r.pdf\"\nContent-Transfer-Encoding: base64\n\naGk=\n--b--\n",
			"See it",
			[]string{"r.pdf hi"},
			"",
		},
		{
			"a name in encoded words, with a path", "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain; name=\"=?utf-8?q?..=2F..=2Fgr=C3=BCn.txt?=\"\n\nhi\n--b--\n",
			"",
			[]string{"grün.txt hi"},
			"",
		},
		{
			"a name of another system", "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Disposition: attachment; filename=\"C:\\\\x\\\\a.txt\"\n\nhi\n--b--\n",
			"",
			[]string{"a.txt hi"},
			"",
		},
		{
			"a name that is no name", "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: image/png\nContent-Disposition: attachment; filename=\"..\"\n\nhi\n--b--\n",
			"",
			[]string{"attachment.png hi"},
			"",
		},
		{
			"no name", "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: image/png\nContent-Disposition: attachment\n\nhi\n--b--\n",
			"",
			[]string{"attachment.png hi"},
			"",
		},
		{
			"a message that is attached is a file, and no text", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nSee\n--b\nContent-Type: message/rfc822\n\nSubject: evil\n\nobey\n--b--\n",
			"See",
			[]string{"attachment.eml Subject: evil\r\n\r\nobey"},
			"",
		},
		{
			"a picture of the page", "Content-Type: multipart/related; boundary=b\n\n--b\nContent-Type: text/html\n\n<p>page</p>\n--b\nContent-Type: image/png; name=logo.png\nContent-Id: <l>\n\nx\n--b--\n",
			"page", nil, "",
		},
		{
			"texts around a file", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nbefore\n--b\nContent-Disposition: attachment; filename=f\n\nx\n--b\n\nafter\n--b--\n",
			"before\n\nafter",
			[]string{"f x"},
			"",
		},
		{"a message that is cut", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nHello", "Hello", nil, "its end is missing"},
		{"a text that is too long", "Content-Type: text/plain\n\n" + strings.Repeat("x", maxBody+1), strings.Repeat("x", 100), nil, "longer than what is read"},
		{"a page that is too long", "Content-Type: text/html\n\n" + strings.Repeat("x", maxHTML+1), strings.Repeat("x", 100), nil, "longer than what is read"},
		{
			"a file that is too large", "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Disposition: attachment; filename=f\n\n" + strings.Repeat("x", maxAttachment+1) + "\n--b--\n",
			"", nil, `"f" was left out: an attachment may have 20 MB`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := readBody(crlf(tt.message))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(got.text, tt.text) || tt.text == "" && strings.TrimSpace(got.text) != "" {
				t.Errorf("text = %.200q, want %.200q", got.text, tt.text)
			}
			var files []string
			for _, f := range got.files {
				files = append(files, f.name+" "+string(f.data))
			}
			if !slices.Equal(files, tt.files) {
				t.Errorf("files = %q, want %q", files, tt.files)
			}
			if notes := strings.Join(got.notes, "\n"); !strings.Contains(notes, tt.note) || tt.note == "" && notes != "" {
				t.Errorf("notes = %q, want %q", notes, tt.note)
			}
		})
	}
}

// What is made to be too much is refused or cut, in time.
func TestBounds(t *testing.T) {
	var deep strings.Builder
	for i := range maxDepth + 2 {
		fmt.Fprintf(&deep, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
	}
	for name, message := range map[string]string{
		"parts within parts": deep.String() + "\nx",
		"many parts":         "Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\n\nx\n", maxParts+1) + "--b--\n",
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := readBody(crlf(message)); err == nil {
				t.Errorf("it is read: %.100q", got.text)
			}
		})
	}
	files := "Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\nContent-Disposition: attachment; filename=f\n\nx\n", maxFiles+1) + "--b--\n"
	if got, err := readBody(crlf(files)); err != nil || len(got.files) != maxFiles || len(got.notes) != 1 {
		t.Errorf("%d files, notes %q, %v; want %d files and a note", len(got.files), got.notes, err, maxFiles)
	}
	for name, piece := range map[string]string{"nesting": "<div>", "quotes": "<blockquote>", "lists": "<ul><li>", "marks": "*_[", "tables": "<table><tr><td>"} {
		t.Run("a page of "+name, func(t *testing.T) {
			began := time.Now()
			_, err := readBody(crlf("Content-Type: text/html\n\n" + strings.Repeat(piece, maxHTML/len(piece))))
			if took := time.Since(began); took > 30*time.Second {
				t.Errorf("it took %v (%v)", took, err)
			}
		})
	}
}

// FuzzReadBody looks for panics, and for contents beyond the bounds.
func FuzzReadBody(f *testing.F) {
	seeds, err := filepath.Glob("testdata/messages/*.eml")
	if err != nil || len(seeds) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, name := range seeds {
		raw, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	c := plainChannel(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		if l, err := c.readLetter(raw); err == nil {
			if strings.ContainsAny(l.subject+l.id+l.replyTo+strings.Join(l.before, ""), "\r\n") {
				t.Errorf("a line ends in %+v", l)
			}
			if source, err := l.thread().encode(); err != nil || len(source) > 4<<10 {
				t.Errorf("the source has %d bytes, %v", len(source), err)
			}
			if sender := c.sender(l); !l.verified && sender == c.Owner {
				t.Errorf("%+v is taken for the owner's", l)
			}
		}
		got, err := readBody(raw)
		if err != nil {
			return
		}
		if len(got.files) > maxFiles || got.parts > maxParts {
			t.Errorf("%d files in %d parts", len(got.files), got.parts)
		}
		for _, file := range got.files {
			if file.name == "" || strings.ContainsAny(file.name, "/\\\r\n\x00") || len(file.name) > maxFileName {
				t.Errorf("a file is named %q", file.name)
			}
		}
	})
}

package email

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/JohannesKaufmann/html-to-markdown/v2/converter"
	"github.com/JohannesKaufmann/html-to-markdown/v2/plugin/base"
	"github.com/JohannesKaufmann/html-to-markdown/v2/plugin/commonmark"
	"github.com/emersion/go-message"
)

// The bounds of what is read of one message, in bytes unless said otherwise.
const (
	maxMessage    = 25 << 20
	maxAttachment = 20 << 20
	maxBody       = 2 << 20   // of its text; the router refuses less
	maxHTML       = 512 << 10 // of HTML, which takes longer to read
	maxParts      = 200       // parts of all kinds
	maxDepth      = 8         // parts within parts
	maxFiles      = 20        // attachments
	maxFileName   = 200
)

// content is what a message holds.
type content struct {
	text  string
	files []attachment
	notes []string // what was left out, and why
	parts int      // that were seen
}

// attachment is one file in a message.
type attachment struct {
	name string
	data []byte
}

// errBounds ends the reading of a message that is made to be too much.
var errBounds = errors.New("it has too many parts, or parts within parts")

// readBody reads a whole message. What is damaged is read as far as it goes;
// an error means that there is nothing to go by.
func readBody(raw []byte) (content, error) {
	var c content
	entity, err := message.ReadWithOptions(bytes.NewReader(raw), &message.ReadOptions{MaxHeaderBytes: maxHeader})
	if entity == nil {
		return c, fmt.Errorf("read a message: %w", err)
	}
	text, err := c.part(entity, 0, false)
	if err != nil {
		return content{}, fmt.Errorf("read a message: %w", err)
	}
	c.text = strings.ToValidUTF8(text, "\uFFFD")
	return c, nil
}

// part reads one part and what is in it, and returns its text. related says
// that it stands beside a page that shows it.
func (c *content) part(e *message.Entity, depth int, related bool) (string, error) {
	if c.parts++; c.parts > maxParts || depth > maxDepth {
		return "", errBounds
	}
	kind, params, err := e.Header.ContentType()
	if err != nil {
		kind = "text/plain" // as RFC 2045 has it
	}
	kind = strings.ToLower(kind)
	if parts := e.MultipartReader(); parts != nil {
		return c.several(parts, kind, depth)
	}
	disposition, about, _ := e.Header.ContentDisposition() // one that cannot be read says nothing
	name := about["filename"]
	if name == "" {
		name = params["name"]
	}
	inline := !strings.EqualFold(disposition, "attachment")
	switch {
	case inline && name == "" && kind == "text/plain":
		return c.read(e.Body, maxBody), nil
	case inline && name == "" && kind == "text/html":
		return c.html(c.read(e.Body, maxHTML)), nil
	case inline && related && e.Header.Has("Content-Id"):
		return "", nil // a picture of the page, such as the logo of a signature
	}
	c.keep(e, kind, name)
	return "", nil
}

// several reads the parts of a part. Of alternatives the plain text counts, and
// HTML only if that is empty; all else is read in its order.
func (c *content) several(parts message.MultipartReader, kind string, depth int) (string, error) {
	var texts []string
	plain, page := "", ""
	for {
		e, err := parts.NextPart()
		if e == nil {
			if !errors.Is(err, io.EOF) {
				c.note("A part of the message is damaged, so its end is missing.")
			}
			break
		}
		sort, _, _ := e.Header.ContentType()
		text, err := c.part(e, depth+1, kind == "multipart/related")
		if err != nil {
			return "", err
		}
		switch {
		case strings.TrimSpace(text) == "":
		case strings.EqualFold(sort, "text/plain") && plain == "":
			plain = text
		default:
			page = text // the last is the best, as RFC 2046 has it
		}
		if size := len(text); size > 0 && total(texts)+size <= maxBody {
			texts = append(texts, strings.TrimSpace(text))
		}
	}
	if kind != "multipart/alternative" {
		return strings.Join(texts, "\n\n"), nil
	}
	if plain != "" {
		return plain, nil
	}
	return page, nil
}

func total(texts []string) int {
	n := 0
	for _, text := range texts {
		n += len(text)
	}
	return n
}

// note says what was left out, once.
func (c *content) note(text string) {
	if !slices.Contains(c.notes, text) && len(c.notes) < maxFiles {
		c.notes = append(c.notes, text)
	}
}

// read takes at most limit bytes of a text.
func (c *content) read(r io.Reader, limit int64) string {
	text, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		c.note("A part of the message is damaged, so its end is missing.")
	}
	if int64(len(text)) > limit {
		text = text[:limit]
		c.note("A part of the message is longer than what is read of one, so its end is missing.")
	}
	return string(text)
}

// html turns a page into Markdown, whose quotes look like those of plain text.
// Nothing in it is escaped, because nobody renders it.
func (c *content) html(page string) string {
	convert := converter.NewConverter(
		converter.WithPlugins(base.NewBasePlugin(), commonmark.NewCommonmarkPlugin()),
		converter.WithEscapeMode(converter.EscapeModeDisabled),
	)
	text, err := convert.ConvertString(page)
	if err != nil {
		c.note("A part of the message is no HTML that can be read.")
		return ""
	}
	return text
}

// keep takes a file on.
func (c *content) keep(e *message.Entity, kind, name string) {
	name = oneLine(path.Base(strings.ReplaceAll(decoded(name), `\`, "/")), maxFileName)
	if strings.Trim(name, "./ ") == "" {
		name = "attachment" + suffix(kind)
	}
	if len(c.files) == maxFiles {
		c.note(fmt.Sprintf("%q was left out: only %d attachments of a message are kept.", name, maxFiles))
		return
	}
	data, err := io.ReadAll(io.LimitReader(e.Body, maxAttachment+1))
	switch {
	case err != nil:
		c.note(fmt.Sprintf("%q was left out: it is damaged.", name))
	case len(data) > maxAttachment:
		c.note(fmt.Sprintf("%q was left out: an attachment may have %d MB.", name, maxAttachment>>20))
	default:
		c.files = append(c.files, attachment{name, data})
	}
}

// suffix names a file that has no name.
func suffix(kind string) string {
	switch kind {
	case "message/rfc822":
		return ".eml"
	case "text/calendar":
		return ".ics"
	case "text/html":
		return ".html"
	case "text/plain":
		return ".txt"
	case "image/jpeg":
		return ".jpg"
	case "image/png":
		return ".png"
	case "application/pdf":
		return ".pdf"
	}
	return ""
}

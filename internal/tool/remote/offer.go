package remote

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"phantom/internal/tool/dynamic"
)

// separator stands between the name of a server and that of its tool. No other
// tool has it in its name, and no server's name has it or ends in a part of it.
const separator = "__"

const (
	maxName     = 64       // bytes of the agent's name of a tool: what model providers take
	maxOffered  = 256      // tools of one server, in all the time that it is known
	maxTools    = 64       // tools of one server that are taken over
	maxPages    = 32       // of a list
	maxSaid     = 8 << 10  // bytes of a description
	maxAllSaid  = 96 << 10 // bytes of the descriptions and schemas of one server
	maxRefusals = 20       // that are told
)

// toolName is what a tool of a server may be called: what model providers take.
var toolName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// said is what a server says of a tool.
type said struct {
	hash        string
	description string
	schema      dynamic.Schema
}

// entry is a tool that is there.
type entry struct {
	server, tool    string
	pinned, offered said
}

func (e entry) name() string  { return e.server + separator + e.tool }
func (e entry) changed() bool { return e.pinned.hash != e.offered.hash }

// refresh takes over what a server offers now.
func (r *Registry) refresh(ctx context.Context, s *server, l *link) error {
	limit, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	list, err := tools(limit, l.session)
	if err != nil {
		return fmt.Errorf("list the tools of %s: %w", s.Label(), err)
	}
	offers, refused, err := admit(s.Server, list)
	if err != nil {
		return err
	}
	entries, more, err := r.pin(context.WithoutCancel(ctx), s.Server, offers)
	if err != nil {
		return err
	}
	refused = append(refused, more...)
	if n := len(refused); n > maxRefusals {
		refused = append(refused[:maxRefusals:maxRefusals], fmt.Sprintf("and %d more", n-maxRefusals))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tools, s.refused = entries, refused
	return nil
}

// tools lists what a server has.
func tools(ctx context.Context, session *mcp.ClientSession) ([]*mcp.Tool, error) {
	var all []*mcp.Tool
	params := &mcp.ListToolsParams{}
	for range maxPages {
		page, err := session.ListTools(ctx, params)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Tools...)
		if len(all) > maxOffered {
			return nil, fmt.Errorf("it has more than %d", maxOffered)
		}
		if page.NextCursor == "" {
			return all, nil
		}
		params = &mcp.ListToolsParams{Cursor: page.NextCursor}
	}
	return nil, fmt.Errorf("the list has more than %d pages", maxPages)
}

// admit judges a list. A tool that cannot be used is left out, and said.
func admit(s Server, list []*mcp.Tool) (offers map[string]said, refused []string, err error) {
	offers = map[string]said{}
	times, total := map[string]int{}, 0
	for _, t := range list {
		if t != nil {
			times[t.Name]++
		}
	}
	for _, t := range list {
		if t == nil || s.Tools != nil && !slices.Contains(s.Tools, t.Name) {
			continue
		}
		offer, err := offered(s.Name, t)
		if err == nil && times[t.Name] > 1 {
			err = errors.New("the server has more than one of that name")
		}
		if err != nil {
			refused = append(refused, fmt.Sprintf("%.80q: %s", t.Name, plain(err.Error(), reasonLimit)))
			continue
		}
		total += len(offer.description) + len(offer.schema.JSON())
		offers[t.Name] = offer
	}
	if len(offers) > maxTools || total > maxAllSaid {
		return nil, nil, fmt.Errorf("%s has %d tools, whose descriptions and schemas have %d bytes, at most %d and %d are taken over: name those that you want under tools", s.Label(), len(offers), total, maxTools, maxAllSaid)
	}
	return offers, refused, nil
}

// offered judges what a server says of one tool.
func offered(server string, t *mcp.Tool) (said, error) {
	raw, err := json.Marshal(t.InputSchema)
	if err != nil {
		return said{}, err
	}
	return judge(server, t.Name, t.Description, raw)
}

// judge judges what is said of a tool, by its server or by the table.
func judge(server, tool, description string, raw json.RawMessage) (said, error) {
	switch name := server + separator + tool; {
	case !toolName.MatchString(tool):
		return said{}, errors.New("its name must be 1 to 64 letters, digits, _ and -")
	case len(name) > maxName:
		return said{}, fmt.Errorf("the name %s has %d bytes, at most %d are allowed: give the server a shorter one", name, len(name), maxName)
	case len(description) > maxSaid:
		return said{}, fmt.Errorf("its description has %d bytes, at most %d are allowed", len(description), maxSaid)
	}
	plainSchema, err := withoutDraft(raw)
	if err != nil {
		return said{}, fmt.Errorf("its input schema: %w", err)
	}
	schema, err := dynamic.ParseSchema(server+separator+tool, plainSchema)
	if err != nil {
		return said{}, fmt.Errorf("its input schema: %w", err)
	}
	return said{hash: digest(tool, description, string(schema.JSON())), description: description, schema: schema}, nil
}

// withoutDraft takes an older draft's name from a schema. What drafts mean
// differently is refused by name, so what is left says the same in all.
func withoutDraft(raw json.RawMessage) (json.RawMessage, error) {
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(raw, &parts); err != nil || parts == nil {
		return nil, errors.New("it must be a JSON object")
	}
	switch strings.TrimSuffix(strings.Trim(string(parts["$schema"]), `"`), "#") {
	case "http://json-schema.org/draft-07/schema", "http://json-schema.org/draft-06/schema", "https://json-schema.org/draft/2019-09/schema":
		delete(parts, "$schema")
	}
	return json.Marshal(parts)
}

// digest names what is said of a tool; the lengths keep its parts apart.
func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// plain returns the head of a text as one line without characters that are not
// seen.
func plain(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "") + "…"
	}
	return text
}

package mcptest

import (
	"bufio"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

//go:embed client.mjs
var clientScript []byte

// patience is how long a peer may take for an answer or an event.
const patience = 30 * time.Second

// Client is the official TypeScript client in a process of its own. It is
// asked one thing at a time.
type Client struct {
	t       testing.TB
	in      io.Writer
	answers chan line
	events  chan string
}

// line is one line of the client: an answer, an error or an event.
type line struct {
	Answer json.RawMessage
	Error  *Refusal
	Event  string
}

// Refusal is how a request failed: with a code of HTTP or of JSON-RPC.
type Refusal struct {
	Code    int
	Message string
}

// Error implements error.
func (r *Refusal) Error() string { return fmt.Sprintf("%s (%d)", r.Message, r.Code) }

// Client starts the TypeScript client. It ends with the test.
func (p Peers) Client(t testing.TB) *Client {
	t.Helper()
	script := filepath.Join(t.TempDir(), "client.mjs")
	if err := os.WriteFile(script, clientScript, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := p.Command(t, filepath.Join(".bin", "node"), script, p.Modules())
	cmd.Stderr = t.Output()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &Client{t: t, in: in, answers: make(chan line, 1), events: make(chan string, 1000)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.hear(out)
	}()
	t.Cleanup(func() {
		<-done
		_ = cmd.Wait() // it was killed with the test's context
	})
	return c
}

// hear sorts what the client says.
func (c *Client) hear(out io.Reader) {
	defer close(c.answers)
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			c.t.Errorf("the TypeScript client said %q: %v", lines.Text(), err)
			return
		}
		if l.Event == "" {
			c.answers <- l
			continue
		}
		select {
		case c.events <- l.Event:
		default: // nobody waits for that many
		}
	}
}

// Connect opens a session with the token.
func (c *Client) Connect(url, token string) error {
	c.t.Helper()
	return c.do("connect", nil, "url", url, "token", token)
}

// Tools lists the names of the tools.
func (c *Client) Tools() ([]string, error) {
	c.t.Helper()
	var list struct{ Tools []struct{ Name string } }
	err := c.do("tools", &list)
	names := make([]string, 0, len(list.Tools))
	for _, tool := range list.Tools {
		names = append(names, tool.Name)
	}
	return names, err
}

// Resources lists the addresses of the resources.
func (c *Client) Resources() ([]string, error) {
	c.t.Helper()
	var list struct{ Resources []struct{ URI string } }
	err := c.do("resources", &list)
	addresses := make([]string, 0, len(list.Resources))
	for _, r := range list.Resources {
		addresses = append(addresses, r.URI)
	}
	return addresses, err
}

// Read returns the text of a resource.
func (c *Client) Read(uri string) (string, error) {
	c.t.Helper()
	var read struct{ Contents []struct{ Text string } }
	if err := c.do("read", &read, "uri", uri); err != nil {
		return "", err
	}
	if len(read.Contents) != 1 {
		return "", fmt.Errorf("%s has %d contents, want one", uri, len(read.Contents))
	}
	return read.Contents[0].Text, nil
}

// Result is what a tool answered.
type Result struct {
	Content           []struct{ Text string }
	StructuredContent map[string]any
	IsError           bool
}

// Text is the first text of the result.
func (r Result) Text() string {
	if len(r.Content) == 0 {
		return ""
	}
	return r.Content[0].Text
}

// Call calls a tool. The client itself checks the answer against the output
// schema that the server announced.
func (c *Client) Call(name string, arguments map[string]any) (Result, error) {
	c.t.Helper()
	var r Result
	err := c.do("call", &r, "name", name, "arguments", arguments)
	return r, err
}

// do sends a request with the given keys and values and decodes the answer.
func (c *Client) do(what string, answer any, pairs ...any) error {
	c.t.Helper()
	request := object{"do": what}
	for i := 0; i < len(pairs); i += 2 {
		request[pairs[i].(string)] = pairs[i+1]
	}
	if err := json.NewEncoder(c.in).Encode(request); err != nil {
		c.t.Fatalf("the TypeScript client takes no request: %v", err)
	}
	select {
	case l, ok := <-c.answers:
		switch {
		case !ok:
			c.t.Fatalf("the TypeScript client ended before it answered %q", what)
		case l.Error != nil:
			return l.Error
		case answer != nil:
			return json.Unmarshal(l.Answer, answer)
		}
		return nil
	case <-time.After(patience):
		c.t.Fatalf("the TypeScript client did not answer %q in %v", what, patience)
		return nil
	}
}

// Await waits for an event: list_changed, progress. Others that come before
// are passed over.
func (c *Client) Await(event string) {
	c.t.Helper()
	limit := time.After(patience)
	for {
		select {
		case e := <-c.events:
			if e == event {
				return
			}
		case <-limit:
			c.t.Fatalf("the TypeScript client saw no %s in %v", event, patience)
		}
	}
}

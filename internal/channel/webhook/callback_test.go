package webhook

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"phantom/internal/channel/webhook/webhooktest"
	"phantom/internal/phantom"
)

// inside are addresses that no sender may have us call.
var inside = []string{
	"http://127.0.0.1/x", "http://localhost/x", "http://0.0.0.0/x", "http://10.1.2.3/x", "http://172.16.0.1/x", "http://172.31.255.255/x", "http://192.168.1.1/x",
	"http://100.64.0.1/x", "http://169.254.0.1/x", "http://169.254.169.254/latest", "http://metadata.google.internal/x", "http://[::1]/x", "http://[fd00::1]/x",
	"http://[fe80::1]/x", "http://[::ffff:127.0.0.1]/x", "http://[::ffff:10.0.0.1]/x", "http://[64:ff9b::7f00:1]/x", "http://2130706433/x", "http://0x7f.1/x",
	"http://127.1/x", "http://224.0.0.1/x", "http://printer/x", "http://nas.local/x", "ftp://example.com/x", "file:///etc/passwd", "gopher://example.com/",
	"https://user:pass@example.com/", "https://example.com:22/x", "example.com/x", "//example.com/x", "https://", "x",
}

// An address inside a network is refused when it is named, with the reason, and
// the message with it; with another one the same id counts.
func TestAddressesAreJudgedWhenTheyAreNamed(t *testing.T) {
	w := newWorld(t, settings{})
	for _, address := range inside {
		a := w.ci().Post(t, "1", webhooktest.Body("hello", "callback_url", address))
		if a.Status != http.StatusBadRequest || !strings.Contains(a.Error, "callback_url: ") || !strings.Contains(a.Error, "refused") || strings.Contains(a.Error, "pass@") {
			t.Errorf("%s: %d %s", address, a.Status, a.Body)
		}
	}
	if n := w.messages(); n != 0 {
		t.Errorf("%d messages were kept", n)
	}
	want(t, w.ci().Post(t, "1", webhooktest.Body("hello")), http.StatusOK)
	// The longest address there may be, of what takes most room.
	long := callback{Sender: strings.Repeat("s", maxName), Request: strings.Repeat(`"`, maxID), Conversation: strings.Repeat("c", maxConversation), URL: strings.Repeat("<", maxCallback)}
	if n := len(long.String()); n > phantom.MaxSource || readCallback(long.String()) != long {
		t.Errorf("a source of %d bytes, the limit is %d", n, phantom.MaxSource)
	}
}

// await waits until the outbox has settled so many deliveries.
func (w *world) await(state string, n int) {
	w.t.Helper()
	for end := time.Now().Add(patience); w.count(`SELECT count(*) FROM outbox WHERE state = ?`, state) < n; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("%d deliveries are %s, want %d", w.count(`SELECT count(*) FROM outbox WHERE state = ?`, state), state, n)
		}
	}
}

// The reply goes to the address that the message named, signed with every
// secret of its sender, until the receiver has it. Everything on the way is
// real: names, connections, and the guard of addresses.
func TestCallbacks(t *testing.T) {
	if !webhooktest.Alone(t) {
		return
	}
	receiver := &webhooktest.Receiver{Keys: [][]byte{keyOf, []byte(rawText)}}
	reached := webhooktest.Serve(t, receiver)
	names := &webhooktest.Names{}
	names.Set("hooks.example.com", "93.184.215.14")
	names.Serve(t)
	for _, sub := range []struct {
		name string
		run  func(*callbacks, *testing.T)
	}{
		{"the reply comes, signed", (*callbacks).signed},
		{"a receiver that fails", (*callbacks).fails},
		{"a receiver that wants no more", (*callbacks).gone},
		{"a receiver that leads elsewhere", (*callbacks).leads},
		{"a name that moves inside", (*callbacks).moves},
		{"messages that wait together", (*callbacks).together},
		{"a sender that is gone", (*callbacks).orphaned},
	} {
		t.Run(sub.name, func(t *testing.T) {
			w := newWorld(t, settings{})
			sub.run(&callbacks{world: w, names: names, reached: reached, receiver: receiver, before: len(receiver.Got())}, t)
		})
	}
}

// callbacks is a world and a network around it.
type callbacks struct {
	*world
	names    *webhooktest.Names
	reached  *webhooktest.Reached
	receiver *webhooktest.Receiver
	before   int // callbacks that came in earlier tests
}

// came waits for callbacks of this test.
func (c *callbacks) came(t *testing.T, n int) []webhooktest.Callback {
	t.Helper()
	return c.receiver.Await(t, c.before+n)[c.before:]
}

func (c *callbacks) signed(t *testing.T) {
	a := want(t, c.ci().Post(t, "m1", webhooktest.Body("hello", "conversation_id", "talk", "callback_url", "http://hooks.example.com/here?token=t")), http.StatusAccepted)
	if a.TaskID == "" || a.State != "working" {
		t.Errorf("answered %s", a.Body)
	}
	got := c.came(t, 1)[0]
	if !slices.Equal(got.Signed, []int{0, 1}) || got.Host != "hooks.example.com" || got.Path != "/here?token=t" || got.Header.Get("webhook-id") == "" {
		t.Errorf("signed by %v: %+v", got.Signed, got)
	}
	if got.Type != typeReply || !slices.Equal(got.Data.Requests, []string{"m1"}) || got.Data.Conversation != "talk" || !strings.HasPrefix(got.Data.Reply, theReply) || strings.Contains(got.Raw, planted) {
		t.Errorf("it says %s", got.Raw)
	}
	c.await("sent", 1)
	want(t, c.ci().Task(t, "q", a.TaskID), http.StatusOK)
	if n := c.count(`SELECT count(*) FROM channel_state WHERE value LIKE '%hooks.example.com%'`); n != 0 {
		t.Errorf("%d debts are left", n)
	}
}

func (c *callbacks) fails(t *testing.T) {
	c.receiver.Fail(webhooktest.Status(500), webhooktest.Cut)
	want(t, c.ci().Post(t, "m1", webhooktest.Body("hello", "callback_url", "http://hooks.example.com/?token=hidden-token")), http.StatusAccepted)
	got := c.came(t, 3)
	c.await("sent", 1)
	for _, g := range got {
		if g.Header.Get("webhook-id") != got[0].Header.Get("webhook-id") || len(g.Signed) != 2 {
			t.Errorf("a repeat cannot be told: %+v", g)
		}
	}
	if len(c.receiver.Got()) != c.before+3 {
		t.Errorf("%d came, want 3", len(c.receiver.Got())-c.before)
	}
	if strings.Contains(c.log.String(), "hidden-token") || !strings.Contains(c.log.String(), "callback to hooks.example.com") {
		t.Errorf("the log says\n%s", c.log)
	}
}

func (c *callbacks) gone(t *testing.T) {
	c.receiver.Fail(webhooktest.Status(http.StatusGone))
	want(t, c.ci().Post(t, "m1", webhooktest.Body("hello", "callback_url", "http://hooks.example.com/")), http.StatusAccepted)
	c.came(t, 1)
	c.await("dead", 1)
}

func (c *callbacks) leads(t *testing.T) {
	before := c.reached.At("10.0.0.1")
	c.receiver.Fail(webhooktest.Status(http.StatusTemporaryRedirect, "Location", "http://10.0.0.1/"))
	want(t, c.ci().Post(t, "m1", webhooktest.Body("hello", "callback_url", "http://hooks.example.com/")), http.StatusAccepted)
	c.came(t, 2) // the next try is where it was meant
	c.await("sent", 1)
	if c.reached.At("10.0.0.1") != before {
		t.Error("the redirect was followed")
	}
}

// A name that is public when it is named and inside when it is called.
func (c *callbacks) moves(t *testing.T) {
	for n, address := range []string{"127.0.0.1", "10.0.0.7", "172.16.3.4", "192.168.7.7", "169.254.169.254", "100.64.0.9", "0.0.0.0", "::1", "fd00::7", "::ffff:10.0.0.7"} {
		c.names.Set("moves.example.com", "93.184.215.77")
		before := c.reached.At(address)
		want(t, c.ci().Post(t, phantom.NewID(), webhooktest.Body("a slow one", "callback_url", "http://moves.example.com/")), http.StatusAccepted)
		c.names.Set("moves.example.com", address)
		select {
		case c.gate <- struct{}{}: // the model goes on
		case <-time.After(patience):
			t.Fatal("the model is not asked")
		}
		c.await("dead", n+1)
		if got := c.reached.At(address) - before; got != 0 && address != "127.0.0.1" && address != "::1" {
			t.Errorf("%d connections to %s", got, address)
		}
		if len(c.receiver.Got()) != c.before {
			t.Fatalf("%s was called: %+v", address, c.receiver.Got()[c.before:])
		}
	}
}

// Messages of one conversation that wait for the same turn are answered
// together, each where it asked to be, also if one place fails.
func (c *callbacks) together(t *testing.T) {
	c.names.Set("other.example.com", "93.184.215.15")
	post := func(id, text, to string) {
		more := []string{"conversation_id", "talk"}
		if to != "" {
			want(t, c.ci().Post(t, id, webhooktest.Body(text, append(more, "callback_url", to)...)), http.StatusAccepted)
		}
	}
	post("m1", "a slow one", "http://hooks.example.com/1")
	for end := time.Now().Add(patience); c.count(`SELECT count(*) FROM inbox WHERE state = 'taken'`) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the first is not begun")
		}
	}
	post("m2", "and", "http://hooks.example.com/2")
	post("m3", "more", "http://other.example.com/3")
	post("m4", "still", "http://hooks.example.com/2")
	c.receiver.Fail(webhooktest.Status(200), webhooktest.Status(503, "Retry-After", "1"))
	c.open()
	for end := time.Now().Add(patience); c.count(`SELECT count(*) FROM outbox WHERE state = 'queued'`) > 0 || c.count(`SELECT count(*) FROM inbox WHERE state <> 'done'`) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the deliveries do not end")
		}
	}
	heard := map[string]map[string]bool{} // request → webhook ids of what answered it
	for _, g := range c.receiver.Got()[c.before:] {
		for _, r := range g.Data.Requests {
			if heard[r] == nil {
				heard[r] = map[string]bool{}
			}
			heard[r][g.Header.Get("webhook-id")] = true
		}
	}
	for _, id := range []string{"m1", "m2", "m3", "m4"} {
		if len(heard[id]) != 1 {
			t.Errorf("%s was answered by %d deliveries, want 1: %v", id, len(heard[id]), heard)
		}
	}
	if n := c.count(`SELECT count(*) FROM channel_state WHERE value LIKE '%example.com%' OR value = 'sent'`); n != 0 {
		t.Errorf("%d notes are left", n)
	}
}

func (c *callbacks) orphaned(t *testing.T) {
	_, err := c.Deliver(t.Context(), phantom.Delivery{ID: "d", Conversation: "webhook:gone/x", Source: callback{Sender: "gone", Request: "1", URL: "http://hooks.example.com/"}.String()})
	u, ok := errors.AsType[*undelivered](err)
	if !ok || !u.Permanent() || u.RetryAfter() != 0 || len(c.receiver.Got()) != c.before {
		t.Errorf("Deliver = %v", err)
	}
	if _, err := c.Deliver(t.Context(), phantom.Delivery{ID: "d", Conversation: "webhook:ci/x", Text: "x"}); err != nil {
		t.Errorf("a reply without an address: %v", err)
	}
	if _, err := c.Deliver(t.Context(), phantom.Delivery{ID: "d", Conversation: "webhook:ci/x", Source: "nonsense"}); err == nil {
		t.Error("a source that is none of ours is taken")
	}
}

// How long a receiver asks to wait is heard, within a day.
func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	c := &Channel{Deps: Deps{Now: func() time.Time { return now }}}
	for text, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-1": 0, "soon": 0, "999999999": 24 * time.Hour,
		now.Add(time.Minute).Format(http.TimeFormat): time.Minute, now.Add(-time.Minute).Format(http.TimeFormat): 0,
	} {
		if got := c.asked(text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

// What is owed in a conversation is bounded, and what nobody pays is forgotten.
func TestDebtsAreBounded(t *testing.T) {
	w := newWorld(t, settings{idle: true})
	in := phantom.ClientConversation(Name, "ci", "talk")
	for n := range maxOwed {
		if err := w.owed.add(t.Context(), in, debt{Message: phantom.MessageID(phantom.NewID()), Source: "s"}); err != nil {
			t.Fatal(n, err)
		}
	}
	if err := w.owed.room(t.Context(), in); !errors.Is(err, errOwed) {
		t.Errorf("room = %v", err)
	}
	w.late.Store(int64(owedFor/time.Second) + 60)
	if err := w.owed.room(t.Context(), in); err != nil {
		t.Errorf("room a week later = %v", err)
	}
}

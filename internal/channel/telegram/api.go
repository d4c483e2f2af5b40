package telegram

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/go-telegram/bot"
)

const (
	// callTimeout bounds one call but the poll.
	callTimeout = 30 * time.Second
	// maxAnswer bounds one answer of Telegram, in bytes.
	maxAnswer = 16 << 20
	// maxReason bounds what is quoted of an error, in bytes.
	maxReason = 300
	// maxWait bounds what Telegram may ask to wait for.
	maxWait = time.Hour
)

// apiError is what Telegram, or the way to it, said instead of an answer. Its
// text holds no token.
type apiError struct {
	method string
	code   int // as Telegram gives it; 0: it gave none
	text   string
	wait   time.Duration // that Telegram asks for
	moved  int64         // where the chat is now; 0: where it was
	cause  error         // a context's end; nil otherwise
}

func (e *apiError) Error() string { return "telegram: " + e.method + ": " + e.text }

// Unwrap lets the end of a context be told from a fault.
func (e *apiError) Unwrap() error { return e.cause }

// RetryAfter is how long Telegram wants to be left alone; 0: it did not say.
func (e *apiError) RetryAfter() time.Duration { return e.wait }

// Permanent reports whether the same call will never work. A chat that is not
// found may be: it begins when the owner first writes to the bot.
func (e *apiError) Permanent() bool {
	return e.code == http.StatusForbidden || e.code == http.StatusBadRequest && !e.says("chat not found")
}

func (e *apiError) says(words string) bool { return strings.Contains(strings.ToLower(e.text), words) }

// codeOf returns the code of an apiError; 0 for anything else.
func codeOf(err error) int {
	if e, ok := errors.AsType[*apiError](err); ok {
		return e.code
	}
	return 0
}

// refusal makes an error of the library ours, without the token.
func (c *Channel) refusal(method string, err error) error {
	if err == nil {
		return nil
	}
	e := &apiError{method: method, text: c.scrub(err)}
	for code, kind := range map[int]error{
		http.StatusBadRequest: bot.ErrorBadRequest, http.StatusUnauthorized: bot.ErrorUnauthorized, http.StatusForbidden: bot.ErrorForbidden,
		http.StatusNotFound: bot.ErrorNotFound, http.StatusConflict: bot.ErrorConflict,
	} {
		if errors.Is(err, kind) {
			e.code = code
		}
	}
	if slow, ok := errors.AsType[*bot.TooManyRequestsError](err); ok {
		e.code, e.wait = http.StatusTooManyRequests, seconds(slow.RetryAfter)
	}
	if moved, ok := errors.AsType[*bot.MigrateError](err); ok {
		e.code, e.moved = http.StatusBadRequest, int64(moved.MigrateToChatID)
	}
	e.cause = ended(err)
	return e
}

// ended returns the end of a context that is behind an error, or nil.
func ended(err error) error {
	for _, end := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, end) {
			return end
		}
	}
	return nil
}

// seconds is a wait that Telegram asks for, at least one second.
func seconds(n int) time.Duration {
	return min(time.Duration(min(max(n, 1), int(maxWait/time.Second)))*time.Second, maxWait)
}

// scrub is the text of an error without the token, in bounds.
func (c *Channel) scrub(err error) string {
	text := strings.ReplaceAll(err.Error(), c.Token.Reveal(), "[token]")
	if len(text) > maxReason {
		text = text[:maxReason] + "…"
	}
	return strings.ToValidUTF8(text, "")
}

// request is a call that the library does not offer as one: it polls on its
// own, and confirms before anything is done.
func (c *Channel) request(ctx context.Context, method string, params, into any) error {
	raw, err := json.Marshal(params)
	if err != nil {
		return &apiError{method: method, text: err.Error()}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Server+"/bot"+c.Token.Reveal()+"/"+method, bytes.NewReader(raw))
	if err != nil {
		return &apiError{method: method, text: c.scrub(err)}
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := bounded{c.http}.Do(request)
	if err != nil {
		return &apiError{method: method, text: c.scrub(err), cause: ended(err)}
	}
	defer response.Body.Close()
	var answer struct {
		OK          bool            `json:"ok"`
		Result      json.RawMessage `json:"result"`
		Description string          `json:"description"`
		ErrorCode   int             `json:"error_code"`
		Parameters  struct {
			RetryAfter int `json:"retry_after"`
		} `json:"parameters"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return &apiError{method: method, text: fmt.Sprintf("status %d, and no answer of Telegram: %s", response.StatusCode, c.scrub(err)), cause: ended(err)}
	}
	if !answer.OK {
		e := &apiError{method: method, code: answer.ErrorCode, text: c.scrub(errors.New(answer.Description))}
		if answer.ErrorCode == http.StatusTooManyRequests {
			e.wait = seconds(answer.Parameters.RetryAfter)
		}
		return e
	}
	if err := json.Unmarshal(answer.Result, into); err != nil {
		return &apiError{method: method, text: "not understood: " + c.scrub(err)}
	}
	return nil
}

// client returns a client that follows no redirect: the address holds the token.
func client(given *http.Client) *http.Client {
	own := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if given != nil {
		own.Transport = given.Transport
	}
	return own
}

// bounded is a client whose answers end at maxAnswer.
type bounded struct{ client *http.Client }

// Do implements the library's HttpClient.
func (b bounded) Do(r *http.Request) (*http.Response, error) {
	response, err := b.client.Do(r)
	if err != nil {
		return nil, err
	}
	response.Body = limited{io.LimitReader(response.Body, maxAnswer), response.Body}
	return response, nil
}

type limited struct {
	io.Reader
	io.Closer
}

// Package fault says how calls of Slack's Web API fail, in words for the owner,
// and how long to wait before another try.
//
// It owns which of Slack's words mean that nothing will ever help, and which
// that a token is wrong. No error of it holds a token.
package fault

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"time"

	"github.com/slack-go/slack"

	"phantom/internal/secret"
)

// Fault is a call that failed, in words for the owner.
type Fault struct {
	Text    string
	Said    string        // Slack's own word, such as channel_not_found; "" if it gave none
	Wait    time.Duration // that Slack asks for; 0 for none
	Lasting bool          // the same call can never work
	Err     error
}

// Error implements error.
func (f *Fault) Error() string { return f.Text }

// Unwrap returns what the call came back with.
func (f *Fault) Unwrap() error { return f.Err }

// RetryAfter is how long Slack asks to wait; 0 if it does not.
func (f *Fault) RetryAfter() time.Duration { return f.Wait }

// Permanent reports whether the same call can never work.
func (f *Fault) Permanent() bool { return f.Lasting }

// remedies say how to mend what Slack's words stand for.
var remedies = map[string]string{
	"invalid_auth":           "the token is not valid: copy the bot token (xoxb-) and the app token (xapp-) of the app's pages again",
	"not_authed":             "no token arrived: set SLACK_BOT_TOKEN and SLACK_APP_TOKEN",
	"account_inactive":       "the app was removed from the workspace: install it again and copy its tokens",
	"token_revoked":          "the token was revoked: install the app again and copy its tokens",
	"token_expired":          "the token ran out: install the app again, without rotation of tokens",
	"not_allowed_token_type": "the tokens are swapped or of another kind: SLACK_BOT_TOKEN begins with xoxb-, SLACK_APP_TOKEN with xapp-",
	"missing_scope":          "the app lacks a scope: paste what `phantom manifest slack` prints into the app's manifest and install it again",
	"not_in_channel":         "invite the app into the channel",
	"channel_not_found":      "there is no such channel, or it is private and the app was not invited",
	"is_archived":            "the channel is archived",
	"user_not_found":         "there is no such user: check the owner's member id in config/phantom.yaml",
}

// lasting are the words for what can never work, whoever mends what.
var lasting = map[string]bool{
	"channel_not_found": true, "is_archived": true, "msg_too_long": true, "no_text": true, "user_not_found": true,
	"invalid_arguments": true, "cannot_dm_bot": true, "user_disabled": true, "message_not_found": true,
}

// refusals are the words for tokens that do not open the door.
var refusals = map[string]bool{
	"invalid_auth": true, "not_authed": true, "account_inactive": true, "token_revoked": true, "token_expired": true, "not_allowed_token_type": true,
}

// Teller makes faults of errors.
type Teller struct{ Redact *secret.Redactor }

// Of says what could not be done and how to mend it.
func (t Teller) Of(what string, err error) *Fault {
	f := &Fault{Said: Word(err), Err: err}
	cause := err
	if outer, ok := errors.AsType[*url.Error](err); ok {
		cause = outer.Err // the address says nothing to the owner
	}
	f.Text = fmt.Sprintf("slack: %s: %v", what, cause)
	if answer, ok := errors.AsType[slack.SlackErrorResponse](err); ok && answer.Needed != "" {
		f.Text += " (" + answer.Needed + ")"
	}
	if remedy := remedies[f.Said]; remedy != "" {
		f.Text += ": " + remedy
	}
	f.Text = t.Redact.String(f.Text)
	f.Wait = asked(err)
	f.Lasting = lasting[f.Said]
	return f
}

// asked is the wait that Slack asks for, a second to an hour; 0 for none.
func asked(err error) time.Duration {
	if limited, ok := errors.AsType[*slack.RateLimitedError](err); ok {
		return min(max(limited.RetryAfter, time.Second), time.Hour)
	}
	return 0
}

// Refused reports whether Slack refused a token.
func Refused(err error) bool { return refusals[Word(err)] }

// Hopeless reports whether the same call can never work.
func Hopeless(err error) bool { return lasting[Word(err)] }

// Word is Slack's word for an error; "" if Slack did not answer.
func Word(err error) string {
	if answer, ok := errors.AsType[slack.SlackErrorResponse](err); ok {
		return answer.Err
	}
	if f, ok := errors.AsType[*Fault](err); ok {
		return f.Said
	}
	return ""
}

// Pause waits, or returns the error of a context that ended before.
func Pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

const (
	// minWait and maxWait are the first and the longest wait before another try.
	minWait = time.Second
	maxWait = time.Minute
)

// Backoff returns how long to wait before a try, after as many that failed, and
// no less than Slack asked for. Half of it is chance, so that many who wait do
// not come back at the same time.
func Backoff(failed int, err error) time.Duration {
	wait := min(minWait<<min(failed, 10), maxWait)
	return max(wait/2+rand.N(wait/2), asked(err))
}

// Again makes a call until it works, Slack refuses it, ctx ends, or it was
// tried often enough; a wait that Slack asks for is kept.
func Again(ctx context.Context, tries int, call func() error) error {
	for failed := 1; ; failed++ {
		err := call()
		if err == nil || failed >= tries || Word(err) != "" || Pause(ctx, Backoff(failed-1, err)) != nil {
			return err
		}
	}
}

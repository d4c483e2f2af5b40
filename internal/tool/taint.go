package tool

import (
	"context"
	"fmt"
	"path/filepath"

	"phantom/internal/phantom"
	"phantom/internal/tool/link"
)

// ruleTaint is the rule of what is asked only because of what was read.
const ruleTaint = "taint"

// raise turns an action that would be allowed into a question; a question and
// a block stay what they are. The reason says where the untrusted text is from.
func raise(v phantom.Verdict, t phantom.Taint, what string) phantom.Verdict {
	reason := fmt.Sprintf("%s, while text from %s is at hand", what, t)
	switch v.Decision {
	case phantom.Allow:
		return phantom.Verdict{Decision: phantom.Ask, Rule: ruleTaint, Family: "provenance", Reason: reason}
	case phantom.Ask:
		v.Reason += "; " + reason
	case phantom.Block:
	}
	return v
}

// Tainted returns the taint of files of the workspace, by their names in it.
func (c *Chain) Tainted(ctx context.Context, names ...string) (phantom.Taint, error) {
	marked, err := c.marks.All(ctx)
	if err != nil {
		return nil, err
	}
	var t phantom.Taint
	for _, name := range names {
		t = t.Add(marked.Of(filepath.Join(c.Places.Workspace, name))...)
	}
	return t, nil
}

// maxFollowed bounds the links of pages that are followed without asking while
// untrusted text is at hand: which of many links is fetched can tell a secret,
// a few bits each.
const maxFollowed = 30

// fetchVerdict judges a fetch by what the model has read. The address of a
// page leaves the machine, and whoever wrote an untrusted text may read it
// there. So with untrusted text at hand an address passes only if it was not
// the model that put it together: it stands whole in the owner's words, or it
// is a link of a page that was fetched. What stands in outputs of commands and
// in files counts for nothing, because the model can have it written there.
func (c *Chain) fetchVerdict(address string, r phantom.Reading) phantom.Verdict {
	v := c.Web.URL(address)
	if c.Redactor.String(address) != address {
		return v.Stricter(phantom.Verdict{
			Decision: phantom.Block, Rule: "secret-in-address", Family: "secret", Reason: "the address holds a secret, or what looks like one",
			Suggestion: "put ${secret:name} into a header, if the secret is bound to that host",
		})
	}
	if r.Taint.Clean() || link.In(address, r.Owner) {
		return v
	}
	if !link.In(address, r.Pages) {
		return raise(v, r.Taint, "it fetches an address that stands neither in your words nor in a page")
	}
	if n := len(r.Pages) + r.Beside; n > maxFollowed {
		return raise(v, r.Taint, fmt.Sprintf("it follows a link, after %d pages", n))
	}
	return v
}

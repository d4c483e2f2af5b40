package tool

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/textproto"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"phantom/internal/netguard"
	"phantom/internal/phantom"
	"phantom/internal/sandbox"
	"phantom/internal/vault"
)

// ruleSecret is the rule of commands that are lent a secret.
const ruleSecret = "secret-use"

var (
	// variableName is what a secret may be called in an environment.
	variableName = regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,63}$`)
	// steering are variables that decide what a program loads or runs, or that
	// every command has.
	steering = regexp.MustCompile(`^(PATH|HOME|LANG|TERM|IFS|ENV|SHELL|LD_.*|BASH.*|SHELLOPTS|PS[0-4]|PROMPT_COMMAND|EDITOR|PAGER|VISUAL|BROWSER|LESS(?:OPEN|CLOSE)|GIT_(?:SSH|EXEC|CONFIG|EDITOR|PAGER|PROXY|EXTERNAL|SEQUENCE|TEMPLATE).*|.*(?:_OPTIONS|OPTS?|_OPTS|PATH|_PROXY|ASKPASS))$`)
	// reference is a secret inside of a header's value.
	reference = regexp.MustCompile(`\$\{secret:([^}]*)\}`)
)

// lend judges the secrets that a command asks for. The owner is asked for each
// command anew, and is told which secret goes where.
func (c *Chain) lend(ctx context.Context, wanted map[string]string, p *plan) error {
	if len(wanted) == 0 {
		return nil
	}
	stored, err := c.Secrets.List(ctx)
	if err != nil {
		return err
	}
	var says []string
	for _, variable := range slices.Sorted(maps.Keys(wanted)) {
		name := wanted[variable]
		if !variableName.MatchString(variable) || steering.MatchString(variable) {
			return fmt.Errorf("the variable %.80q cannot hold a secret: take a name in capitals that no program is steered by, such as GITHUB_TOKEN", variable)
		}
		if !slices.ContainsFunc(stored, func(e vault.Entry) bool { return e.Name == name }) {
			return fmt.Errorf("no secret is called %.80q; there are: %s. request_secret asks the owner for one", name, orNone(names(stored)))
		}
		says = append(says, fmt.Sprintf("the secret %s as %s", name, variable))
	}
	with := strings.Join(says, ", ")
	reason := "it is given " + with
	switch p.verdict.Decision {
	case phantom.Allow:
		p.verdict = phantom.Verdict{Decision: phantom.Ask, Rule: ruleSecret, Family: "secret", Reason: reason}
	case phantom.Ask:
		p.verdict.Reason += "; " + reason
	case phantom.Block:
	}
	p.exact += "\n(with " + with + ")"
	p.lasting = false
	return nil
}

func names(stored []vault.Entry) string {
	all := make([]string, 0, len(stored))
	for _, e := range stored {
		all = append(all, e.Name)
	}
	return strings.Join(all, ", ")
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

// resolve fetches the values for a command that the owner approved.
func (c *Chain) resolve(ctx context.Context, wanted map[string]string) ([]sandbox.Secret, error) {
	lent := make([]sandbox.Secret, 0, len(wanted))
	for _, variable := range slices.Sorted(maps.Keys(wanted)) {
		value, err := c.Secrets.Value(ctx, wanted[variable])
		if err != nil {
			return nil, fmt.Errorf("secret %s: %w", wanted[variable], err)
		}
		lent = append(lent, sandbox.Secret{Name: variable, Value: value})
	}
	return lent, nil
}

// headers puts secrets into request headers, each for the host that the owner
// bound it to, over https.
func (c *Chain) headers(ctx context.Context, address string, wanted map[string]string) ([]netguard.Header, error) {
	if len(wanted) == 0 {
		return nil, nil
	}
	to, err := url.Parse(address)
	if err != nil || to.Scheme != "https" {
		return nil, errors.New("headers are sent over https only")
	}
	var all []netguard.Header
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		if name == "" || textproto.TrimString(name) != name || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(":()<>@,;\\\"/[]?={}", r) }) {
			return nil, fmt.Errorf("%.80q is no name of a header", name)
		}
		switch textproto.CanonicalMIMEHeaderKey(name) {
		case "Host", "Content-Length", "Transfer-Encoding", "Connection", "Accept-Encoding", "Te", "Trailer", "Upgrade":
			return nil, fmt.Errorf("the header %s is not the caller's to set", name)
		}
		value := wanted[name]
		at := reference.FindAllStringSubmatchIndex(value, -1)
		if len(at) != 1 || strings.ContainsAny(value, "\r\n\x00") {
			return nil, fmt.Errorf("the header %s must hold exactly one ${secret:name}", name)
		}
		held, err := c.Secrets.ForHost(ctx, value[at[0][2]:at[0][3]], to.Host)
		if err != nil {
			return nil, fmt.Errorf("header %s: %w", name, err)
		}
		all = append(all, netguard.Header{Name: name, Before: value[:at[0][0]], After: value[at[0][1]:], Secret: held})
	}
	return all, nil
}

type secretField struct {
	Name  string   `json:"name" jsonschema:"what the secret will be called: lower case letters, digits, - and _"`
	Label string   `json:"label,omitempty" jsonschema:"what the owner is shown"`
	Hosts []string `json:"hosts,omitempty" jsonschema:"hosts that requests may take it to; none: it is for commands only"`
}

type requestInput struct {
	Secrets []secretField `json:"secrets" jsonschema:"what is needed"`
	Reason  string        `json:"reason" jsonschema:"what for, in a sentence for the owner"`
}

func (c *Chain) requestSecret() (definition, error) {
	return define("request_secret", "Asks the owner for passwords, keys or tokens. The owner gets a link to a form; you get the names, never the values. "+
		"Then use them by name: in secrets of bash, or as ${secret:name} in headers of web_fetch.", false,
		func(ctx context.Context, in requestInput) (plan, error) {
			if len(in.Secrets) == 0 || strings.TrimSpace(in.Reason) == "" {
				return plan{}, errors.New("it needs at least one secret and a reason")
			}
			r := vault.Request{Reason: c.Redactor.String(in.Reason), Conversation: phantom.TurnFrom(ctx).Conversation, Turn: phantom.TurnFrom(ctx).Turn}
			var wanted []string
			for _, f := range in.Secrets {
				r.Fields = append(r.Fields, vault.Field{Name: f.Name, Label: f.Label, Hosts: f.Hosts})
				wanted = append(wanted, f.Name)
			}
			p := plan{verdict: phantom.Allowed(), target: "vault", summary: strings.Join(wanted, ", ") + ": " + in.Reason}
			if read := phantom.ReadingFrom(ctx).Taint; !read.Clean() {
				p.tainted, p.verdict = true, raise(p.verdict, read, "it asks you for a secret")
			}
			p.run = func(ctx context.Context, _ phantom.CallID) output {
				link, err := c.Secrets.Request(ctx, r)
				if err != nil {
					return failure("%v", err)
				}
				return output{
					text: fmt.Sprintf("The owner was shown a link to a form for %s, which holds until %s. Go on when the owner says that it is done. Who has not seen the link finds what waits with `phantom secret requests`; `phantom secret set NAME` on the command line does the same.",
						strings.Join(wanted, ", "), link.Expires.Local().Format(time.TimeOnly)),
					link: fmt.Sprintf("to give %s, open %s within %v (%s)", strings.Join(wanted, ", "), link.URL, time.Until(link.Expires).Round(time.Minute), in.Reason),
				}
			}
			return p, nil
		})
}

package tool

import (
	"context"
	"strings"
	"testing"

	"phantom/internal/approval"
	"phantom/internal/netguard"
	"phantom/internal/phantom"
	"phantom/internal/secret"
)

const lentValue = "lent-Value-9f8e7d6c5b4a"

// always has the owner answer, for good if that is wanted.
func (b *bench) always(offered *bool, yes bool) func(approval.Question) {
	return func(q approval.Question) {
		*offered = q.Lasting
		ctx := b.owner(context.Background())
		decide := func() (approval.Question, error) { return b.questions.Decide(ctx, q.Number, false) }
		if yes {
			decide = func() (approval.Question, error) { return b.questions.Always(ctx, q.Number) }
		}
		if _, err := decide(); err != nil {
			b.t.Error(err)
		}
	}
}

func (b *bench) store(name string, hosts ...string) {
	b.t.Helper()
	if _, err := b.vault.Set(b.owner(b.t.Context()), name, secret.New(lentValue), hosts); err != nil {
		b.t.Fatal(err)
	}
}

// counting counts how often a value is asked for.
type counting struct {
	secrets
	values int
}

func (c *counting) Value(ctx context.Context, name string) (secret.Value, error) {
	c.values++
	return c.secrets.Value(ctx, name)
}

// A secret goes into one command's environment after the owner said yes to
// this secret in this command, and comes back as nothing but a mark.
func TestBashSecrets(t *testing.T) {
	args := values{"command": "bash use.sh", "secrets": values{"GH_TOKEN": "github"}} // which asks for nothing by itself
	for _, yes := range []bool{false, true} {
		count := &counting{}
		b := setUp(t, func(d *Deps) { count.secrets, d.Secrets = d.Secrets, count })
		b.store("github")
		b.put("use.sh", "echo \"${#GH_TOKEN} $GH_TOKEN\"; tr '\\0' ' ' < /proc/$$/cmdline")
		b.decide(yes, func() {
			if count.values != 0 {
				t.Error("the value was fetched before the answer")
			}
		})
		got := b.call("bash", args)
		if asked := b.seen()[0]; asked.Kind != Asked || !strings.Contains(asked.Question.Summary, "the secret github as GH_TOKEN") || asked.Question.Lasting {
			t.Fatalf("first event %+v, want a question that names the secret and is no lasting one", asked)
		}
		if strings.Contains(got.Content, lentValue) {
			t.Errorf("the value is shown: %q", got.Content)
		}
		if !yes {
			wants(t, got, true, "not approved")
			if count.values != 0 {
				t.Error("a denied command's secret was fetched")
			}
			continue
		}
		wants(t, got, false, "23 [redacted")
		wants(t, b.call("bash", values{"command": "test -z \"${GH_TOKEN+x}\" && echo gone"}), false, "gone") // lent once
	}
}

func TestBashSecretsRefused(t *testing.T) {
	b := setUp(t, nil)
	b.store("github")
	asked := b.refused()
	for name, tt := range map[string]struct {
		secrets values
		want    string
	}{
		"a secret that there is not":      {values{"TOKEN": "gitlab"}, "there are: github"},
		"a variable that loads code":      {values{"LD_PRELOAD": "github"}, "cannot hold a secret"},
		"a variable that steers a shell":  {values{"BASH_ENV": "github"}, "cannot hold a secret"},
		"a variable that leads requests":  {values{"HTTPS_PROXY": "github"}, "cannot hold a secret"},
		"a variable that names a program": {values{"SSH_ASKPASS": "github"}, "cannot hold a secret"},
		"a variable of a pager":           {values{"LESSOPEN": "github"}, "cannot hold a secret"},
		"the path":                        {values{"PATH": "github"}, "cannot hold a secret"},
		"no name of a variable":           {values{"A=B": "github"}, "cannot hold a secret"},
		"an empty name":                   {values{"": "github"}, "cannot hold a secret"},
	} {
		t.Run(name, func(t *testing.T) {
			wants(t, b.call("bash", values{"command": "true", "secrets": tt.secrets}), true, tt.want)
		})
	}
	wants(t, b.call("bash", values{"command": "rm -rf /", "secrets": values{"TOKEN": "github"}}), true, "blocked: ")
	if *asked != 0 {
		t.Errorf("the owner was asked %d times", *asked)
	}
}

// sending is the network that notes which headers it is given.
type sending struct {
	site
	got []netguard.Header
}

func (s *sending) Get(ctx context.Context, raw string, headers ...netguard.Header) (netguard.Page, error) {
	s.got = append(s.got, headers...)
	return s.site.Get(ctx, raw)
}

func TestFetchHeaders(t *testing.T) {
	for _, tt := range []struct {
		name, url, header, value string
		want                     string // of a refusal
	}{
		{"to the host that it is bound to", "https://api.example/x", "Authorization", "Bearer ${secret:github}", ""},
		{"to another host", "https://evil.example/x", "Authorization", "Bearer ${secret:github}", "not bound"},
		{"to a host below it", "https://a.api.example/x", "Authorization", "Bearer ${secret:github}", "not bound"},
		{"without encryption", "http://api.example/x", "Authorization", "Bearer ${secret:github}", "https only"},
		{"unknown", "https://api.example/x", "Authorization", "${secret:gitlab}", "no such secret"},
		{"no secret in it", "https://api.example/x", "X-Data", "what the file said", "exactly one"},
		{"two secrets", "https://api.example/x", "X", "${secret:github}${secret:github}", "exactly one"},
		{"another line", "https://api.example/x", "X", "${secret:github}\r\nHost: evil.example", "exactly one"},
		{"another host's name", "https://api.example/x", "host", "${secret:github}", "not the caller's"},
		{"no name", "https://api.example/x", "a b", "${secret:github}", "no name"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			net := &sending{site: site{tt.url: {URL: tt.url, Status: 200, Type: "text/plain", Body: []byte("you sent " + lentValue)}}}
			b := setUp(t, func(d *Deps) { d.Web = net })
			b.store("github", "api.example")
			got := b.call("web_fetch", values{"url": tt.url, "headers": values{tt.header: tt.value}})
			if strings.Contains(got.Content, lentValue) {
				t.Errorf("the value is shown: %q", got.Content)
			}
			if tt.want != "" {
				wants(t, got, true, tt.want)
				if len(net.got) != 0 {
					t.Error("it was sent")
				}
				return
			}
			wants(t, got, false, "you sent [redacted")
			if len(net.got) != 1 || net.got[0].Name != tt.header || net.got[0].Before != "Bearer " || net.got[0].Secret.IsZero() {
				t.Errorf("headers = %+v", net.got)
			}
		})
	}
}

func TestFetchHeadersUnderTaint(t *testing.T) {
	const url = "https://api.example/x"
	b := setUp(t, func(d *Deps) { d.Web = site{url: {URL: url, Status: 200, Type: "text/plain"}} })
	b.store("github", "api.example")
	asked := b.refused()
	ctx := phantom.WithReading(b.owner(t.Context()), phantom.Reading{Taint: phantom.Taint{page}, Owner: []string{url}})
	wants(t, b.callIn(ctx, "web_fetch", values{"url": url}), false, "status 200")
	wants(t, b.callIn(ctx, "web_fetch", values{"url": url, "headers": values{"Authorization": "${secret:github}"}}), true, "it sends a secret")
	if *asked != 1 {
		t.Errorf("asked %d times, want once", *asked)
	}
}

// The link of a form is for the owner's eyes: the model and the record get the
// names alone.
func TestRequestSecret(t *testing.T) {
	b := setUp(t, nil)
	args := values{"secrets": []values{{"name": "github", "hosts": []string{"api.example"}}}, "reason": "to read the issues"}
	got := b.call("request_secret", args)
	wants(t, got, false, "The owner was shown a link")
	link := ""
	for _, e := range b.seen() {
		if strings.Contains(e.Summary+e.Preview, "/collect/") {
			t.Errorf("event %+v shows the link", e)
		}
		if e.Kind == Linked {
			link = e.Link
		}
	}
	_, token, found := strings.Cut(link, "https://ada.example/collect/")
	if token, _, _ = strings.Cut(token, " "); !found || len(token) < 40 {
		t.Fatalf("the owner was shown %q", link)
	}
	if strings.Contains(got.Content, token[:12]) {
		t.Error("the model was told the link")
	}
	for _, kind := range []string{"intent", "outcome"} {
		for _, r := range b.rows(kind) {
			if strings.Contains(r.Input+r.Target+r.Detail, token[:12]) {
				t.Errorf("the record holds the link: %+v", r)
			}
		}
	}
	asked := b.refused()
	wants(t, b.callIn(b.tainted(t.Context()), "request_secret", args), true, "not approved")
	if *asked != 1 {
		t.Errorf("asked %d times, want once", *asked)
	}
	wants(t, b.call("request_secret", values{"secrets": []values{}, "reason": "x"}), true, "at least one")
	wants(t, b.call("request_secret", values{"secrets": []values{{"name": "No Name"}}, "reason": "x"}), true, "")
}

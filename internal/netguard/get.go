package netguard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"

	"phantom/internal/secret"
)

// Page is what an address answered with.
type Page struct {
	URL       string // after redirects
	Status    int
	Type      string // media type without parameters, lower case; "" if the host gave none
	Body      []byte
	Truncated bool // the answer is longer than Body
}

// Header is a request header with a secret in it.
type Header struct {
	Name          string
	Before, After string // what stands around the secret
	Secret        secret.Value
}

// Get fetches a page within 10 s, 1 MB and three redirects. An answer that is
// longer comes cut; one in an encoding that is not read is refused.
func (g *Guard) Get(ctx context.Context, rawURL string, headers ...Header) (Page, error) {
	if g == nil || g.client == nil {
		return Page{}, errNoGuard()
	}
	to, err := g.parse(rawURL)
	if err != nil {
		return Page{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, to.url.String(), http.NoBody)
	if err != nil {
		return Page{}, cause(to.host, err)
	}
	req.Header.Set("User-Agent", "Phantom")
	req.Header.Set("Accept", "text/html, text/*;q=0.9, application/json;q=0.9, */*;q=0.5")
	client := g.client
	if len(headers) > 0 {
		if to.url.Scheme != "https" {
			return Page{}, denied(to.host, ruleScheme, "a secret goes out over https only")
		}
		// A redirect is not followed but returned: the secret is for this host.
		client = g.Client()
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	for _, h := range headers {
		req.Header.Set(h.Name, h.Before+h.Secret.Reveal()+h.After)
	}
	resp, err := client.Do(req)
	if err != nil {
		return Page{}, cause(to.host, err)
	}
	page, err := read(resp)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return Page{}, cause(to.host, err)
	}
	return page, nil
}

// cause returns the refusal alone, which names its own target, or the error
// without the URL that net/http wraps around it,
// because the path or the query may hold a token.
func cause(host string, err error) error {
	if d, ok := errors.AsType[*DeniedError](err); ok {
		return d
	}
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err
	}
	return fmt.Errorf("get %s: %w", host, err)
}

func read(resp *http.Response) (Page, error) {
	if encoding := resp.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return Page{}, denied(resp.Request.URL.Hostname(), ruleEncoding, fmt.Sprintf("its answer is encoded as %q", encoding))
	}
	page := Page{URL: resp.Request.URL.String(), Status: resp.StatusCode}
	if kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err == nil {
		page.Type = kind
	}
	var err error
	page.Body, err = io.ReadAll(resp.Body)
	if d, ok := errors.AsType[*DeniedError](err); ok && d.Rule == ruleSize {
		page.Truncated, err = true, nil
	}
	return page, err
}

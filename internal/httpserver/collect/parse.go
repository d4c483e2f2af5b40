package collect

import (
	"errors"
	"fmt"
	"mime"
	"net/url"
	"slices"

	"phantom/internal/secret"
	"phantom/internal/vault"
)

// parse reads the values of exactly the fields that were asked for, each given
// once. Errors never quote what was sent.
func parse(contentType, query string, body []byte, asked []vault.Field) (map[string]secret.Value, error) {
	if kind, _, err := mime.ParseMediaType(contentType); err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, errors.New("this is not how the form is sent")
	}
	if query != "" {
		return nil, errors.New("the address carries more than the link")
	}
	sent, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, errors.New("the form did not arrive whole")
	}
	for name := range sent {
		if !slices.ContainsFunc(asked, func(f vault.Field) bool { return f.Name == name }) {
			return nil, errors.New("the form has a field that was not asked for")
		}
	}
	values := make(map[string]secret.Value, len(asked))
	for _, f := range asked {
		given := sent[f.Name]
		if len(given) != 1 || given[0] == "" {
			return nil, fmt.Errorf("please fill in %s, once", f.Name)
		}
		values[f.Name] = secret.New(given[0])
	}
	return values, nil
}

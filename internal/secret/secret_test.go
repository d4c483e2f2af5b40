package secret_test

import (
	"bytes"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"log/slog"
	"strings"
	"testing"
	"text/template"

	"github.com/goccy/go-yaml"

	"phantom/internal/secret"
)

func TestValueNeverPrints(t *testing.T) {
	type hidden struct{ v secret.Value }
	v := secret.New("hunter2-hunter2")
	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(h).Info("x", "value", v, "hidden", hidden{v}, "pointer", &hidden{v}, "list", []secret.Value{v})
	}
	raw, err := json.Marshal(map[string]any{"a": v, "b": []secret.Value{v}, "c": hidden{v}})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	out.WriteString(log.String() + string(raw))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%p"} {
		out.WriteString(fmt.Sprintf(verb, v) + fmt.Sprintf(verb, hidden{v}) + fmt.Sprintf(verb, &hidden{v}) + fmt.Sprintf(verb, []any{v}))
	}
	plain, err := template.New("").Parse(`{{.V}} {{printf "%s %#v" .V .V}} {{print .V}} {{html .V}} {{js .V}} {{urlquery .V}} {{len .List}} {{.List}}`)
	if err != nil {
		t.Fatal(err)
	}
	page, err := htmltemplate.New("").Parse(`<a href="/{{.V}}" title={{.V}} onclick="f({{.V}})">{{.V}}</a><script>var v = {{.V}}, l = {{.List}}</script><style>p { color: {{.V}} }</style>`)
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]any{"V": v, "List": []secret.Value{v}}
	if err := errors.Join(plain.Execute(&out, shown), page.Execute(&out, shown)); err != nil {
		t.Fatal(err)
	}
	type settings struct{ Token secret.Value }
	yml, err := yaml.Marshal(settings{v})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(yml)
	if doc, err := xml.Marshal(settings{v}); err != nil {
		t.Fatal(err)
	} else {
		out.Write(doc)
	}
	// This one writes the fields of a value: it must find none, and say so.
	var raws bytes.Buffer
	for _, x := range []any{v, &v, settings{v}, []secret.Value{v}} {
		_ = gob.NewEncoder(&raws).Encode(x) // what counts is what it wrote
	}
	out.Write(raws.Bytes())
	for _, form := range []string{"hunter2", hex.EncodeToString([]byte("hunter2"))} {
		if strings.Contains(out.String(), form) {
			t.Errorf("the secret shows in %q", out.String())
		}
	}
	if got := v.Reveal(); got != "hunter2-hunter2" {
		t.Errorf("Reveal = %q", got)
	}
}

package secret_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

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
	for _, form := range []string{"hunter2", hex.EncodeToString([]byte("hunter2"))} {
		if strings.Contains(out.String(), form) {
			t.Errorf("the secret shows in %q", out.String())
		}
	}
	if got := v.Reveal(); got != "hunter2-hunter2" {
		t.Errorf("Reveal = %q", got)
	}
}

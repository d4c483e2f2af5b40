package endpoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"phantom/internal/embed"
	"phantom/internal/embed/embedtest"
	"phantom/internal/secret"
)

// server is an embeddings endpoint with a real encoder behind it.
func server(t *testing.T) *httptest.Server {
	t.Helper()
	encoder := embed.New()
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		var request struct {
			Model string
			Input []string
		}
		if err := json.NewDecoder(r.Body).Decode(&request); err != nil || len(request.Input) == 0 || len(request.Input) > maxBatch || slices.Contains(request.Input, "") {
			http.Error(w, `{"error": {"message": "input must be an array of up to 64 texts"}}`, http.StatusBadRequest)
			return
		}
		vectors, err := encoder.Encode(r.Context(), request.Input...)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		var data []map[string]any
		for i, v := range slices.Backward(vectors) { // the order is the index's, not the list's
			for j := range v {
				v[j] *= 3 // not every model's vectors have length 1
			}
			data = append(data, map[string]any{"object": "embedding", "index": i, "embedding": v})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"object": "list", "model": request.Model, "data": data, "usage": map[string]int{"prompt_tokens": 1, "total_tokens": 1}}) // a client that left is no fault
	})
}

func serve(t *testing.T, answer http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/v1/embeddings" || r.Header.Get("Content-Type") != "application/json" {
			http.NotFound(w, r)
			return
		}
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// open returns an encoder for the server that pauses less between requests and
// waits longer for answers: the race detector makes the real encoder slow.
func open(t *testing.T, s *httptest.Server, dimensions int) *Encoder {
	t.Helper()
	e, err := New(Options{BaseURL: s.URL + "/v1/", Model: "all-minilm", APIKey: secret.New("key-of-the-test"), KeyName: "EMBED_KEY", Dimensions: dimensions})
	if err != nil {
		t.Fatal(err)
	}
	e.pause, e.patience = time.Millisecond, 2*time.Minute
	return e
}

func TestContract(t *testing.T) {
	s := server(t)
	embedtest.Run(t, func(t *testing.T) embedtest.Encoder { return open(t, s, 0) })
}

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		o    Options
		says string
	}{
		{Options{Model: "m"}, "base URL such as"},
		{Options{BaseURL: "localhost:11434/v1", Model: "m"}, "base URL such as"},
		{Options{BaseURL: "file:///v1", Model: "m"}, "base URL such as"},
		{Options{BaseURL: "http://owner:hunter2@localhost/v1", Model: "m"}, "password"},
		{Options{BaseURL: "http://localhost/v1?key=1", Model: "m"}, "goes on"},
		{Options{BaseURL: "http://localhost/v1"}, "name of a model"},
		{Options{BaseURL: "http://localhost/v1", Model: "m", Dimensions: -1}, "dimensions"},
	} {
		if _, err := New(c.o); err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%+v: error %v, want one that says %q", c.o, err, c.says)
		}
	}
}

// TestAnswersAreChecked goes through what servers send instead of vectors, for
// two texts. Vectors have 2 numbers.
func TestAnswersAreChecked(t *testing.T) {
	for _, c := range []struct {
		why    string
		status int
		body   string
		says   string // "" for an answer that is taken
	}{
		{"as it should be", 200, `{"data": [{"index": 1, "embedding": [0, 2]}, {"index": 0, "embedding": [1, 0]}]}`, ""},
		{"without indexes", 200, `{"data": [{"embedding": [1, 0]}, {"embedding": [0, 1]}]}`, ""},
		{"one vector too few", 200, `{"data": [{"index": 0, "embedding": [1, 0]}]}`, "1 vectors for 2 texts"},
		{"one too many", 200, `{"data": [{"embedding": [1, 0]}, {"embedding": [1, 0]}, {"embedding": [1, 0]}]}`, "3 vectors for 2 texts"},
		{"no vectors", 200, `{}`, "0 vectors for 2 texts"},
		{"the same index twice", 200, `{"data": [{"index": 0, "embedding": [1, 0]}, {"index": 0, "embedding": [1, 0]}]}`, "twice"},
		{"an index out of range", 200, `{"data": [{"index": 0, "embedding": [1, 0]}, {"index": 2, "embedding": [1, 0]}]}`, "not asked for"},
		{"a negative index", 200, `{"data": [{"index": -1, "embedding": [1, 0]}, {"index": 1, "embedding": [1, 0]}]}`, "not asked for"},
		{"other dimensions", 200, `{"data": [{"embedding": [1, 0, 0]}, {"embedding": [0, 1, 0]}]}`, "3 numbers where 2 were expected"},
		{"dimensions that differ", 200, `{"data": [{"embedding": [1, 0]}, {"embedding": [0, 1, 0]}]}`, "3 numbers where 2 were expected"},
		{"an empty vector", 200, `{"data": [{"embedding": []}, {"embedding": []}]}`, "0 numbers where 2 were expected"},
		{"zeros", 200, `{"data": [{"embedding": [0, 0]}, {"embedding": [0, 1]}]}`, "length 0"},
		{"too great", 200, `{"data": [{"embedding": [1e300, 1e300]}, {"embedding": [0, 1]}]}`, "length +Inf"},
		{"not a number, as Python writes it", 200, `{"data": [{"embedding": [NaN, 0]}, {"embedding": [0, 1]}]}`, "something else than vectors"},
		{"not a number, as others write it", 200, `{"data": [{"embedding": [null, 1]}, {"embedding": [0, 1]}]}`, "null"},
		{"beyond what a number can be", 200, `{"data": [{"embedding": [1e999, 1]}, {"embedding": [0, 1]}]}`, "something else than vectors"},
		{"text instead of numbers", 200, `{"data": [{"embedding": "AAAA"}, {"embedding": "AAAA"}]}`, "something else than vectors"},
		{"cut off", 200, `{"data": [{"embedding": [1, 0]}, {"embedd`, "something else than vectors"},
		{"nothing", 200, ``, "something else than vectors"},
		{"a web page", 200, "\n<!doctype html><html><body>Sign in</body></html>", "a web page"},
		{"no such model, in Ollama's words", 404, `{"error": "model \"all-minilm\" not found, try pulling it first"}`, `try pulling it first`},
		{"a wrong key", 401, `{"error": {"message": "Incorrect API key", "type": "invalid_request_error"}}`, "check the value of EMBED_KEY (it says \"Incorrect API key\")"},
		{"too long a text", 400, `{"error": {"message": "This model's maximum context length is 512 tokens"}}`, "maximum context length"},
		{"a proxy's page", 502, "<html><h1>Bad gateway</h1></html>", "fault of its own (502)"},
		{"words without an end", 400, `{"error": "` + strings.Repeat("é", 5000) + `"}`, "éé…"},
		{"words that would colour a terminal", 400, `{"error": "\u001b[31mred"}`, `\x1b[31mred`},
	} {
		t.Run(c.why, func(t *testing.T) {
			e := open(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body) // a client that left is no fault
			}), 2)
			vectors, err := e.Encode(t.Context(), "one", "two")
			if c.says == "" {
				if err != nil || len(vectors) != 2 || !slices.Equal(vectors[0], []float32{1, 0}) || !slices.Equal(vectors[1], []float32{0, 1}) {
					t.Errorf("%v, %v", vectors, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.says) || vectors != nil {
				t.Errorf("error %v, want one that says %q", err, c.says)
			}
			if err != nil && (len(err.Error()) > 700 || strings.Contains(err.Error(), "key-of-the-test")) {
				t.Errorf("the error is long, or has the key in it: %v", err)
			}
		})
	}
}

func TestDimensionsAreLearnedFromAWholeAnswer(t *testing.T) {
	body := `{"data": [{"embedding": [1, 0, 0]}, {"embedding": [null, 1, 0]}]}`
	e := open(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }), 0)
	if _, err := e.Encode(t.Context(), "one", "two"); err == nil || e.Dimensions() != 0 {
		t.Errorf("%d dimensions from an answer that is refused (%v)", e.Dimensions(), err)
	}
	body = `{"data": [{"embedding": [1, 0]}, {"embedding": [0, 1]}]}`
	if _, err := e.Encode(t.Context(), "one", "two"); err != nil || e.Dimensions() != 2 {
		t.Errorf("%d dimensions, want 2 (%v)", e.Dimensions(), err)
	}
	body = `{"data": [{"embedding": [1, 0, 0]}, {"embedding": [0, 1, 0]}]}`
	if _, err := e.Encode(t.Context(), "one", "two"); err == nil || !strings.Contains(err.Error(), "another model under the same name") {
		t.Errorf("another model is taken: %v", err)
	}
}

func TestRetry(t *testing.T) {
	good := `{"data": [{"embedding": [1, 0]}]}`
	for _, c := range []struct {
		why    string
		status []int // of each request
		after  string
		asked  int32
		fails  bool
	}{
		{"no fault, no retry", []int{200}, "", 1, false},
		{"a fault that passes", []int{500, 200}, "", 2, false},
		{"a limit that passes", []int{429, 200}, "0.001", 2, false},
		{"a server that loads its model", []int{503, 200}, "nonsense", 2, false},
		{"a fault that stays", []int{500, 500, 200}, "", 2, true},
		{"a limit of an hour", []int{429, 200}, "3600", 1, true},
		{"a refusal", []int{401, 200}, "", 1, true},
		{"a mistake of ours", []int{400, 200}, "", 1, true},
	} {
		t.Run(c.why, func(t *testing.T) {
			var asked atomic.Int32
			e := open(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != "Bearer key-of-the-test" {
					t.Errorf("authorization %q", r.Header.Get("Authorization"))
				}
				w.Header().Set("Retry-After", c.after)
				w.WriteHeader(c.status[asked.Add(1)-1])
				_, _ = io.WriteString(w, good)
			}), 0)
			_, err := e.Encode(t.Context(), "one")
			if (err != nil) != c.fails || asked.Load() != c.asked {
				t.Errorf("asked %d times, want %d; error %v", asked.Load(), c.asked, err)
			}
		})
	}
}

func TestServerThatIsNotThere(t *testing.T) {
	s := server(t)
	e := open(t, s, 0)
	s.Close()
	if _, err := e.Encode(t.Context(), "one"); err == nil || !strings.Contains(err.Error(), "cannot be reached") {
		t.Errorf("%v", err)
	}
}

func TestServerThatDoesNotAnswer(t *testing.T) {
	var asked atomic.Int32
	e := open(t, serve(t, func(_ http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server see that the client leaves
		<-r.Context().Done()
	}), 0)
	e.patience = 50 * time.Millisecond
	if _, err := e.Encode(t.Context(), "one"); err == nil || !strings.Contains(err.Error(), "no answer within 50ms") || asked.Load() != 2 {
		t.Errorf("asked %d times, error %v", asked.Load(), err)
	}
	e.patience = time.Minute
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := e.Encode(ctx, "one"); !errors.Is(err, context.DeadlineExceeded) || asked.Load() != 3 {
		t.Errorf("asked %d times, error %v: the caller's patience is not kept", asked.Load(), err)
	}
}

func TestConnectionCutInTheMiddle(t *testing.T) {
	var asked atomic.Int32
	e := open(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == 1 {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, `{"data": [`)
			return
		}
		_, _ = io.WriteString(w, `{"data": [{"embedding": [1, 0]}]}`)
	}), 0)
	if _, err := e.Encode(t.Context(), "one"); err != nil || asked.Load() != 2 {
		t.Errorf("asked %d times, error %v", asked.Load(), err)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	reached := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer other.Close()
	e := open(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	}), 0)
	if _, err := e.Encode(t.Context(), "a private memory"); err == nil || !strings.Contains(err.Error(), "not followed") || reached {
		t.Errorf("reached the other server: %v, error %v", reached, err)
	}
}

func TestEndlessAnswer(t *testing.T) {
	e := open(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		chunk := []byte(strings.Repeat(" ", 1<<20))
		for r.Context().Err() == nil {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}), 0)
	if _, err := e.Encode(t.Context(), "one"); err == nil || !strings.Contains(err.Error(), "more than 64 MB") {
		t.Errorf("%v", err)
	}
}

func TestWhatIsSent(t *testing.T) {
	var batches []int
	var longest int
	e := open(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		var request struct {
			Model string
			Input []string
		}
		if err := json.NewDecoder(r.Body).Decode(&request); err != nil || request.Model != "all-minilm" {
			t.Errorf("%+v, %v", request, err)
		}
		batches = append(batches, len(request.Input))
		var data []string
		for _, text := range request.Input {
			longest = max(longest, len(text))
			if strings.TrimSpace(text) == "" {
				t.Error("a blank text is sent")
			}
			data = append(data, `{"embedding": [1, 0]}`)
		}
		_, _ = fmt.Fprintf(w, `{"data": [%s]}`, strings.Join(data, ","))
	}), 0)
	texts := make([]string, 130)
	for i := range texts {
		texts[i] = "text"
	}
	texts[0], texts[64], texts[129] = " ", strings.Repeat("日", maxText), ""
	vectors, err := e.Encode(t.Context(), texts...)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(batches, []int{64, 64}) || longest > maxText || longest < maxText-3 {
		t.Errorf("batches of %v texts, the longest of %d bytes", batches, longest)
	}
	for i, v := range vectors {
		if len(v) != 2 || (v[0] == 0) != (i == 0 || i == 129) {
			t.Errorf("text %d: %v", i, v)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	for _, text := range []string{
		`{"data": [{"index": 1, "embedding": [0, 2]}, {"index": 0, "embedding": [1, 0]}]}`,
		`{"data": [{"embedding": [1, 0]}, {"embedding": [0, 1]}]}`,
		`{"data": [{"embedding": [null, 1e300]}, {"embedding": []}]}`, `{"error": {"message": "\ud800"}}`, `{"error": "no"}`, `<html>`, `null`, ``,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		e, err := New(Options{BaseURL: "http://localhost/v1", Model: "m"})
		if err != nil {
			t.Fatal(err)
		}
		if words := message(answer); len(words) > 10*maxWords { // quoted, a byte has at most ten
			t.Errorf("the server's words in an error have %d bytes", len(words))
		}
		vectors, err := e.vectors(answer, 2)
		if err != nil {
			if vectors != nil || e.Dimensions() != 0 {
				t.Errorf("%v and %d dimensions beside the error %v", vectors, e.Dimensions(), err)
			}
			return
		}
		for _, v := range vectors {
			square := 0.0
			for _, f := range v {
				square += float64(f) * float64(f)
			}
			if len(v) != e.Dimensions() || !(square > 0.999 && square < 1.001) {
				t.Errorf("a vector of %d numbers and length² %v is taken", len(v), square)
			}
		}
	})
}

// Package endpoint turns texts into vectors with the help of a server that has
// the embeddings endpoint of OpenAI's API: Ollama, vLLM, LiteLLM, llama.cpp,
// OpenAI itself. It has the methods of the embedded encoder.
//
// It owns the request, the check of the answer and one retry. It speaks to the
// address that the owner named and follows no redirect from it. It refuses an
// answer that is not exactly one finite vector for each text, all of the
// length that the first one had: a wrong vector would be stored for good.
package endpoint

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"phantom/internal/secret"
)

const (
	patience  = 10 * time.Second       // of one request
	pause     = 500 * time.Millisecond // before the retry, if the server does not say
	maxPause  = 3 * time.Second        // that a server may ask for; there is no retry after more
	maxBatch  = 64                     // texts of one request
	maxText   = 16 << 10               // bytes of a text; the rest is not sent
	maxAnswer = 64 << 20               // bytes of an answer: 64 vectors of 16,000 numbers, and a lot of room
	maxWords  = 200                    // bytes of the server's own words in an error
)

// Options say where the server is.
type Options struct {
	BaseURL    string       // with the version, as in http://localhost:11434/v1
	Model      string       // as the server calls it
	APIKey     secret.Value // may be empty for a server of one's own
	KeyName    string       // the variable that holds the key, for error messages
	Dimensions int          // of the vectors; 0: as long as the first one
}

// Encoder asks the server. It is safe for concurrent use.
type Encoder struct {
	o               Options
	address         string
	client          *http.Client
	patience, pause time.Duration // tests have less
	dimensions      atomic.Int64  // 0 until it is known
}

// New returns the encoder. It makes no request.
func New(o Options) (*Encoder, error) {
	base, err := url.Parse(o.BaseURL)
	switch {
	case err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "":
		return nil, errors.New("the embeddings endpoint needs a base URL such as http://localhost:11434/v1")
	case base.User != nil:
		return nil, errors.New("the base URL of the embeddings endpoint has a password in it: give the key as a variable instead")
	case base.RawQuery != "" || base.Fragment != "":
		return nil, fmt.Errorf("the base URL of the embeddings endpoint goes on after its path: %s", o.BaseURL)
	case o.Model == "":
		return nil, errors.New("the embeddings endpoint needs the name of a model")
	case o.Dimensions < 0:
		return nil, fmt.Errorf("vectors cannot have %d dimensions", o.Dimensions)
	}
	e := &Encoder{
		o: o, patience: patience, pause: pause,
		address: strings.TrimRight(o.BaseURL, "/") + "/embeddings",
		client:  &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
	e.dimensions.Store(int64(o.Dimensions))
	return e, nil
}

// Name names the model and its server: vectors under another name cannot be
// compared with these. A server that puts another model under the same name
// is noticed only by the length of its vectors.
func (e *Encoder) Name() string { return e.o.Model + "@" + strings.TrimRight(e.o.BaseURL, "/") }

// Dimensions returns the length of the vectors; 0 before the first answer, if
// the options do not say it. Vectors of zeros are then of length 0 as well.
func (e *Encoder) Dimensions() int { return int(e.dimensions.Load()) }

// Knows reports whether there is anything to encode: which scripts a model
// knows cannot be asked.
func (*Encoder) Knows(text string) bool { return strings.TrimSpace(text) != "" }

// Encode returns a vector of length 1 for each text, and the vector of zeros
// for a blank one, which is not sent. It asks for 64 texts at a time, waits 10
// seconds for each answer and tries each request twice. There are either all
// vectors or none.
func (e *Encoder) Encode(ctx context.Context, texts ...string) ([][]float32, error) {
	vectors := make([][]float32, len(texts))
	var batch []string
	var places []int
	for i, text := range texts {
		if strings.TrimSpace(text) != "" {
			batch, places = append(batch, cut(text)), append(places, i)
		}
		if len(batch) == maxBatch || i == len(texts)-1 && len(batch) > 0 {
			answer, err := e.try(ctx, batch)
			if err != nil {
				return nil, fmt.Errorf("embeddings of %s: %w", e.o.Model, err)
			}
			for j, place := range places {
				vectors[place] = answer[j]
			}
			batch, places = nil, nil
		}
	}
	for i := range vectors {
		if vectors[i] == nil {
			vectors[i] = make([]float32, e.Dimensions())
		}
	}
	return vectors, nil
}

// cut brings a text to what is sent of it.
func cut(text string) string {
	text = strings.ToValidUTF8(text, "\ufffd")
	if len(text) <= maxText {
		return text
	}
	end := maxText
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}

// try asks once, and once more where that may help.
func (e *Encoder) try(ctx context.Context, texts []string) ([][]float32, error) {
	vectors, wait, err := e.ask(ctx, texts)
	if err == nil || wait == 0 || ctx.Err() != nil {
		return vectors, err
	}
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("%w (%w)", err, context.Cause(ctx))
	case <-time.After(wait):
	}
	vectors, _, err = e.ask(ctx, texts)
	return vectors, err
}

// ask makes one request. After an error that may pass it returns how long to
// wait before the next, otherwise 0.
func (e *Encoder) ask(ctx context.Context, texts []string) (vectors [][]float32, wait time.Duration, err error) {
	if err := context.Cause(ctx); err != nil {
		return nil, 0, err
	}
	body, err := json.Marshal(struct {
		Model string   `json:"model"`
		Input []string `json:"input"`
	}{e.o.Model, texts})
	if err != nil {
		return nil, 0, err
	}
	limited, cancel := context.WithTimeoutCause(ctx, e.patience, fmt.Errorf("no answer within %s", e.patience))
	defer cancel()
	request, err := http.NewRequestWithContext(limited, http.MethodPost, e.address, bytes.NewReader(body))
	if err != nil {
		return nil, 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	if !e.o.APIKey.IsZero() {
		request.Header.Set("Authorization", "Bearer "+e.o.APIKey.Reveal())
	}
	jittered := e.pause + rand.N(e.pause/2)
	response, err := e.client.Do(request)
	if err != nil {
		return nil, jittered, e.unreachable(ctx, limited, err)
	}
	defer func() { _ = response.Body.Close() }() // the answer or the error is known by then
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, jittered, e.unreachable(ctx, limited, err)
	case response.StatusCode != http.StatusOK:
		return nil, retryAfter(response, jittered), e.refused(response, answer)
	case len(answer) > maxAnswer:
		return nil, 0, fmt.Errorf("%s answers with more than %d MB: is this an embeddings endpoint?", e.address, maxAnswer>>20)
	}
	vectors, err = e.vectors(answer, len(texts))
	return vectors, 0, err
}

// unreachable tells why there was no answer.
func (e *Encoder) unreachable(ctx, limited context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause // the caller's own end
	}
	if cause := context.Cause(limited); cause != nil {
		return fmt.Errorf("%s gives %w: is the server overloaded, or still loading the model?", e.address, cause)
	}
	return fmt.Errorf("%s cannot be reached: check the address and whether the server runs (%w)", e.address, err)
}

// retryAfter returns how long to wait after an answer that is not the one
// asked for; 0 if it will not be another so soon.
func retryAfter(r *http.Response, pause time.Duration) time.Duration {
	if r.StatusCode != http.StatusTooManyRequests && r.StatusCode < 500 {
		return 0
	}
	if asked, err := time.ParseDuration(r.Header.Get("Retry-After") + "s"); err == nil && asked > 0 {
		if asked > maxPause {
			return 0
		}
		return asked
	}
	return pause
}

// refused tells what the server's refusal means.
func (e *Encoder) refused(r *http.Response, body []byte) error {
	words := message(body)
	switch code := r.StatusCode; {
	case (code == http.StatusUnauthorized || code == http.StatusForbidden) && e.o.APIKey.IsZero():
		return fmt.Errorf("%s wants a key (%d), and none is configured%s", e.address, code, words)
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return fmt.Errorf("%s refuses the key (%d): check the value of %s%s", e.address, code, e.o.KeyName, words)
	case code == http.StatusNotFound || code == http.StatusMethodNotAllowed:
		return fmt.Errorf("%s does not exist, or the server does not have the model (%d): check base URL and model%s", e.address, code, words)
	case code == http.StatusTooManyRequests:
		return fmt.Errorf("%s limits the rate of requests (429): wait a little%s", e.address, words)
	case code >= 500:
		return fmt.Errorf("%s has a fault of its own (%d)%s", e.address, code, words)
	case code >= 300 && code < 400:
		return fmt.Errorf("%s sends the request elsewhere (%d), which is not followed: put the final address into the base URL", e.address, code)
	}
	return fmt.Errorf("%s refuses the request (%d)%s", e.address, r.StatusCode, words)
}

// message is the beginning of the server's own words, in either of the forms
// in use, or nothing.
func message(body []byte) string {
	var object struct {
		Error json.RawMessage `json:"error"`
	}
	var text struct {
		Message string `json:"message"`
	}
	words := ""
	if json.Unmarshal(body, &object) == nil && json.Unmarshal(object.Error, &words) != nil && json.Unmarshal(object.Error, &text) == nil {
		words = text.Message
	}
	words = strings.Join(strings.Fields(strings.ToValidUTF8(words, "")), " ")
	if words == "" {
		return ""
	}
	if len(words) > maxWords {
		words = strings.ToValidUTF8(words[:maxWords], "") + "…"
	}
	return fmt.Sprintf(" (it says %q)", words)
}

// vectors takes the answer apart.
func (e *Encoder) vectors(answer []byte, count int) ([][]float32, error) {
	var object struct {
		Data []struct {
			Index     *int
			Embedding []number
		}
	}
	err := json.Unmarshal(answer, &object)
	if err != nil {
		if bytes.HasPrefix(bytes.TrimSpace(answer), []byte("<")) {
			return nil, fmt.Errorf("%s answers with a web page, not with vectors: does the base URL lack its /v1?", e.address)
		}
		return nil, fmt.Errorf("%s answers with something else than vectors: %w", e.address, err)
	}
	if len(object.Data) != count {
		return nil, fmt.Errorf("%s answers with %d vectors for %d texts", e.address, len(object.Data), count)
	}
	vectors, size := make([][]float32, count), len(object.Data[0].Embedding)
	if known := e.Dimensions(); known > 0 {
		size = known
	}
	for i, d := range object.Data {
		place := i
		if d.Index != nil { // some servers leave it out, and keep the order
			place = *d.Index
		}
		if place < 0 || place >= count || vectors[place] != nil {
			return nil, fmt.Errorf("%s answers twice to one text, or to one that was not asked for (index %d)", e.address, place)
		}
		if len(d.Embedding) != size {
			return nil, fmt.Errorf("%s answers with a vector of %d numbers where %d were expected: is this another model under the same name?", e.address, len(d.Embedding), size)
		}
		vectors[place], err = unit(d.Embedding)
		if err != nil {
			return nil, fmt.Errorf("%s answers to text %d of %d with no direction: %w", e.address, place+1, count, err)
		}
	}
	if !e.dimensions.CompareAndSwap(0, int64(size)) && e.Dimensions() != size {
		return nil, fmt.Errorf("%s answers with vectors of %d numbers now, and of %d at the same time", e.address, size, e.Dimensions())
	}
	return vectors, nil
}

// unit brings a vector to length 1.
func unit(numbers []number) ([]float32, error) {
	square := 0.0
	for _, f := range numbers {
		square += float64(f) * float64(f)
	}
	length := math.Sqrt(square)
	if length == 0 || math.IsInf(length, 0) {
		return nil, fmt.Errorf("a vector of length %v", length)
	}
	unit := make([]float32, len(numbers))
	for i, f := range numbers {
		unit[i] = float32(float64(f) / length)
	}
	return unit, nil
}

// number is a number of a vector. It refuses null, which float64 would take
// for "leave it at 0".
type number float64

// UnmarshalJSON implements json.Unmarshaler.
func (n *number) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		return errors.New("null stands where a vector has a number")
	}
	var f float64
	if err := json.Unmarshal(text, &f); err != nil {
		return err
	}
	*n = number(f)
	return nil
}

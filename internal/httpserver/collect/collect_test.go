package collect

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"phantom/internal/httpserver"
	"phantom/internal/phantom"
	"phantom/internal/secret"
	"phantom/internal/store"
	"phantom/internal/store/storetest"
	"phantom/internal/vault"
)

const planted = "planted-value-of-the-form"

// straight lets the vault act; what it puts on record is its own test's matter.
type straight struct{}

func (straight) Record(ctx context.Context, _, _ string, do func(context.Context) error) error {
	return do(ctx)
}

// door is a running server with the form behind it.
type door struct {
	t      *testing.T
	vault  *vault.Store
	db     *store.DB
	addr   string
	log    *strings.Builder
	client *http.Client
}

func owner(t *testing.T) context.Context {
	return phantom.WithPrincipal(t.Context(), phantom.Principal{Kind: phantom.KindOwner, Name: "owner"})
}

const public = "https://phantom.example"

func open(t *testing.T) *door {
	t.Helper()
	d := &door{t: t, db: storetest.Open(t), log: &strings.Builder{}, client: &http.Client{}}
	var err error
	d.vault, err = vault.Open(t.Context(), vault.Options{
		DB: d.db, Redactor: secret.NewRedactor(), Recorder: straight{}, KeyFile: filepath.Join(t.TempDir(), "vault.key"), BaseURL: public,
	})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(d.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	// The port is only known once it is taken, so the form is told later.
	routes := map[string]http.Handler{}
	late := func(pattern string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { routes[pattern].ServeHTTP(w, r) })
	}
	server, err := httpserver.Listen(t.Context(), httpserver.Deps{
		Host: "127.0.0.1", Log: log, Health: func(context.Context) httpserver.Health { return httpserver.Health{Status: httpserver.OK} },
		Routes: map[string]http.Handler{"GET /collect/{token}": late("GET /collect/{token}"), "POST /collect/{token}": late("POST /collect/{token}")},
	})
	if err != nil {
		t.Fatal(err)
	}
	d.addr = server.Addr()
	u, err := url.Parse("http://" + d.addr)
	if err != nil {
		t.Fatal(err)
	}
	var port int
	if _, err := fmt.Sscan(u.Port(), &port); err != nil {
		t.Fatal(err)
	}
	made, err := New(Deps{Vault: d.vault, BaseURL: public, Port: port, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(routes, made)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx) }()
	t.Cleanup(func() {
		d.client.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return d
}

// link returns the path of a new link.
func (d *door) link(fields ...vault.Field) string {
	d.t.Helper()
	l, err := d.vault.Request(owner(d.t), vault.Request{Fields: fields, Reason: "to read <b>orders</b>"})
	if err != nil {
		d.t.Fatal(err)
	}
	return strings.TrimPrefix(l.URL, public)
}

// call sends a request; change may alter it first.
func (d *door) call(method, path, body string, change func(*http.Request)) (*http.Response, string) {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), method, "http://"+d.addr+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if change != nil {
		change(req)
	}
	resp, err := d.client.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	var text strings.Builder
	buf := make([]byte, 4096)
	for {
		n, err := resp.Body.Read(buf)
		text.Write(buf[:n])
		if err != nil {
			break
		}
	}
	return resp, text.String()
}

func TestOnceAndOnlyBySending(t *testing.T) {
	d := open(t)
	path := d.link(vault.Field{Name: "api_token", Label: "The <script>token</script>", Hosts: []string{"api.example.com"}})
	for range 3 { // link previews
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			resp, page := d.call(method, path, "", nil)
			if resp.StatusCode != http.StatusOK {
				t.Fatalf("%s: %s", method, resp.Status)
			}
			if method == http.MethodGet && (!strings.Contains(page, "The &lt;script&gt;token&lt;/script&gt;") || !strings.Contains(page, "&lt;b&gt;orders") || !strings.Contains(page, "api.example.com")) {
				t.Errorf("the page does not show what is asked for, or shows it as markup: %s", page)
			}
		}
	}
	resp, page := d.call(http.MethodPost, path, "api_token="+planted, nil)
	if resp.StatusCode != http.StatusOK || strings.Contains(page, planted) {
		t.Fatalf("sent: %s: %s", resp.Status, page)
	}
	if v, err := d.vault.ForHost(t.Context(), "api_token", "api.example.com"); err != nil || v.Reveal() != planted {
		t.Errorf("stored: %v", err)
	}
	for _, again := range []struct{ method, body string }{{http.MethodGet, ""}, {http.MethodPost, "api_token=another-value"}} {
		resp, page = d.call(again.method, path, again.body, nil)
		if resp.StatusCode != http.StatusGone || !strings.Contains(page, "was used") {
			t.Errorf("%s after use: %s: %s", again.method, resp.Status, page)
		}
	}
	if v, _ := d.vault.Value(t.Context(), "api_token"); v.Reveal() != planted {
		t.Error("the second use changed the value")
	}
	if strings.Contains(d.log.String(), planted) {
		t.Errorf("the log holds the value: %s", d.log)
	}
}

func TestHeaders(t *testing.T) {
	d := open(t)
	path := d.link(vault.Field{Name: "api_token"})
	for _, tt := range []struct{ method, path, body string }{
		{http.MethodGet, path, ""}, {http.MethodGet, "/collect/nothing", ""}, {http.MethodPost, path, "x=y"}, {http.MethodPost, path, "api_token=" + planted}, {http.MethodGet, path, ""},
	} {
		resp, page := d.call(tt.method, tt.path, tt.body, nil)
		for name, want := range map[string]string{
			"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Content-Type": "text/html; charset=utf-8", "Set-Cookie": "",
		} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s %s: %s = %q, want %q", tt.method, resp.Status, name, got, want)
			}
		}
		csp := resp.Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("policy %q lacks %s", csp, want)
			}
		}
		if strings.Contains(csp, "unsafe") || strings.Contains(csp, "http") || strings.Contains(csp, "*") {
			t.Errorf("policy %q lets in more than the page's own", csp)
		}
		// The browser runs only what the policy's hashes name, and what the page holds is that.
		if want := policy(within(page, "style"), within(page, "script")); strings.Contains(page, "<script>") && csp != want {
			t.Errorf("policy %q, want %q for the texts on the page", csp, want)
		}
		if found := regexp.MustCompile(`(?i)https?:|\bsrc=|<link|<img|<iframe|@import|url\(|\bon[a-z]+=| style=`).FindString(page); found != "" {
			t.Errorf("the page refers to something else: %q", found)
		}
	}
}

func within(page, tag string) string {
	_, after, _ := strings.Cut(page, "<"+tag+">")
	text, _, _ := strings.Cut(after, "</"+tag+">")
	return text
}

func TestPageIsUsableByAll(t *testing.T) {
	d := open(t)
	_, page := d.call(http.MethodGet, d.link(vault.Field{Name: "a_user", Label: "User"}, vault.Field{Name: "b_password"}), "", nil)
	for i, label := range []string{"User", "b_password"} {
		if !strings.Contains(page, fmt.Sprintf(`<label for="f%d">%s</label>`, i, label)) || !strings.Contains(page, fmt.Sprintf(`<input id="f%d" `, i)) || !strings.Contains(page, fmt.Sprintf(`aria-describedby="h%d"`, i)) {
			t.Errorf("field %d has no label of its own: %s", i, page)
		}
	}
	for text, n := range map[string]int{`type="password" required`: 2, `autocomplete="off"`: 3, `<html lang="en">`: 1, `<h1>`: 1, `name="viewport"`: 1, `class="show" type="button" hidden`: 2} {
		if got := strings.Count(page, text); got != n {
			t.Errorf("%s stands %d times, want %d", text, got, n)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, tt := range []struct {
		name, body, query string
		change            func(*http.Request)
		status            int
	}{
		{"no field", "", "", func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }, 400},
		{"a field too many", "api_token=" + planted + "&other=x", "", nil, 400},
		{"another field", "other=" + planted, "", nil, 400},
		{"a field twice", "api_token=" + planted + "&api_token=" + planted, "", nil, 400},
		{"an empty field", "api_token=", "", nil, 400},
		{"too short", "api_token=short", "", nil, 400},
		{"another spelling of the name", "API_TOKEN=" + planted, "", nil, 400},
		{"the field in the address", "", "?api_token=" + planted, nil, 400},
		{"more in the address", "api_token=" + planted, "?a=b", nil, 400},
		{"a damaged form", "api_token=%zz", "", nil, 400},
		{"half a form", "api_token=" + planted + ";b=c", "", nil, 400},
		{"JSON", `{"api_token":"` + planted + `"}`, "", func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }, 400},
		{"a form of files", "api_token=" + planted, "", func(r *http.Request) { r.Header.Set("Content-Type", "multipart/form-data; boundary=x") }, 400},
		{"too large", "api_token=" + strings.Repeat("x", bodyLimit), "", nil, 413},
		{"a foreign host", "api_token=" + planted, "", func(r *http.Request) { r.Host = "evil.example" }, 421},
		{"a foreign port of this machine", "api_token=" + planted, "", func(r *http.Request) { r.Host = "127.0.0.1:1" }, 421},
		{"a foreign origin", "api_token=" + planted, "", func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }, 403},
		{"an origin that is hidden", "api_token=" + planted, "", func(r *http.Request) { r.Header.Set("Origin", "null") }, 403},
		{"a foreign site by the browser's word", "api_token=" + planted, "", func(r *http.Request) {
			r.Header.Set("Origin", "null")
			r.Header.Set("Sec-Fetch-Site", "cross-site")
		}, 403},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := open(t)
			path := d.link(vault.Field{Name: "api_token"})
			resp, page := d.call(http.MethodPost, path+tt.query, tt.body, tt.change)
			if resp.StatusCode != tt.status {
				t.Errorf("status %d, want %d", resp.StatusCode, tt.status)
			}
			if strings.Contains(page, planted) {
				t.Error("the page shows what was sent")
			}
			if list, _ := d.vault.List(t.Context()); len(list) != 0 {
				t.Errorf("stored: %+v", list)
			}
			// It did not use the link up.
			if resp, _ := d.call(http.MethodPost, path, "api_token="+planted, nil); resp.StatusCode != http.StatusOK {
				t.Errorf("then the right form: %s", resp.Status)
			}
		})
	}
}

func TestAllowedSenders(t *testing.T) {
	d := open(t)
	for name, change := range map[string]func(*http.Request){
		"no browser": nil,
		"a browser that keeps the referrer": func(r *http.Request) {
			r.Host = "phantom.example"
			r.Header.Set("Origin", public)
		},
		"a browser that hides the origin as it was told to": func(r *http.Request) {
			r.Header.Set("Origin", "null")
			r.Header.Set("Sec-Fetch-Site", "same-origin")
		},
	} {
		if resp, page := d.call(http.MethodPost, d.link(vault.Field{Name: "api_token"}), "api_token="+planted, change); resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s: %s", name, resp.Status, page)
		}
	}
}

// Whoever guesses learns nothing: every token that is no link gets one page.
func TestUnknownTokensLookAlike(t *testing.T) {
	d := open(t)
	path := d.link(vault.Field{Name: "api_token"})
	_, want := d.call(http.MethodGet, "/collect/"+strings.Repeat("A", 43), "", nil)
	for _, token := range []string{"x", strings.Repeat("B", 43), strings.TrimPrefix(path, "/collect/") + "A", strings.Repeat("x", 4000), "%00", "%2e%2e"} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			resp, page := d.call(method, "/collect/"+token, map[string]string{http.MethodPost: "api_token=" + planted}[method], nil)
			if resp.StatusCode != http.StatusNotFound || page != want {
				t.Errorf("%s %.20s: %s: %s", method, token, resp.Status, page)
			}
		}
	}
}

func TestExpiredSaysSo(t *testing.T) {
	d := open(t)
	path := d.link(vault.Field{Name: "api_token"})
	err := d.db.WithTx(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(t.Context(), `UPDATE secret_links SET expires_at = 1`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for method, body := range map[string]string{http.MethodGet: "", http.MethodPost: "api_token=" + planted} {
		if resp, page := d.call(method, path, body, nil); resp.StatusCode != http.StatusGone || !strings.Contains(page, "has expired") {
			t.Errorf("%s: %s: %s", method, resp.Status, page)
		}
	}
	if list, _ := d.vault.List(t.Context()); len(list) != 0 {
		t.Errorf("stored: %+v", list)
	}
}

func TestTwoSendersOneWinner(t *testing.T) {
	d := open(t)
	path := d.link(vault.Field{Name: "api_token"})
	status := make([]int, 6)
	var all sync.WaitGroup
	for i := range status {
		all.Go(func() {
			resp, _ := d.call(http.MethodPost, path, fmt.Sprintf("api_token=%s-%d", planted, i), nil)
			status[i] = resp.StatusCode
		})
	}
	all.Wait()
	won := 0
	for i, got := range status {
		if got == http.StatusOK {
			won++
			if v, _ := d.vault.Value(t.Context(), "api_token"); v.Reveal() != fmt.Sprintf("%s-%d", planted, i) {
				t.Errorf("%d was told that it won, stored is %q", i, v.Reveal())
			}
		} else if got != http.StatusGone {
			t.Errorf("sender %d: status %d", i, got)
		}
	}
	if won != 1 {
		t.Errorf("%d won, want 1", won)
	}
}

// A failure inside tells the sender nothing of it.
func TestFailureTellsNothing(t *testing.T) {
	d := open(t)
	path := d.link(vault.Field{Name: "api_token"})
	if err := d.db.WithTx(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(t.Context(), `UPDATE secret_links SET fields = 'damaged'`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	resp, page := d.call(http.MethodGet, path, "", nil)
	if resp.StatusCode != http.StatusInternalServerError || strings.Contains(page, "invalid") || !strings.Contains(d.log.String(), "invalid character") {
		t.Errorf("%s: %s; log: %s", resp.Status, page, d.log)
	}
}

func TestMissingDeps(t *testing.T) {
	d := open(t)
	log := slog.New(slog.DiscardHandler)
	for _, deps := range []Deps{{}, {BaseURL: public, Port: 1, Log: log}, {Vault: d.vault, Port: 1, Log: log}, {Vault: d.vault, BaseURL: public, Log: log}, {Vault: d.vault, BaseURL: public, Port: 1}} {
		if _, err := New(deps); err == nil {
			t.Errorf("New(%+v) works", deps)
		}
	}
}

func FuzzForm(f *testing.F) {
	for _, seed := range []string{"a=12345678&b=x", "a=1&a=2&b=3", "a=%zz", "b=1;a=2", "a=1&b=2&c=3", "=&a=1&b=1", "a&b"} {
		f.Add("application/x-www-form-urlencoded", "", []byte(seed))
	}
	f.Add("text/plain", "", []byte("a=1&b=2"))
	f.Add("application/x-www-form-urlencoded; charset=utf-8", "a=1", []byte("b=2"))
	asked := []vault.Field{{Name: "a"}, {Name: "b"}}
	f.Fuzz(func(t *testing.T, kind, query string, body []byte) {
		values, err := parse(kind, query, body, asked)
		if err != nil {
			return
		}
		if len(values) != 2 || values["a"].IsZero() || values["b"].IsZero() || query != "" {
			t.Errorf("parse(%q, %q, %q) = %d values", kind, query, body, len(values))
		}
		// What was taken is exactly what a browser would have to send for it.
		again := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(string(body)))
		again.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if err := again.ParseForm(); err != nil || len(again.PostForm) != 2 || again.PostForm.Get("a") != values["a"].Reveal() {
			t.Errorf("another reader sees %v, %v", again.PostForm, err)
		}
	})
}

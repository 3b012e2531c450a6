package console_test

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/console"
)

func get(t *testing.T, method, target string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	console.New().ServeHTTP(w, r)
	return w.Result()
}

func TestPageAndItsHeaders(t *testing.T) {
	res := get(t, "GET", "/console/")
	if res.StatusCode != 200 || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") || res.Header.Get("Cache-Control") != "no-cache" {
		t.Errorf("%d %v", res.StatusCode, res.Header)
	}
	csp := res.Header.Get("Content-Security-Policy")
	for _, need := range []string{"default-src 'none'", "script-src 'self';", "style-src 'self';", "frame-ancestors 'none'", "connect-src 'self'"} {
		if !strings.Contains(csp, need) {
			t.Errorf("the policy lacks %s: %s", need, csp)
		}
	}
	if strings.Contains(csp, "unsafe") || strings.Contains(csp, "http") {
		t.Errorf("the policy is loose: %s", csp)
	}
}

func TestAnswers(t *testing.T) {
	for _, tc := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/console", http.StatusPermanentRedirect},
		{"HEAD", "/console/", 200},
		{"POST", "/console/", http.StatusMethodNotAllowed},
		{"GET", "/console/assets/none.js", 404},
		{"GET", "/console/../go.mod", 404},
		{"GET", "/console/assets", 404},
	} {
		if res := get(t, tc.method, tc.path); res.StatusCode != tc.status {
			t.Errorf("%s %s: %d, want %d", tc.method, tc.path, res.StatusCode, tc.status)
		}
	}
}

// Everything that is committed can be had, for ever if its name tells its content, packed or not.
func TestAssets(t *testing.T) {
	seen := 0
	err := fs.WalkDir(os.DirFS("dist"), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		seen++
		target := strings.TrimSuffix(name, ".gz")
		packed := get(t, "GET", "/console/"+target, "Accept-Encoding", "br, gzip;q=0.8")
		plain := get(t, "GET", "/console/"+target, "Accept-Encoding", "gzip;q=0")
		if packed.StatusCode != 200 || plain.StatusCode != 200 || plain.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s: %d %d", name, packed.StatusCode, plain.StatusCode)
		}
		if (packed.Header.Get("Content-Encoding") == "gzip") != (path.Ext(name) == ".gz") {
			t.Errorf("%s: encoding %q", name, packed.Header.Get("Content-Encoding"))
		}
		if plain.Header.Get("Content-Type") == "application/octet-stream" {
			t.Errorf("%s is of no known type", name)
		}
		if strings.HasPrefix(name, "assets/") != strings.Contains(plain.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %s", name, plain.Header.Get("Cache-Control"))
		}
		return nil
	})
	if err != nil || seen == 0 {
		t.Errorf("%d files, %v", seen, err)
	}
}

// The page names no script of its own text and nothing of another origin.
func TestPageHasNothingInline(t *testing.T) {
	page, err := os.ReadFile("dist/index.html")
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	for _, bad := range []string{"<style", " style=", "://", "onload", "onerror", "javascript:"} {
		if strings.Contains(text, bad) {
			t.Errorf("the page has %s: %s", bad, text)
		}
	}
	for _, after := range strings.Split(text, "<script")[1:] {
		if tag, rest, _ := strings.Cut(after, ">"); !strings.Contains(tag, "src=") || !strings.HasPrefix(rest, "</script>") {
			t.Errorf("a script of the page is inline: <script%s>", tag)
		}
	}
}

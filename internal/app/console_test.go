package app_test

import (
	"net/http"
	"testing"

	"github.com/kagimori/kagimori/internal/app"
	"github.com/kagimori/kagimori/internal/testkit"
)

// fetch is a browser's GET from a page of another site.
func fetch(t *testing.T, url string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return res
}

func TestConsoleIsServedToLinksFromAnywhereAndNothingElseIs(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	res := fetch(t, s.URL+"/console")
	if res.StatusCode != http.StatusOK || res.Request.URL.Path != "/console/" || res.Header.Get("Content-Security-Policy") == "" {
		t.Errorf("the console: %d at %s, %v", res.StatusCode, res.Request.URL.Path, res.Header)
	}
	for _, path := range []string{"/?Action=GetCallerIdentity&Version=2011-06-15", "/consoles", "/_kagimori/health"} {
		if res := fetch(t, s.URL+path); res.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
}

func TestConsoleCanBeLeftOut(t *testing.T) {
	s := testkit.Start(t, testkit.Options{Configure: func(c *app.Config) { c.NoConsole = true }})
	r, err := http.Get(s.URL + "/console/")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Body.Close(); err != nil {
		t.Fatal(err)
	}
	if r.StatusCode != http.StatusNotFound {
		t.Errorf("without a console: %d", r.StatusCode)
	}
}

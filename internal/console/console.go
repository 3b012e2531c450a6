// Package console serves the web console: a page, its scripts and styles, from files that are in the
// program. It is a client like any other: what it shows it asks of the APIs, signed with the
// credentials of who uses it, so nothing here is secret and nothing is decided here.
package console

import (
	"embed"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

// dist is what `make console` builds. Scripts and styles are compressed there already.
//
//go:embed all:dist
var dist embed.FS

// Path is where the console is.
const Path = "/console"

// policy is the Content-Security-Policy of every answer: the console's own files and its own origin,
// and nothing that is written into a page. Styles are set by scripts through the CSSOM, which it
// does not limit.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
	"connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; trusted-types default; require-trusted-types-for 'script'"

// Is reports whether a request is for the console. Such requests read what is the same for everybody.
func Is(r *http.Request) bool {
	return r.URL.Path == Path || strings.HasPrefix(r.URL.Path, Path+"/")
}

// New makes the handler of the console's paths.
func New() http.Handler {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // the name is a constant
	}
	return handler{files}
}

type handler struct{ files fs.FS }

// ServeHTTP answers with a file. Names below assets have their content's hash in them and never
// change; all other paths are the page, whose script shows what the fragment says.
func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Security-Policy", policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		http.Error(w, "the console is read with GET", http.StatusMethodNotAllowed)
		return
	}
	if r.URL.Path == Path {
		http.Redirect(w, r, Path+"/", http.StatusPermanentRedirect)
		return
	}
	name := strings.TrimPrefix(r.URL.Path, Path+"/")
	header.Set("Cache-Control", "no-cache")
	switch {
	case name == "":
		name = "index.html"
	case strings.HasPrefix(name, "assets/"):
		header.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	h.file(w, r, name)
}

// contentType is that of a file of the console. The system's own table is not asked: it may be wrong.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".md":
		return "text/plain; charset=utf-8" // to read, not to download
	case ".woff2":
		return "font/woff2"
	}
	return "application/octet-stream"
}

// file writes a file, compressed as it is if the client takes that.
func (h handler) file(w http.ResponseWriter, r *http.Request, name string) {
	header := w.Header()
	data, err := fs.ReadFile(h.files, name)
	if err != nil {
		data, err = h.packed(w, r, name)
	}
	if err != nil {
		header.Set("Cache-Control", "no-store")
		http.Error(w, "the console has no such file", http.StatusNotFound)
		return
	}
	header.Set("Content-Type", contentType(name))
	if r.Method == http.MethodHead {
		return
	}
	_, _ = w.Write(data) // a client that went away is no error of ours
}

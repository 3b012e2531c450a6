package gateway

import (
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/guard"
)

// Protection is what keeps web pages from using a server on the visitor's machine.
type Protection struct {
	// Dev turns the list of host names on.
	Dev          bool
	AllowedHosts []string // beside the loopback's names; any port
	// Hosts tells further names that the server answers for; nil: there are none.
	Hosts func(host string) bool
	// Public tells requests whose answer is the same for everybody and does nothing, so that a link
	// on any page may lead there; nil: there are none.
	Public func(*http.Request) bool
}

// Protect refuses, with 403, requests that a browser makes for a page of another origin
// (Sec-Fetch-Site, Origin), whatever their method, and in development requests for a host that is
// not listed, which is how a rebound DNS name shows. It sends no CORS headers, so pages cannot
// read answers either. Every route of a server stands behind it.
func Protect(p Protection, next http.Handler) http.Handler {
	hosts := []string{"localhost", "127.0.0.1", "::1"}
	for _, h := range p.AllowedHosts {
		hosts = append(hosts, hostname(h))
	}
	cross := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if host := hostname(r.Host); p.Dev && !slices.Contains(hosts, host) && (p.Hosts == nil || !p.Hosts(host)) {
			refuse(w, r, "This server does not answer for the host name of the request.")
			return
		}
		public := p.Public != nil && p.Public(r)
		if err := checkOrigin(cross, r); err != nil && !public {
			refuse(w, r, "This server does not answer requests of pages from other origins.")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// checkOrigin treats every method as unsafe: a query request changes things with GET as well,
// and a page could sign one with a development key that everybody knows.
func checkOrigin(cross *http.CrossOriginProtection, r *http.Request) error {
	if r.Header["Origin"] == nil && r.Header["Sec-Fetch-Site"] == nil {
		return nil // not a browser
	}
	probe := *r
	probe.Method = http.MethodPost
	return cross.Check(&probe)
}

// refuse answers in the request's protocol where it shows, with the codes for no access.
func refuse(w http.ResponseWriter, r *http.Request, message string) {
	x := &exchange{gateway: &gateway{cfg: Config{Logger: slog.Default()}}, w: w, r: r, id: guard.NewRequestID()}
	x.refuse(http.StatusForbidden, message)
}

// hostname is a Host header without port and brackets, in lower case.
func hostname(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.ToLower(strings.Trim(host, "[]"))
}

// sourceIP is the client's address.
func sourceIP(r *http.Request) string {
	if ap, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		if ap.Addr().Is4() { // has one spelling only
			return r.RemoteAddr[:strings.LastIndexByte(r.RemoteAddr, ':')]
		}
		return ap.Addr().Unmap().WithZone("").String()
	}
	return ""
}

func cut(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "")
	}
	return s
}

package app

import (
	"log/slog"
	"net"
	"net/http"
	"strings"

	"github.com/kagimori/kagimori/internal/iam"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/sts"
	"github.com/kagimori/kagimori/internal/sts/webtoken"
)

// issuers is where the documents of accounts' issuers of web tokens are for who cannot have the
// issuers' own names lead to the server.
const issuers = "/_kagimori/issuers/"

// issuerOf is the issuer that a request is about, by host name or by path, and which of its documents;
// id is "" if it is about none.
func issuerOf(r *http.Request) (id, document string) {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if id := iam.IssuerID(host); id != "" {
		return id, r.URL.Path
	}
	if rest, ok := strings.CutPrefix(r.URL.Path, issuers); ok {
		id, document, _ := strings.Cut(rest, "/")
		return id, "/" + document
	}
	return "", ""
}

func isIssuer(r *http.Request) bool {
	id, _ := issuerOf(r)
	return id != ""
}

// webIssuers tells verifiers of web tokens which keys an issuer signs with. Anybody may ask.
// Source: OpenID Connect Discovery 1.0; IAM User Guide, outbound identity federation.
type webIssuers struct {
	read   func(r *http.Request, fn func(store.Tx) error) error
	people *iam.Service
	tokens *sts.Service
	log    *slog.Logger
}

func (i webIssuers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, document := issuerOf(r)
	known := false
	err := i.read(r, func(tx store.Tx) (err error) {
		known, err = i.people.IsIssuer(tx, id)
		return err
	})
	var body []byte
	switch {
	case err != nil:
	case known && document == webtoken.DiscoveryPath:
		body, err = webtoken.Discovery(iam.IssuerURL(id))
	case known && document == webtoken.KeysPath:
		body, err = i.tokens.KeySet(r.Context())
	default:
		problem(w, http.StatusNotFound, "no such issuer or document")
		return
	}
	if err != nil {
		i.log.Error("an issuer's document could not be made", "error", err)
		problem(w, http.StatusInternalServerError, "the document could not be made")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "public, max-age=300")
	_, _ = w.Write(body)
}

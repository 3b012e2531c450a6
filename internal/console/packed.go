package console

import (
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"net/http"
	"strings"
)

// maxUnpacked bounds what a file is unpacked to.
const maxUnpacked = 16 << 20

// packed reads a file that is kept compressed. Clients that do not take gzip get it unpacked.
func (h handler) packed(w http.ResponseWriter, r *http.Request, name string) ([]byte, error) {
	data, err := fs.ReadFile(h.files, name+".gz")
	if err != nil {
		return nil, err
	}
	w.Header().Set("Vary", "Accept-Encoding")
	if takesGzip(r.Header.Get("Accept-Encoding")) {
		w.Header().Set("Content-Encoding", "gzip")
		return data, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(z, maxUnpacked))
}

// takesGzip reads Accept-Encoding as far as it is about gzip.
func takesGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		coding, weight, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.TrimSpace(coding) == "gzip" {
			q := strings.ReplaceAll(weight, " ", "")
			return q != "q=0" && q != "q=0.0" && q != "q=0.00" && q != "q=0.000"
		}
	}
	return false
}

package lane

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxOut is how much of an answer is held back until it is written.
const maxOut = 32 << 10

// response is the answer to a request.
type response struct {
	c      *conn
	header http.Header
	now    time.Time
	status int         // 0 until WriteHeader
	kept   http.Header // the header as WriteHeader found it, until it is in out
	begun  bool        // the header is in out, or written
	length int64       // of the body, as the handler said; -1 if it did not
	size   int64       // of the body so far
	chunks bool        // the body goes out in chunks
	last   bool        // the connection ends after this answer, which says so
	quits  bool        // the connection ends after this answer
	err    error       // of the connection
	buf    *[]byte     // the pool's
	out    []byte      // what is to be written
}

func (w *response) reset(now time.Time) {
	clear(w.header)
	*w = response{c: w.c, header: w.header, now: now, last: w.last, length: -1}
	var ok bool
	if w.buf, ok = w.c.s.outputs.Get().(*[]byte); !ok {
		w.buf = new(make([]byte, 0, 4<<10))
	}
	w.out = (*w.buf)[:0]
}

// Header is what WriteHeader sends.
func (w *response) Header() http.Header { return w.header }

// WriteHeader begins the answer. Informational answers are not sent.
func (w *response) WriteHeader(status int) {
	if w.status != 0 {
		w.c.s.logf("lane: superfluous WriteHeader of %d after %d", status, w.status)
		return
	}
	if status >= 100 && status < 200 {
		return
	}
	if status < 100 || status > 999 {
		panic("lane: invalid status " + strconv.Itoa(status))
	}
	w.status = status
	if v := w.header["Content-Length"]; len(v) == 1 {
		if n, ok := length(v[0]); ok {
			w.length = n
		}
	}
	if w.length >= 0 && w.header["Content-Type"] != nil {
		w.begin(w.header, nil)
		return
	}
	w.kept = w.header.Clone()
}

// bodiless reports whether answers of the status have no body. Source: RFC 9110, section 6.4.1.
func (w *response) bodiless() bool {
	return w.status == http.StatusNoContent || w.status == http.StatusNotModified
}

var errShort = errors.New("lane: an answer is shorter than was said")

// Write writes a part of the body.
func (w *response) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case w.err != nil:
		return 0, w.err
	case len(p) == 0:
		return 0, nil
	case w.bodiless():
		return 0, http.ErrBodyNotAllowed
	}
	if w.size += int64(len(p)); w.length >= 0 && w.size > w.length {
		return 0, http.ErrContentLength
	}
	if !w.begun {
		if len(w.out)+len(p) <= maxOut {
			w.out = append(w.out, p...) // the header comes before it in the end
			return len(p), nil
		}
		w.start(p)
	}
	w.append(p)
	return len(p), w.err
}

// WriteAnswer is WriteHeader with the lines of the header that are given, in this order, and Write of a whole
// body: an answer that is known is not put into a map and taken out of it again. Lines without a name are
// none. What Header has already counts too.
func (w *response) WriteAnswer(status int, lines [4][2]string, body []byte) (int, error) {
	if w.status != 0 || len(w.header) > 0 || status < http.StatusOK || status > 999 {
		for _, l := range lines {
			if l[0] != "" {
				w.header[l[0]] = []string{l[1]}
			}
		}
		w.header["Content-Length"] = []string{strconv.Itoa(len(body))}
		w.WriteHeader(status)
		return w.Write(body)
	}
	if w.status = status; w.bodiless() {
		body = nil
	}
	w.length, w.size = int64(len(body)), int64(len(body))
	b := w.first()
	for i := range lines {
		if l := &lines[i]; l[0] != "" {
			b = appendField(b, l[0], l[1])
		}
	}
	b = appendField(b, "Date", w.c.s.now(w.now))
	if !w.bodiless() {
		b = append(b, "Content-Length: "...)
		b = append(strconv.AppendInt(b, w.length, 10), endOfLine...)
	}
	if w.last {
		b = appendField(b, "Connection", "close")
	}
	w.out = append(b, endOfLine...)
	w.append(body)
	return len(body), w.err
}

// start puts the header before what there is of the body, whose length is known from what the handler said
// only. next is what follows.
func (w *response) start(next []byte) {
	body := slices.Clone(w.out)
	clear(w.out)
	w.out = w.out[:0]
	w.chunks = w.length < 0 && !w.bodiless()
	if len(body) == 0 {
		w.begin(w.kept, next)
		return
	}
	w.begin(w.kept, body)
	w.append(body)
	clear(body)
}

// append appends to the answer, whose header is there.
func (w *response) append(p []byte) {
	if len(p) == 0 {
		return
	}
	if w.chunks {
		w.out = strconv.AppendInt(w.out, int64(len(p)), 16)
		w.out = append(w.out, endOfLine...)
	}
	if len(w.out)+len(p)+len(endOfLine) <= maxOut {
		w.out = append(w.out, p...)
	} else {
		w.flush()
		w.write(p)
	}
	if w.chunks {
		w.out = append(w.out, endOfLine...)
	}
}

// first appends the line of the status, once it is known what becomes of the connection.
func (w *response) first() []byte {
	w.begun = true
	broken, long := w.c.body.pass()
	w.last = w.last || long || w.c.s.down.Load()
	w.quits = broken
	if w.status == http.StatusOK {
		return append(w.out, "HTTP/1.1 200 OK\r\n"...)
	}
	b := append(w.out, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(w.status), 10)
	b = append(b, ' ')
	if text := http.StatusText(w.status); text != "" {
		b = append(b, text...)
	} else {
		b = append(b, "status code "...)
		b = strconv.AppendInt(b, int64(w.status), 10)
	}
	return append(b, endOfLine...)
}

// begin appends the header.
func (w *response) begin(h http.Header, body []byte) {
	w.last = w.last || closes(h)
	b := w.first()
	for name, values := range h {
		switch {
		case name == "Connection", name == "Transfer-Encoding", strings.HasPrefix(name, http.TrailerPrefix), name == "" || !all(name, inToken):
			continue
		case name == "Content-Length" && (w.length < 0 || w.bodiless()):
			continue
		}
		for _, v := range values {
			b = appendField(b, name, v)
		}
	}
	if h["Date"] == nil {
		b = appendField(b, "Date", w.c.s.now(w.now))
	}
	if h["Content-Type"] == nil && h["Content-Encoding"] == nil && len(body) > 0 {
		b = appendField(b, "Content-Type", http.DetectContentType(body))
	}
	if w.length < 0 && !w.chunks && !w.bodiless() {
		w.length = int64(len(body))
		b = appendField(b, "Content-Length", strconv.Itoa(len(body)))
	}
	if w.chunks {
		b = appendField(b, "Transfer-Encoding", "chunked")
	}
	if w.last {
		b = appendField(b, "Connection", "close")
	}
	w.out = append(b, endOfLine...)
}

// closes reports whether a handler wants the connection to end.
func closes(h http.Header) bool {
	for _, v := range h["Connection"] {
		if strings.EqualFold(v, "close") {
			return true
		}
	}
	return false
}

// appendField appends a line of the header. What would end it is a space, as in net/http.
func appendField(b []byte, name, value string) []byte {
	b = append(append(b, name...), ':', ' ')
	if !isValue(value) {
		value = strings.NewReplacer("\r", " ", "\n", " ").Replace(value)
	}
	return append(append(b, trim(value)...), endOfLine...)
}

// Flush writes what there is of the answer.
func (w *response) Flush() {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if !w.begun {
		w.start(nil)
	}
	w.flush()
}

func (w *response) flush() {
	w.write(w.out)
	clear(w.out)
	w.out = w.out[:0]
}

func (w *response) write(p []byte) {
	if w.err != nil || len(p) == 0 {
		return
	}
	_, w.err = w.c.rw.Write(p)
}

// finish ends the answer.
func (w *response) finish() {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case !w.begun && w.length < 0: // all of it is here
		body := slices.Clone(w.out)
		clear(w.out)
		w.out = w.out[:0]
		w.begin(w.kept, body)
		w.out = append(w.out, body...)
		clear(body)
	case !w.begun:
		w.start(nil)
	}
	if w.chunks {
		w.out = append(w.out, "0\r\n\r\n"...)
	}
	w.flush()
	if w.err == nil && !w.bodiless() && w.length >= 0 && w.size != w.length {
		w.err = errShort // the client waits for more: only the end of the connection tells
	}
	if *w.buf = w.out; cap(w.out) <= maxOut+4<<10 {
		w.c.s.outputs.Put(w.buf)
	}
	w.buf, w.out = nil, nil
}

var _ http.Flusher = (*response)(nil)

package lane

import (
	"net/http"
	"net/textproto"
	"net/url"
	"strings"

	"github.com/kagimori/kagimori/internal/ascii"
)

// maxLines bounds the lines of an ordinary header.
const maxLines = 64

// Sets of characters. Sources: RFC 9110, section 5.6.2 (token) and 5.5 (field values); RFC 3986,
// appendix A (path and query).
const (
	inToken = 1 << iota
	inValue
	inTarget
	inHost
)

// charClass says for each byte which sets it is in.
var charClass = classes()

func classes() (t [256]uint8) {
	const alnum = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	for set, chars := range map[uint8]string{
		inToken:  alnum + "!#$%&'*+-.^_`|~",
		inTarget: alnum + "-._~%!$&'()*+,;=:@/?",
		inHost:   alnum + "-._:[]",
		inValue:  "\t",
	} {
		for i := range len(chars) {
			t[chars[i]] |= set
		}
	}
	for c := ' '; c <= '~'; c++ {
		t[c] |= inValue
	}
	return t
}

func all(s string, set uint8) bool {
	for i := range len(s) {
		if charClass[s[i]]&set == 0 {
			return false
		}
	}
	return true
}

// isValue reports whether a text is one that a field may have.
func isValue(s string) bool { return ascii.Printable(s) || all(s, inValue) }

// parse makes the request of its header: the lines, each with its end. It reports false for all that is
// not ordinary, and then says nothing about it.
func (c *conn) parse(text string) bool {
	line, rest, _ := strings.Cut(text, endOfLine)
	target, isPost := strings.CutPrefix(line, "POST ")
	target, is11 := strings.CutSuffix(target, " HTTP/1.1")
	if !isPost || !is11 || !c.parseTarget(target) {
		return false
	}
	c.req = c.blank
	c.req.RequestURI, c.req.ContentLength = target, -1
	clear(c.header)
	clear(c.values)
	c.values = c.values[:0]
	c.res.last = false
	for lines := 0; rest != ""; lines++ {
		var name, value string
		var ok bool
		if name, value, rest, ok = field(rest); !ok || lines == maxLines || !c.take(name, value) {
			return false
		}
	}
	if c.req.Host == "" || c.req.ContentLength < 0 {
		return false
	}
	c.body = &body{c: c, left: c.req.ContentLength}
	if c.req.Body = c.body; c.req.ContentLength == 0 {
		c.req.Body = http.NoBody
	}
	return true
}

// parseTarget takes the path and the query of a request.
func (c *conn) parseTarget(target string) bool {
	if target == "/" { // of all protocols but the REST ones
		c.url = url.URL{Path: "/"}
		return true
	}
	if !strings.HasPrefix(target, "/") || strings.HasPrefix(target, "//") || !all(target, inTarget) {
		return false
	}
	u, err := url.ParseRequestURI(target)
	if err == nil {
		c.url = *u
	}
	return err == nil
}

// field reads a line of the header. The name comes in its canonical form.
func field(text string) (name, value, rest string, ok bool) {
	i, canonical, upper := 0, true, true // upper: of what case the next letter is, canonically
	for ; i < len(text) && charClass[text[i]]&inToken != 0; i++ {
		b := text[i]
		if upper && 'a' <= b && b <= 'z' || !upper && 'A' <= b && b <= 'Z' {
			canonical = false
		}
		upper = b == '-'
	}
	if i == 0 || i == len(text) || text[i] != ':' {
		return "", "", "", false
	}
	if name = text[:i]; !canonical {
		name = textproto.CanonicalMIMEHeaderKey(name)
	}
	text = text[i+1:]
	end := strings.IndexByte(text, '\r')
	if end < 0 || end+1 == len(text) || text[end+1] != '\n' {
		return "", "", "", false
	}
	value = trim(text[:end])
	return name, value, text[end+2:], isValue(value)
}

// trim is a value without the spaces and tabs around it.
func trim(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// take takes a field of the header.
func (c *conn) take(name, value string) bool {
	switch name {
	case "Host":
		if c.req.Host != "" || !all(value, inHost) {
			return false
		}
		c.req.Host = value
		return true
	case "Content-Length":
		if c.req.ContentLength >= 0 {
			return false
		}
		n, ok := length(value)
		if !ok {
			return false
		}
		c.req.ContentLength = n
	case "Connection":
		switch {
		case c.header["Connection"] != nil:
			return false
		case strings.EqualFold(value, "close"):
			c.req.Close, c.res.last = true, true
		case !strings.EqualFold(value, "keep-alive"):
			return false
		}
	case "Transfer-Encoding", "Expect", "Upgrade", "Trailer", "Te", "Pragma", "Http2-Settings", "Keep-Alive", "Proxy-Connection":
		return false
	}
	if before, again := c.header[name]; again {
		c.header[name] = append(before, value)
		return true
	}
	n := len(c.values)
	c.values = append(c.values, value)
	c.header[name] = c.values[n : n+1 : n+1]
	return true
}

// length reads a Content-Length: digits only.
func length(s string) (n int64, ok bool) {
	if s == "" || len(s) > 15 {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = 10*n + int64(s[i]-'0')
	}
	return n, true
}

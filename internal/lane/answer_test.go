package lane_test

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// Answers are those of net/http, however handlers write them.
func TestAnswers(t *testing.T) {
	long := strings.Repeat("0123456789", 10_000)
	for name, h := range map[string]http.HandlerFunc{
		"nothing":        func(http.ResponseWriter, *http.Request) {},
		"status":         func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) },
		"unknown status": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(599) },
		"text":           func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") },
		"page":           func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html><p>") },
		"no content": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNoContent)
			if _, err := w.Write([]byte("x")); err != http.ErrBodyNotAllowed {
				panic(err)
			}
		},
		"error":          func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) },
		"in parts":       func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "a"); fmt.Fprint(w, "b", "c") },
		"header is late": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200); w.Header().Set("X-Late", "1") },
		"length": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "3")
			w.Header().Set("Content-Type", "text/plain")
			fmt.Fprint(w, "abc")
			if _, err := w.Write([]byte("d")); err != http.ErrContentLength {
				panic(err)
			}
		},
		"length without type": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "3")
			fmt.Fprint(w, "abc")
		},
		"too short": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "30")
			fmt.Fprint(w, "abc")
		},
		"long with length": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(len(long)))
			w.Header().Set("Content-Type", "text/plain")
			_, _ = io.WriteString(w, long)
		},
		"long": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, long) },
		"long in parts": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.Copy(w, io.LimitReader(strings.NewReader(long), 90_000))
		},
		"flushed": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "a")
			w.(http.Flusher).Flush()
			fmt.Fprint(w, "b")
		},
		"close":     func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") },
		"two lines": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-A", "1\r\nX-B: 2") },
		"bad name":  func(w http.ResponseWriter, _ *http.Request) { w.Header()["X A"] = []string{"1"} },
		"values": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Add("X-A", "1")
			w.Header().Add("X-A", "2")
		},
		"informational": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200); w.WriteHeader(500) },
		"abort":         func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"panic":         func(http.ResponseWriter, *http.Request) { panic("oh") },
		"half, then abort": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "3")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		},
		"whole":            func(w http.ResponseWriter, _ *http.Request) { whole(w, 200, "abc") },
		"whole, refused":   func(w http.ResponseWriter, _ *http.Request) { whole(w, 403, "abc") },
		"whole, unknown":   func(w http.ResponseWriter, _ *http.Request) { whole(w, 599, "abc") },
		"whole, empty":     func(w http.ResponseWriter, _ *http.Request) { whole(w, 200, "") },
		"whole, long":      func(w http.ResponseWriter, _ *http.Request) { whole(w, 200, long) },
		"whole, a buffer":  func(w http.ResponseWriter, _ *http.Request) { whole(w, 200, long[:32<<10]) },
		"whole, no answer": func(w http.ResponseWriter, _ *http.Request) { whole(w, 204, "") },
		"whole, and more": func(w http.ResponseWriter, _ *http.Request) {
			whole(w, 200, "abc")
			if _, err := w.Write([]byte("d")); err != http.ErrContentLength {
				panic(err)
			}
		},
		"whole, twice": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200); whole(w, 200, "") },
		"whole, and last": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Connection", "close")
			whole(w, 200, "abc")
		},
		"whole, two lines": func(w http.ResponseWriter, _ *http.Request) {
			wholeWith(w, 200, "1\r\nX-B: 2", "abc")
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t, h)
			p.same(t, "", []byte(post("abc")+post("de")))
		})
	}
}

func whole(w http.ResponseWriter, status int, body string) { wholeWith(w, status, "1", body) }

// wholeWith answers in one piece, where the server can.
func wholeWith(w http.ResponseWriter, status int, value, body string) {
	lines := [4][2]string{{"X-A", value}, {"Content-Type", "text/plain"}}
	if status == http.StatusNoContent {
		lines[1] = [2]string{}
	}
	if a, ok := w.(interface {
		WriteAnswer(int, [4][2]string, []byte) (int, error)
	}); ok {
		_, _ = a.WriteAnswer(status, lines, []byte(body))
		return
	}
	for _, l := range lines {
		if l[0] != "" {
			w.Header().Set(l[0], l[1])
		}
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// unread answers with the length of a body that it does not read.
func unread(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Length", strconv.FormatInt(r.ContentLength, 10))
}

// A body that nobody reads is passed over.
func TestUnreadBodies(t *testing.T) {
	for _, size := range []int{10, 10_000, 100_000} {
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			newPair(t, unread).same(t, "", []byte(post(strings.Repeat("x", size))+post("b")))
		})
	}
}

// One that is too long for that ends the connection, after the answer arrived.
func TestLongUnreadBody(t *testing.T) {
	const size = 10 << 20
	got := talk(t, newPair(t, unread).lane, "", []byte(post(strings.Repeat("x", size))+post("b")))
	if len(got) != 1 || got[0].Header.Get("X-Length") != strconv.Itoa(size) || !got[0].Close {
		t.Errorf("answers %+v", got)
	}
}

// A body that is kept reads nothing of the next request.
func TestBodyKept(t *testing.T) {
	var kept io.Reader
	p := newPair(t, func(w http.ResponseWriter, r *http.Request) {
		if kept == nil {
			kept = r.Body
			return
		}
		n, err := kept.Read(make([]byte, 10))
		fmt.Fprint(w, n, err)
	})
	got := talk(t, p.lane, "", []byte(post("abc")+post("def")))
	if len(got) != 2 || got[1].Body != "0 "+http.ErrBodyReadAfterClose.Error() {
		t.Errorf("answers %+v", got)
	}
}

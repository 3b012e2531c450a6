package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/testkit"
	"github.com/kagimori/kagimori/internal/wire/awsjson"
)

// A repeater sends one request again and again, signed once, as a generator of load does: where client and
// server share the processors, what the client computes would be counted against the server.
type repeater struct {
	tb   testing.TB
	host string
	idle chan *bufio.ReadWriter // a connection for each caller
	sent []byte
}

func newRepeater(tb testing.TB, url string) *repeater {
	tb.Helper()
	r := &repeater{tb: tb, host: strings.TrimPrefix(url, "http://"), idle: make(chan *bufio.ReadWriter, connections)}
	for range connections {
		c, err := net.Dial("tcp", r.host)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = c.Close() })
		r.idle <- bufio.NewReadWriter(bufio.NewReader(c), bufio.NewWriter(c))
	}
	return r
}

// sign makes an operation of KMS the request; signatures are good for some minutes.
func (r *repeater) sign(op string, in any) {
	r.tb.Helper()
	codec, err := awsjson.New(kmsapi.Service())
	if err != nil {
		r.tb.Fatal(err)
	}
	body, header, err := codec.EncodeRequest(kmsapi.Service().Operations[op], in)
	if err != nil {
		r.tb.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodPost, "http://"+r.host+"/", bytes.NewReader(body))
	if err != nil {
		r.tb.Fatal(err)
	}
	req.Header = header
	sigv4.Sign(req, body, testkit.Admin(account), testkit.Region, "kms", time.Now())
	var b bytes.Buffer
	if err := req.Write(&b); err != nil {
		r.tb.Fatal(err)
	}
	r.sent = b.Bytes()
}

// do sends the request and reads the answer. An answer other than 200 is an error.
func (r *repeater) do() error {
	c := <-r.idle
	defer func() { r.idle <- c }()
	if _, err := c.Write(r.sent); err != nil {
		return err
	}
	if err := c.Flush(); err != nil {
		return err
	}
	status, length := "", -1
	for {
		line, err := c.ReadSlice('\n')
		if err != nil {
			return err
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			break
		}
		if status == "" {
			status = string(line)
		}
		if name, value, _ := bytes.Cut(line, []byte(": ")); bytes.EqualFold(name, []byte("Content-Length")) {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return err
			}
		}
	}
	if !strings.Contains(status, " 200 ") || length < 0 {
		return fmt.Errorf("%s, of %d bytes", status, length)
	}
	_, err := c.Discard(length)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

package sink

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/kagimori/kagimori/internal/outbound"
	"github.com/kagimori/kagimori/internal/secret"
)

// Headers of a request to a webhook.
const (
	// HeaderNode names the node whose log it is, HeaderFirst and HeaderLast the sequence numbers of the
	// first and the last line: a checkpoint has that of the record before it.
	HeaderNode, HeaderFirst, HeaderLast = "Kagimori-Audit-Node", "Kagimori-Audit-First", "Kagimori-Audit-Last"
	// HeaderSignature is "t=" and the time, a comma, "v1=" and [Sign] of that in hexadecimal.
	HeaderSignature = "Kagimori-Audit-Signature"
)

// A WebhookConfig is that of a sink to a web server: a POST of lines, to be answered with 2xx when they are
// kept. The same lines may come again, and are known by their node and sequence numbers.
type WebhookConfig struct {
	URL    string // https
	Secret secret.Bytes
	Node   string // whose log it is
	// Client reaches it: an address that the operator does not allow is refused as one of a tenant's URL.
	Client *outbound.Client
	Limits outbound.Limits
}

type webhook struct {
	cfg WebhookConfig
	// most is how many lines a request has, if the server said that it takes less than a batch; 0 is all.
	most int
}

// NewWebhook makes the target of a webhook, which need not be there yet.
func NewWebhook(cfg WebhookConfig) Target { return &webhook{cfg: cfg} }

// Sign is the signature of a request to a webhook: HMAC with SHA-256 of the time in seconds, the node, the
// first and the last sequence number as they are in headers, and the body, with a dot between each.
func Sign(key secret.Bytes, at int64, node, first, last string, body []byte) []byte {
	m := hmac.New(sha256.New, key)
	fmt.Fprintf(m, "%d.%s.%s.%s.", at, node, first, last)
	m.Write(body)
	return m.Sum(nil)
}

// Close implements [Target].
func (t *webhook) Close() error { return nil }

// Send implements [Target].
func (t *webhook) Send(ctx context.Context, b Batch) error {
	for lines := b.Lines; len(lines) > 0; {
		part := lines
		if t.most > 0 && len(part) > t.most {
			part = part[:t.most]
		}
		err := t.post(ctx, part)
		if errors.Is(err, errTooMuch) && len(part) > 1 {
			t.most = len(part) / 2
			continue
		}
		if err != nil {
			return err
		}
		lines = lines[len(part):]
	}
	return nil
}

// errTooMuch is what 413 says.
var errTooMuch = errors.New("the webhook takes less at once (413)")

// maxWait bounds how long a webhook may ask to be left alone.
const maxWait = 5 * time.Minute

func (t *webhook) post(ctx context.Context, lines []Line) error {
	var body bytes.Buffer
	for _, l := range lines {
		body.Write(l.Text)
		body.WriteByte('\n')
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, t.cfg.URL, bytes.NewReader(body.Bytes()))
	if err != nil {
		return err
	}
	first, last, now := strconv.FormatUint(lines[0].Sequence, 10), strconv.FormatUint(lines[len(lines)-1].Sequence, 10), time.Now().Unix()
	r.Header.Set("Content-Type", "application/x-ndjson")
	r.Header.Set("User-Agent", "kagimori")
	r.Header.Set(HeaderNode, t.cfg.Node)
	r.Header.Set(HeaderFirst, first)
	r.Header.Set(HeaderLast, last)
	r.Header.Set(HeaderSignature, fmt.Sprintf("t=%d,v1=%s", now, hex.EncodeToString(Sign(t.cfg.Secret, now, t.cfg.Node, first, last, body.Bytes()))))
	answer, err := t.cfg.Client.Do(ctx, r, t.cfg.Limits)
	switch {
	case err != nil:
		return err
	case answer.Status/100 == 2:
		return nil
	case answer.Status == http.StatusRequestEntityTooLarge:
		return errTooMuch
	}
	err = fmt.Errorf("the webhook answered %d", answer.Status)
	if n, perr := strconv.Atoi(answer.Header.Get("Retry-After")); perr == nil && n > 0 && (answer.Status == http.StatusTooManyRequests || answer.Status == http.StatusServiceUnavailable) {
		return &WaitError{min(time.Duration(n)*time.Second, maxWait), err}
	}
	return err
}

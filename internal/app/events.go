package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/outbound"
)

// eventLimits bound the delivery of one event to a webhook.
var eventLimits = outbound.Limits{Time: 5 * time.Second, Body: 64 << 10}

// ParseEvents checks where events go: "file:PATH" or an https URL.
func ParseEvents(spec string) error {
	if path, ok := strings.CutPrefix(spec, "file:"); ok {
		if path == "" {
			return errors.New("events: file: needs a path")
		}
		return nil
	}
	if u, err := url.Parse(spec); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return fmt.Errorf("events go to file:PATH or to an https URL, not to %q", spec)
	}
	return nil
}

// eventSink is where Auto Scaling's events go: a line each at the end of a file, or a POST each to a
// webhook, which has to answer with 2xx. It is nil if there is no place.
func eventSink(spec string, client *outbound.Client) func(context.Context, []byte) error {
	if spec == "" {
		return nil
	}
	if path, ok := strings.CutPrefix(spec, "file:"); ok {
		return func(_ context.Context, event []byte) error { return appendLine(path, event) }
	}
	return func(ctx context.Context, event []byte) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, spec, bytes.NewReader(event))
		if err != nil {
			return err
		}
		r.Header.Set("Content-Type", "application/json")
		answer, err := client.Do(ctx, r, eventLimits)
		if err == nil && answer.Status/100 != 2 {
			err = fmt.Errorf("the webhook answered %d", answer.Status)
		}
		return err
	}
}

// appendLine adds a line to a file, which only the server's user may read.
func appendLine(path string, line []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(bytes.Clone(line), '\n'))
	return errors.Join(err, f.Sync(), f.Close())
}

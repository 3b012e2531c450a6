package gateway_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kagimori/kagimori/internal/api/ebsapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/gateway"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/sigv4"
)

// enableRequest is a signed request to enable a key.
func enableRequest(url string) *http.Request {
	body := []byte(`{"KeyId":"k"}`)
	r := httptest.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	r.Header.Set("X-Amz-Target", "TrentService.EnableKey")
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	sigv4.Sign(r, body, credentials(), "eu-west-1", "kms", time.Now())
	return r
}

// A caller that is over its limit gets the service's own error, and when to come back; the call is invoked,
// so that it is recorded, but its handler is not.
func TestALimitIsTheServicesOwnError(t *testing.T) {
	w := newWorld(t, func(cfg *gateway.Config) {
		cfg.Limit = func(*guard.Call) (time.Duration, bool) { return 1500 * time.Millisecond, false }
	})
	for _, tt := range []struct {
		name    string
		err     error
		code    string
		message string
	}{
		{"kms", w.do(t, kmsapi.Service(), credentials(), "EnableKey", &kmsapi.EnableKeyRequest{KeyId: new("k")}, nil), "ThrottlingException", "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls."},
		{"iam", w.do(t, iamapi.Service(), credentials(), "GetRole", &iamapi.GetRoleRequest{RoleName: new("r")}, nil), "Throttling", "Rate exceeded"},
		{"ec2", w.do(t, ec2api.Service(), credentials(), "DescribeVolumes", &ec2api.DescribeVolumesRequest{}, nil), "RequestLimitExceeded", "Request limit exceeded."},
		{"ebs", w.do(t, ebsapi.Service(), credentials(), "StartSnapshot", &ebsapi.StartSnapshotRequest{VolumeSize: new(int64(1))}, nil), "RequestThrottledException", ""},
	} {
		e, ok := tt.err.(*apierr.Error)
		if !ok || e.Code != tt.code || tt.message != "" && e.Message != tt.message {
			t.Errorf("%s: %v", tt.name, tt.err)
		}
	}
	if w.invoked != 4 {
		t.Errorf("%d of 4 calls were invoked", w.invoked)
	}
	r := enableRequest(w.URL + "/")
	r.RequestURI = ""
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := resp.Header.Get("Retry-After"); got != "2" || resp.StatusCode != 400 {
		t.Errorf("status %d, Retry-After %q", resp.StatusCode, got)
	}
}

// What is above the number of requests that are served at once is refused without looking at it, and
// everything is served again once there is room.
func TestAFullServerSheds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		var seen sync.Mutex
		var codes []string
		h, err := gateway.New(gateway.Config{
			Services: []gateway.Service{{API: kmsapi.Service(), Ops: map[string]guard.Handler{
				"EnableKey": guard.HandleVoid(func(context.Context, *guard.Call, *kmsapi.EnableKeyRequest) error { <-hold; return nil }),
			}}},
			Verifier: newVerifier(), Credentials: people{}, MaxConcurrent: 3,
			Watch: func(r *http.Request) (*http.Request, func(gateway.Outcome)) {
				return r, func(o gateway.Outcome) {
					seen.Lock()
					defer seen.Unlock()
					codes = append(codes, o.Service+" "+o.Operation+" "+o.Code)
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		ask := func() int {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, enableRequest("http://127.0.0.1/"))
			return w.Code
		}
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if code := ask(); code != 200 {
					t.Errorf("a request that had its place: %d", code)
				}
			})
		}
		synctest.Wait()
		for range 5 {
			if code := ask(); code != 400 {
				t.Errorf("a full server answered %d", code)
			}
		}
		if len(codes) != 5 || codes[0] != "kms EnableKey ThrottlingException" {
			t.Errorf("seen: %q", codes)
		}
		close(hold)
		wg.Wait()
		if code := ask(); code != 200 {
			t.Errorf("with room again: %d", code)
		}
	})
}

package gateway_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/ebsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/wire/client"
)

func putBlock(_ context.Context, _ *guard.Call, in *ebsapi.PutSnapshotBlockRequest) (*ebsapi.PutSnapshotBlockResponse, error) {
	return &ebsapi.PutSnapshotBlockResponse{Checksum: new(string(in.BlockData))}, nil
}

func startSnapshot(_ context.Context, _ *guard.Call, in *ebsapi.StartSnapshotRequest) (*ebsapi.StartSnapshotResponse, error) {
	if in.Description != nil {
		return nil, apierr.New("ResourceNotFoundException", "none").With("Reason", "SNAPSHOT_NOT_FOUND")
	}
	return &ebsapi.StartSnapshotResponse{VolumeSize: in.VolumeSize}, nil
}

func TestREST(t *testing.T) {
	w := newWorld(t, nil)
	cred := sigv4.Credentials{AccessKeyID: accessKey, Secret: keySecret}
	type header = map[string]string
	put := header{"X-Amz-Data-Length": "2", "X-Amz-Checksum": "YQ==", "X-Amz-Checksum-Algorithm": "SHA256"}
	unsigned := header{"X-Amz-Data-Length": "2", "X-Amz-Checksum": "YQ==", "X-Amz-Checksum-Algorithm": "SHA256", "X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD"}
	for _, tt := range []struct {
		name, method, path, body, signedBody string
		header                               header
		scope                                string // "" leaves the request unsigned
		status                               int
		code, want                           string
	}{
		{"signed", "POST", "/snapshots", `{"VolumeSize":1}`, `{"VolumeSize":1}`, nil, "ebs", 201, "", `{"VolumeSize":1}`},
		{"payload", "PUT", "/snapshots/snap-1/blocks/0", "ab", "ab", put, "ebs", 201, "", `{}`},
		{"another body", "POST", "/snapshots", `{"VolumeSize":1}`, `{"VolumeSize":2}`, nil, "ebs", 403, "InvalidSignatureException", "does not match"},
		{"another payload", "PUT", "/snapshots/snap-1/blocks/0", "ab", "xy", put, "ebs", 403, "InvalidSignatureException", "does not match"},
		{"unsigned payload", "PUT", "/snapshots/snap-1/blocks/0", "ab", "UNSIGNED-PAYLOAD", unsigned, "ebs", 201, "", `{}`},
		{"unsigned payload unsaid", "PUT", "/snapshots/snap-1/blocks/0", "ab", "UNSIGNED-PAYLOAD", put, "ebs", 201, "", `{}`},
		{"unsigned body elsewhere", "POST", "/snapshots", `{"VolumeSize":1}`, "UNSIGNED-PAYLOAD", header{"X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD"}, "ebs", 403, "InvalidSignatureException", ""},
		{"constraint", "POST", "/snapshots", `{}`, `{}`, nil, "ebs", 400, "ValidationException", "Value null at 'volumeSize'"},
		{"not JSON", "POST", "/snapshots", `{`, `{`, nil, "ebs", 400, "SerializationException", ""},
		{"details", "POST", "/snapshots", `{"VolumeSize":1,"Description":"x"}`, `{"VolumeSize":1,"Description":"x"}`, nil, "ebs", 404, "ResourceNotFoundException", `{"Message":"none","Reason":"SNAPSHOT_NOT_FOUND"}`},
		{"no such path", "GET", "/snaps", "", "", nil, "ebs", 404, "UnknownOperationException", "GET /snaps"},
		{"no handler", "GET", "/snapshots/snap-1/blocks", "", "", nil, "ebs", 404, "UnknownOperationException", "does not implement ListSnapshotBlocks yet"},
		{"unsigned", "POST", "/snapshots", `{"VolumeSize":1}`, "", nil, "", 403, "MissingAuthenticationTokenException", "Missing Authentication Token"},
		{"a path of no service", "GET", "/snaps", "", "", nil, "", 404, "", ""},
		{"another service's scope", "POST", "/snapshots", `{}`, `{}`, nil, "kms", 404, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), tt.method, w.URL+tt.path, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			for k, v := range tt.header {
				req.Header.Set(k, v)
			}
			switch {
			case tt.scope != "" && tt.signedBody == "UNSIGNED-PAYLOAD":
				sigv4.SignUnsigned(req, cred, "us-east-1", tt.scope, time.Now())
			case tt.scope != "":
				sigv4.Sign(req, []byte(tt.signedBody), cred, "us-east-1", tt.scope, time.Now())
			}
			res, err := w.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = res.Body.Close() }()
			body, err := io.ReadAll(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			if res.StatusCode != tt.status || res.Header.Get("X-Amzn-Errortype") != tt.code || !strings.Contains(string(body), tt.want) {
				t.Errorf("%d %s %s\nwant %d %s %s", res.StatusCode, res.Header.Get("X-Amzn-Errortype"), body, tt.status, tt.code, tt.want)
			}
		})
	}
}

func TestRESTClient(t *testing.T) {
	w := newWorld(t, nil)
	c, err := client.New(w.URL, "us-east-1", sigv4.Credentials{AccessKeyID: accessKey, Secret: keySecret}, ebsapi.Service())
	if err != nil {
		t.Fatal(err)
	}
	var out ebsapi.PutSnapshotBlockResponse
	err = c.Do(t.Context(), "PutSnapshotBlock", &ebsapi.PutSnapshotBlockRequest{
		SnapshotId: new("snap-1"), BlockIndex: new(int32(0)), BlockData: []byte("ab"), DataLength: new(int32(2)), Checksum: new("YQ=="), ChecksumAlgorithm: new("SHA256"),
	}, &out)
	if err != nil || out.Checksum == nil || *out.Checksum != "ab" {
		t.Errorf("%v %+v", err, out)
	}
	err = c.Do(t.Context(), "StartSnapshot", &ebsapi.StartSnapshotRequest{VolumeSize: new(int64(1)), Description: new("x")}, nil)
	if apierr.Code(err) != "ResourceNotFoundException" {
		t.Errorf("got %v", err)
	}
}

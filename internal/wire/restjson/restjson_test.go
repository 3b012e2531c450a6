package restjson_test

import (
	"bytes"
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/accessanalyzerapi"
	"github.com/kagimori/kagimori/internal/api/ebsapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/wire"
	"github.com/kagimori/kagimori/internal/wire/restjson"
)

func newEBS(t testing.TB) (*restjson.Codec, map[string]*api.Operation) {
	t.Helper()
	svc := ebsapi.Service()
	c, err := restjson.New(svc)
	if err != nil {
		t.Fatal(err)
	}
	return c, svc.Operations
}

func TestRoutes(t *testing.T) {
	c, _ := newEBS(t)
	for _, tt := range []struct {
		method, path, want string
		labels             map[string]string
	}{
		{"POST", "/snapshots", "StartSnapshot", map[string]string{}},
		{"POST", "/snapshots/completion/snap-1", "CompleteSnapshot", map[string]string{"snapshotId": "snap-1"}},
		{"GET", "/snapshots/snap-1/blocks", "ListSnapshotBlocks", map[string]string{"snapshotId": "snap-1"}},
		{"GET", "/snapshots/snap-1/blocks/7", "GetSnapshotBlock", map[string]string{"snapshotId": "snap-1", "blockIndex": "7"}},
		{"PUT", "/snapshots/snap%2F1/blocks/%37", "PutSnapshotBlock", map[string]string{"snapshotId": "snap/1", "blockIndex": "7"}},
		{"GET", "/snapshots/snap-1/changedblocks", "ListChangedBlocks", map[string]string{"secondSnapshotId": "snap-1"}},
		{"GET", "/snapshots", "", nil},
		{"GET", "/snapshots//blocks", "", nil},
		{"GET", "/snapshots/../blocks", "", nil},
		{"GET", "/snapshots/%zz/blocks", "", nil},
		{"DELETE", "/snapshots/snap-1/blocks/7", "", nil},
		{"GET", "/snapshots/snap-1/blocks/", "", nil},
		{"GET", "", "", nil},
	} {
		op, labels := c.Route(tt.method, tt.path)
		name := ""
		if op != nil {
			name = op.Name
		}
		if name != tt.want || !maps.Equal(labels, tt.labels) {
			t.Errorf("%s %s: %q %v, want %q %v", tt.method, tt.path, name, labels, tt.want, tt.labels)
		}
	}
}

func TestPutSnapshotBlock(t *testing.T) {
	c, ops := newEBS(t)
	op := ops["PutSnapshotBlock"]
	in := &ebsapi.PutSnapshotBlockRequest{
		SnapshotId: new("snap-0123456789abcdef0"), BlockIndex: new(int32(3)), BlockData: secret.Bytes("\x00block"), DataLength: new(int32(6)),
		Checksum: new("a+/="), ChecksumAlgorithm: new("SHA256"),
	}
	r, err := c.EncodeRequest(op, in)
	if err != nil {
		t.Fatal(err)
	}
	want := restjson.Request{
		Method: "PUT", Path: "/snapshots/snap-0123456789abcdef0/blocks/3", Body: []byte("\x00block"),
		Header: http.Header{
			"Content-Type": {"application/octet-stream"}, "X-Amz-Data-Length": {"6"}, "X-Amz-Checksum": {"a+/="}, "X-Amz-Checksum-Algorithm": {"SHA256"},
		},
	}
	if d := cmp.Diff(want, r); d != "" {
		t.Error(d)
	}
	_, labels := c.Route(r.Method, r.Path)
	got, err := c.DecodeRequest(op, labels, r)
	if err != nil {
		t.Fatal(err)
	}
	clear(r.Body)
	if d := cmp.Diff(in, got); d != "" {
		t.Error("the request changed on the wire:\n", d)
	}
	out, err := c.EncodeResponse(op, &ebsapi.PutSnapshotBlockResponse{Checksum: new("a+/="), ChecksumAlgorithm: new("SHA256")})
	if err != nil {
		t.Fatal(err)
	}
	wantOut := restjson.Response{Status: 201, Body: []byte("{}"), Header: http.Header{
		"Content-Type": {"application/json"}, "X-Amz-Checksum": {"a+/="}, "X-Amz-Checksum-Algorithm": {"SHA256"},
	}}
	if d := cmp.Diff(wantOut, out); d != "" {
		t.Error(d)
	}
}

func TestAnswers(t *testing.T) {
	c, ops := newEBS(t)
	block := secret.Bytes("data")
	for _, tt := range []struct {
		op   string
		out  any
		want restjson.Response
	}{
		{"GetSnapshotBlock", &ebsapi.GetSnapshotBlockResponse{BlockData: block, DataLength: new(int32(4))}, restjson.Response{
			Status: 200, Body: []byte("data"), Header: http.Header{"Content-Type": {"application/octet-stream"}, "X-Amz-Data-Length": {"4"}},
		}},
		{"CompleteSnapshot", &ebsapi.CompleteSnapshotResponse{Status: new("pending")}, restjson.Response{
			Status: 202, Body: []byte(`{"Status":"pending"}`), Header: http.Header{"Content-Type": {"application/json"}},
		}},
		{"StartSnapshot", &ebsapi.StartSnapshotResponse{StartTime: new(time.Unix(1700000000, 5e8)), VolumeSize: new(int64(8))}, restjson.Response{
			Status: 201, Body: []byte(`{"StartTime":1700000000.5,"VolumeSize":8}`), Header: http.Header{"Content-Type": {"application/json"}},
		}},
		{"ListSnapshotBlocks", nil, restjson.Response{Status: 200, Body: []byte(`{}`), Header: http.Header{"Content-Type": {"application/json"}}}},
	} {
		got, err := c.EncodeResponse(ops[tt.op], tt.out)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s: %s", tt.op, d)
		}
	}
	r, err := c.EncodeResponse(ops["GetSnapshotBlock"], &ebsapi.GetSnapshotBlockResponse{BlockData: block})
	if clear(r.Body); err != nil || string(block) != "data" {
		t.Errorf("the body shares memory with the answer: %q, %v", block, err)
	}
}

func TestDecodeErrors(t *testing.T) {
	c, ops := newEBS(t)
	for _, tt := range []struct {
		op     string
		labels map[string]string
		r      restjson.Request
		want   string
	}{
		{"GetSnapshotBlock", map[string]string{"snapshotId": "s", "blockIndex": "x"}, restjson.Request{},
			"SerializationException: STRING_VALUE can not be converted to an Integer"},
		{"ListSnapshotBlocks", map[string]string{"snapshotId": "s"}, restjson.Request{Query: "maxResults=5&maxResults=6"},
			"SerializationException: The query parameter maxResults is there more than once."},
		{"ListSnapshotBlocks", map[string]string{"snapshotId": "s"}, restjson.Request{Query: "maxResults=%zz"},
			"SerializationException: The query string cannot be read."},
		{"CompleteSnapshot", map[string]string{"snapshotId": "s"}, restjson.Request{Header: http.Header{"X-Amz-Changedblockscount": {"9999999999"}}},
			"SerializationException: STRING_VALUE can not be converted to an Integer"},
		{"CompleteSnapshot", map[string]string{"snapshotId": "s"}, restjson.Request{Header: http.Header{"X-Amz-Checksum": {"a", "b"}}},
			"SerializationException: The header x-amz-Checksum is there more than once."},
		{"StartSnapshot", nil, restjson.Request{Body: []byte(`{"VolumeSize":"8"}`)},
			"SerializationException: STRING_VALUE can not be converted to a Long"},
		{"StartSnapshot", nil, restjson.Request{Body: []byte(`[1]`)},
			"SerializationException: Start of list found where not expected"},
	} {
		_, err := c.DecodeRequest(ops[tt.op], tt.labels, tt.r)
		if err == nil || err.Error() != tt.want {
			t.Errorf("%s: got %v\nwant %s", tt.op, err, tt.want)
		}
	}
}

// What is missing outside the body has the member's name, not the header's or label's.
func TestViolations(t *testing.T) {
	c, _ := newEBS(t)
	err := c.Table().Validate(&ebsapi.PutSnapshotBlockRequest{SnapshotId: new("x"), BlockIndex: new(int32(0)), BlockData: []byte{1}, ChecksumAlgorithm: new("SHA256"), Checksum: new("a")})
	const want = "ValidationException: 2 validation errors detected: Value 'x' at 'snapshotId' failed to satisfy constraint: Member must satisfy regular expression pattern: ^snap-[0-9a-f]+$; " +
		"Value null at 'dataLength' failed to satisfy constraint: Member must not be null"
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

func TestErrors(t *testing.T) {
	c, _ := newEBS(t)
	f := c.Table().Fault(apierr.New("AccessDeniedException", "no").With("Reason", "UNAUTHORIZED_ACCOUNT"), "")
	body := c.EncodeError(f, "")
	if want := `{"Message":"no","Reason":"UNAUTHORIZED_ACCOUNT"}`; string(body) != want || f.Status != 403 {
		t.Errorf("%d %s", f.Status, body)
	}
	got := c.DecodeError(f.Status, http.Header{restjson.ErrorType: {"AccessDeniedException:http://internal.amazon.com/x"}}, body)
	want := &apierr.Error{Code: "AccessDeniedException", Message: "no", Status: 403, Details: map[string]any{"Reason": "UNAUTHORIZED_ACCOUNT"}}
	if got.Code != want.Code || got.Message != want.Message || got.Status != want.Status || !cmp.Equal(got.Details, want.Details) {
		t.Errorf("%+v", got)
	}
	for code, status := range map[string]int{
		"ServiceQuotaExceededException": 402, "ResourceNotFoundException": 404, "ThrottlingException": 429, "UnknownOperationException": 404, "Odd": 400,
	} {
		if f := c.Table().Fault(apierr.New(code, ""), ""); f.Status != status {
			t.Errorf("%s: %d, want %d", code, f.Status, status)
		}
	}
	if body := restjson.EncodeError(wire.Fault{Message: "x"}); string(body) != `{"message":"x"}` {
		t.Errorf("%s", body)
	}
}

func TestOtherProtocolsAreRefused(t *testing.T) {
	if _, err := restjson.New(kmsapi.Service()); err == nil {
		t.Error("took a service of awsJson")
	}
}

// FuzzDecode: whatever decodes encodes to something that decodes to the same.
func FuzzDecode(f *testing.F) {
	f.Add("PUT", "/snapshots/snap-1/blocks/2", "", "6", "YWJj", []byte("\x00\x01"))
	f.Add("GET", "/snapshots/snap-1/blocks/2", "blockToken=a%2Bb%3D", "", "", []byte(nil))
	f.Add("GET", "/snapshots/s/changedblocks", "firstSnapshotId=snap-2&maxResults=100", "", "", []byte(nil))
	f.Add("POST", "/snapshots", "", "", "", []byte(`{"VolumeSize":1,"Tags":[{"Key":"a","Value":null},{}],"KmsKeyArn":"k"}`))
	f.Add("POST", "/policy/validation", "maxResults=1&nextToken=", "", "", []byte(`{"policyDocument":"{}","policyType":"IDENTITY_POLICY"}`))
	codecs := []*restjson.Codec{}
	for _, svc := range []*api.Service{ebsapi.Service(), accessanalyzerapi.Service()} {
		c, err := restjson.New(svc)
		if err != nil {
			f.Fatal(err)
		}
		codecs = append(codecs, c)
	}
	f.Fuzz(func(t *testing.T, method, path, query, length, sum string, body []byte) {
		h := http.Header{"X-Amz-Data-Length": {length}, "X-Amz-Checksum": {sum}}
		for _, c := range codecs {
			op, labels := c.Route(method, path)
			if op == nil {
				continue
			}
			in, err := c.DecodeRequest(op, labels, restjson.Request{Query: query, Header: h, Body: slices.Clone(body)})
			if err != nil {
				if apierr.Code(err) != "SerializationException" {
					t.Fatalf("%v", err)
				}
				continue
			}
			_ = c.Table().Validate(in)
			r, err := c.EncodeRequest(op, in)
			if err != nil {
				t.Fatal(err)
			}
			again, labels := c.Route(r.Method, r.Path)
			if again != op {
				t.Fatalf("%s %s is no longer %s", r.Method, r.Path, op.Name)
			}
			back, err := c.DecodeRequest(op, labels, r)
			if err != nil {
				t.Fatalf("%v\n%+v", err, r)
			}
			if d := cmp.Diff(in, back); d != "" {
				t.Fatalf("%s\n%s", d, bytes.TrimSpace(r.Body))
			}
		}
	})
}

package trail_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"

	"github.com/kagimori/kagimori/internal/trail"
)

var epoch = time.Date(2026, 3, 4, 5, 6, 7, 890, time.UTC)

// folder is a log's folder.
type folder struct {
	path string
	root *os.Root
}

func newFolder(t testing.TB) folder {
	t.Helper()
	path := t.TempDir()
	root, err := os.OpenRoot(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return folder{path, root}
}

func (f folder) open(t testing.TB, change func(*trail.Config)) *trail.Trail {
	t.Helper()
	cfg := trail.Config{Dir: f.root, Now: func() time.Time { return epoch }}
	if change != nil {
		change(&cfg)
	}
	tr, err := trail.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tr.Close() }) // a test that closes it itself gets nil here
	return tr
}

func closeTrail(t testing.TB, tr *trail.Trail) {
	t.Helper()
	if err := tr.Close(); err != nil {
		t.Error(err)
	}
}

// files are the names in the folder.
func (f folder) files(t testing.TB) []string {
	t.Helper()
	entries, err := os.ReadDir(f.path)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func (f folder) read(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(f.path, name))
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(name, packed) {
		if data, err = io.ReadAll(s2.NewReader(bytes.NewReader(data))); err != nil {
			t.Fatal(err)
		}
	}
	return data
}

func (f folder) write(t testing.TB, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(f.path, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// lines are the lines of a plain segment.
func (f folder) lines(t testing.TB, n int) [][]byte {
	t.Helper()
	return split(f.read(t, segment(n)))
}

func split(data []byte) [][]byte {
	lines := bytes.SplitAfter(data, []byte("\n"))
	return lines[:len(lines)-1] // after the last newline is nothing
}

// What the name of a segment gets when it is packed, and got in earlier versions.
const (
	packed  = ".s2"
	gzipped = ".gz"
)

func segment(n int) string { return fmt.Sprintf("trail-%08d.jsonl", n) }

// record makes one that tells its number.
func record(i int) *trail.Record {
	return &trail.Record{
		EventVersion: "1.11",
		UserIdentity: trail.UserIdentity{
			Type: "IAMUser", ARN: fmt.Sprintf("arn:aws:iam::111122223333:user/u%d", i%3), AccountID: "111122223333", UserName: "u",
		},
		EventTime: epoch.Add(time.Duration(i) * time.Second), EventSource: "kms.amazonaws.com", EventName: []string{"Encrypt", "Decrypt"}[i%2],
		AWSRegion: "eu-west-1", SourceIPAddress: "192.0.2.1", UserAgent: "<test> & co",
		RequestParameters: json.RawMessage(`{"keyId":"k"}`), RequestID: fmt.Sprintf("request-%d", i), EventID: fmt.Sprintf("event-%d", i),
		ReadOnly: true, Resources: []trail.Resource{{AccountID: "444455556666", Type: "AWS::KMS::Key", ARN: fmt.Sprintf("arn:key/%d", i%5)}},
		EventType: "AwsApiCall", ManagementEvent: true, RecipientAccountID: "111122223333", EventCategory: "Management",
		Kagimori: trail.Extension{Decisions: []json.RawMessage{json.RawMessage(`{"outcome":"allowed"}`)}},
	}
}

func appendRecords(t testing.TB, tr *trail.Trail, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		if err := tr.Append(record(i)); err != nil {
			t.Fatal(err)
		}
	}
}

func verify(t *testing.T, tr *trail.Trail) {
	t.Helper()
	if err := tr.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}

// ids are the request ids of all records, newest first.
func ids(t testing.TB, tr *trail.Trail, f trail.Filter) []string {
	t.Helper()
	recs, err := tr.Find(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, r := range recs {
		out = append(out, strings.TrimPrefix(r.RequestID, "request-"))
	}
	return out
}

func numbers(from, to int) []string { // newest first
	var out []string
	for i := to - 1; i >= from; i-- {
		out = append(out, fmt.Sprint(i))
	}
	return out
}

// waitFor runs until cond holds: segments are packed in the background.
func waitFor(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !cond(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("no %s", what)
		}
	}
}

// waitPacked runs until a full segment is packed and nothing else of it is left.
func (f folder) waitPacked(t *testing.T, n int) {
	t.Helper()
	waitFor(t, fmt.Sprintf("packed segment %d", n), func() bool {
		return slices.Contains(f.files(t), segment(n)+packed) && !slices.Contains(f.files(t), segment(n))
	})
}

// pack packs a segment, as some other tool would or as earlier versions did.
func (f folder) pack(t *testing.T, n int, suffix string, keep bool) {
	t.Helper()
	f.writePacked(t, n, suffix, f.read(t, segment(n)))
	if !keep {
		if err := os.Remove(filepath.Join(f.path, segment(n))); err != nil {
			t.Fatal(err)
		}
	}
}

func (f folder) writePacked(t *testing.T, n int, suffix string, data []byte) {
	t.Helper()
	var b bytes.Buffer
	var z io.WriteCloser = gzip.NewWriter(&b)
	if suffix == packed {
		z = s2.NewWriter(&b)
	}
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	f.write(t, segment(n)+suffix, b.Bytes())
}

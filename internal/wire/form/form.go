// Package form reads and writes the parameters of the query protocols: dotted names such as
// Tags.member.1.Key in a form body or a query string.
package form

import (
	"bytes"
	"net/url"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/apierr"
)

const (
	maxParams = 10_000
	maxDepth  = 24 // segments of a name
)

// A node is one segment of the parameters' names. A name may be a leaf and a parent at once in a
// bad request only.
type node struct {
	value    string
	leaf     bool
	children map[string]*node
}

// malformed is AWS's answer to parameters that do not parse.
func malformed(message string) error { return apierr.New("MalformedQueryString", message) }

// parse reads a body. It refuses bad escapes, empty segments, names given twice, too many
// parameters and too deep names.
func parse(raw []byte) (*node, error) {
	root := &node{}
	count := 0
	for len(raw) > 0 {
		var pair []byte
		pair, raw, _ = bytes.Cut(raw, []byte("&"))
		if len(pair) == 0 {
			continue
		}
		if count++; count > maxParams {
			return nil, malformed("The request has too many parameters.")
		}
		k, v, _ := bytes.Cut(pair, []byte("="))
		name, err := unescape(k)
		if err != nil {
			return nil, malformed("The query string contains a syntax error.")
		}
		value, err := unescape(v)
		if err != nil {
			return nil, malformed("The query string contains a syntax error.")
		}
		if err := root.put(name, value); err != nil {
			return nil, err
		}
	}
	return root, nil
}

func unescape(b []byte) (string, error) {
	if bytes.IndexByte(b, '%') < 0 && bytes.IndexByte(b, '+') < 0 {
		return string(b), nil
	}
	return url.QueryUnescape(string(b))
}

func (n *node) put(name, value string) error {
	rest, more := name, true
	for depth := 0; more; depth++ {
		var segment string
		segment, rest, more = strings.Cut(rest, ".")
		if segment == "" || depth >= maxDepth {
			return malformed("The query string contains a syntax error.")
		}
		child := n.children[segment]
		if child == nil {
			child = &node{}
			if n.children == nil {
				n.children = map[string]*node{}
			}
			n.children[segment] = child
		}
		n = child
	}
	if n.leaf {
		return malformed("The request gives a parameter more than once.")
	}
	n.leaf, n.value = true, value
	return nil
}

// Lookup finds one parameter without reading the others: what a router needs. The first one
// wins; decoding refuses a second.
func Lookup(raw []byte, name string) (string, bool) {
	for len(raw) > 0 {
		var pair []byte
		pair, raw, _ = bytes.Cut(raw, []byte("&"))
		if k, v, _ := bytes.Cut(pair, []byte("=")); string(k) == name {
			s, err := unescape(v)
			return s, err == nil
		}
	}
	return "", false
}

// overhead are the parameters that belong to the protocol or to the signature: also those of Signature Version 2, of
// which the AWS SDK for Ruby version 1 sends Timestamp with Version 4 too.
// Source: EC2 API Reference, "Common query parameters".
var overhead = []string{
	"Action", "Version", "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires",
	"X-Amz-Security-Token", "X-Amz-Signature", "X-Amz-SignedHeaders",
	"AWSAccessKeyId", "Expires", "SecurityToken", "Signature", "SignatureMethod", "SignatureVersion", "Timestamp",
}

// Overhead reports whether a parameter is the protocol's own.
func Overhead(name string) bool { return slices.Contains(overhead, name) }

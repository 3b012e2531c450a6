// Package idiom is how all operations of EC2 are asked and answer: filters, pages, tags, dry runs, ids and the
// evaluations of their decisions. It knows no kind of resource.
package idiom

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// errDryRun is the answer to a request with DryRun that would have been allowed. Source: EC2 API
// Reference, "Error codes" (DryRunOperation).
var errDryRun = apierr.New("DryRunOperation", "Request would have succeeded, but DryRun flag is set.").WithStatus(412)

// DryRun is errDryRun if the parameter asks for it. Call it after the decision.
func DryRun(flag *bool) error {
	if flag != nil && *flag {
		return errDryRun
	}
	return nil
}

// InvalidValue is EC2's answer to a parameter value that makes no sense.
func InvalidValue(format string, args ...any) error {
	return apierr.Newf("InvalidParameterValue", format, args...)
}

// RandomID makes the id of a new resource: the prefix, a dash and 17 hexadecimal digits.
// Source: EC2 User Guide, "Resource IDs".
func RandomID(prefix string) string {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return prefix + "-0" + hex.EncodeToString(b[:])
}

// FixedID makes an id that follows from account and region: that of what is there from the beginning.
func FixedID(prefix, region, account, name string) string {
	sum := sha256.Sum256([]byte("kagimori " + prefix + "\x00" + region + "\x00" + account + "\x00" + name))
	return prefix + "-0" + hex.EncodeToString(sum[:8])
}

// Part is the evaluation of an action on a resource of the caller's account: "volume/vol-1", or
// "*" for actions without resources. tags are those that the resource has. Images and snapshots
// have no account in their ARN.
// Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon EC2".
func Part(c *guard.Call, action, resource string, tags map[string]string) authz.Part {
	p := authz.Part{Action: action, Resource: authz.Resource{ARN: resource, Account: c.Account(), Tags: authz.TagsOf(tags)}}
	p.Context.Set("ec2:region", c.Region)
	if resource == "*" {
		return p
	}
	p.Resource.ARN = ResourceARN(c, resource)
	for key, value := range tags {
		p.Context.Set("ec2:resourcetag/"+key, value)
	}
	return p
}

// ResourceARN is the ARN under which a resource of the caller is decided.
func ResourceARN(c *guard.Call, resource string) string {
	kind, _, _ := strings.Cut(resource, "/")
	if kind == "image" || kind == "snapshot" {
		return arn.EC2(c.Region, "", resource)
	}
	return arn.EC2(c.Region, c.Account(), resource)
}

// Pick keeps the items that a request names, all if it names none. A name without an item is an
// error.
func Pick[T any](items []T, names []string, name func(T) string, missing func(string) error) ([]T, error) {
	if len(names) == 0 {
		return items, nil
	}
	for _, n := range names {
		if !slices.ContainsFunc(items, func(item T) bool { return name(item) == n }) {
			return nil, missing(n)
		}
	}
	return slices.DeleteFunc(items, func(item T) bool { return !slices.Contains(names, name(item)) }), nil
}

// Sift keeps the items that pass the filters, and fills in their tags. id tells an item's id and
// where its tags go.
func Sift[T any](tx store.Tx, c *guard.Call, f Fields[T], in []ec2api.Filter, items []T, id func(*T) (string, *[]ec2api.Tag)) ([]T, error) {
	passes, err := f.Filter(in)
	if err != nil {
		return nil, err
	}
	tags, err := TagsOfAll(tx, c.Region, c.Account())
	if err != nil {
		return nil, err
	}
	var kept []T
	for _, item := range items {
		name, place := id(&item)
		if !passes(item, tags[name]) {
			continue
		}
		*place = Wire(tags[name])
		kept = append(kept, item)
	}
	return kept, nil
}

// A Query is what an operation that lists things asks for.
type Query[T any] struct {
	IDs       []string           // wanted alone; none are all
	Missing   func(string) error // the error for an id that nothing has
	Fields    Fields[T]
	Filters   []ec2api.Filter
	Limits    Limits
	Max       *int32
	Token     *string
	Described func(*T) (id string, tags *[]ec2api.Tag)
}

// Answer picks, filters, tags and pages items, in their order; token is that of the next page, if there is one. An item
// without tags has an empty list of them, as in AWS's examples of answers about parts of VPCs.
func (q Query[T]) Answer(tx store.Tx, c *guard.Call, items []T) (page []T, token *string, err error) {
	id := func(item T) string {
		id, _ := q.Described(&item)
		return id
	}
	if items, err = Pick(items, q.IDs, id, q.Missing); err != nil {
		return nil, nil, err
	}
	if items, err = Sift(tx, c, q.Fields, q.Filters, items, q.Described); err != nil {
		return nil, nil, err
	}
	for i := range items {
		if _, tags := q.Described(&items[i]); *tags == nil {
			*tags = []ec2api.Tag{}
		}
	}
	return Page(c.Operation, items, id, q.Limits, q.Max, q.Token)
}

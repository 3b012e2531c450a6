package idiom

import (
	"slices"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// A Ref is a resource that a request is about.
type Ref struct {
	Kind, ID string
	tell     func(*authz.Part)
}

// On is a Ref.
func On(kind, id string) Ref { return Ref{Kind: kind, ID: id} }

// Telling is the Ref with what the decision is told besides: what the request changes of the resource.
func (r Ref) Telling(tell func(*authz.Part)) Ref {
	r.tell = tell
	return r
}

// Some leaves out what a request does not name.
func Some(refs ...Ref) []Ref {
	return slices.DeleteFunc(refs, func(r Ref) bool { return r.ID == "" })
}

// Made is what a request makes: a resource of a kind, with tags; without an id, several. Describe says more of it, and
// Needs are what else the request is decided on.
type Made struct {
	Kind, ID string
	Tags     []Tag
	Describe func(*authz.Part)
	Needs    []authz.Part
}

// A Desk decides requests about the resources of a package.
type Desk struct {
	Guard *guard.Guard
	// Describe puts the condition keys of a resource into a part; it fails if there is none with the id.
	Describe func(tx store.Tx, c *guard.Call, kind, id string, p *authz.Part) error
	// Kinds are the package's own kinds, with CloudFormation's names of them ("": it has none).
	Kinds map[string]string
}

// Allow decides the call's action on all that the request makes and is about, and on tagging what it makes. Who may
// learns what is missing.
func (d Desk) Allow(tx store.Tx, c *guard.Call, dry *bool, new *Made, refs ...Ref) error {
	missing, err := d.Decide(tx, c, new, refs...)
	if err != nil {
		return err
	}
	for _, err := range missing {
		if err != nil {
			return err
		}
	}
	return DryRun(dry)
}

// Decide is Allow for requests that succeed for some resources and fail for others: missing has an error for each
// that does not exist.
func (d Desk) Decide(tx store.Tx, c *guard.Call, new *Made, refs ...Ref) (missing []error, err error) {
	action := "ec2:" + c.Operation
	var parts []authz.Part
	if new != nil {
		p := Part(c, action, new.Kind+"/*", nil)
		AddRequestTags(&p, new.Tags)
		if new.Describe != nil {
			new.Describe(&p)
		}
		parts = append(append(parts, p), new.Needs...)
		if new.ID != "" {
			c.Touch(arn.EC2(c.Region, c.Account(), new.Kind+"/"+new.ID), c.Account(), d.Kinds[new.Kind])
		}
	}
	missing = make([]error, len(refs))
	for n, r := range refs {
		tags, err := TagsOf(tx, c.Region, c.Account(), r.ID)
		if err != nil {
			return nil, err
		}
		p := Part(c, action, r.Kind+"/"+r.ID, tags)
		if r.ID != "*" {
			missing[n] = d.Describe(tx, c, r.Kind, r.ID, &p)
		}
		if missing[n] != nil && apierr.Code(missing[n]) == "" {
			return nil, missing[n]
		}
		if r.tell != nil {
			r.tell(&p)
		}
		parts = append(parts, p)
		if kind, own := d.Kinds[r.Kind]; own && new == nil {
			c.Touch(p.Resource.ARN, c.Account(), kind)
		}
	}
	if new != nil && len(new.Tags) > 0 {
		parts = append(parts, CreateTagsPart(c, new.Kind+"/*", new.Tags, c.Operation))
	}
	_, err = d.Guard.Authorize(tx, c, guard.Check{Parts: parts})
	return missing, err
}

// List decides the call's action without a resource.
func (d Desk) List(tx store.Tx, c *guard.Call, dry *bool) error {
	if _, err := d.Guard.Allow(tx, c, Part(c, "ec2:"+c.Operation, "*", nil)); err != nil {
		return err
	}
	return DryRun(dry)
}

package tfplan

import (
	"maps"
	"slices"
)

// A Resource is one that a file of another kind than Terraform's describes, in the words of
// Terraform's AWS provider: its type, and the attributes that are read (see attributes).
type Resource struct {
	Address, Type   string
	Account, Region string
	// Values are the attributes: text, truth, numbers (float64), lists and blocks. [Unknown] is in the
	// place of what is not known. Files of other kinds have ARNs and ids here, also those that only
	// stand for something.
	Values map[string]any
	// Paths are what attributes are called in the file: "launch_template[0].id" and the like.
	Paths map[string]string
	// Name is what the ARN that stands for the resource is called; "" if it is the real one.
	Name string
	// Assumed is what was taken for granted of a resource that launches something.
	Assumed []string
	// AccountName is what the number is called that stands for an account that is not known.
	AccountName string
	// RegionName is what a region is called that stands for one that is not known.
	RegionName string
}

// Unknown says why a value is not known.
type Unknown string

// Words are what texts call the file and who uses it.
type Words struct {
	Story   string // of a scenario: "From a Terraform plan."
	Tag     string // of a scenario: "terraform"
	File    string // "the plan"
	Applies string // "applies the plan"
	Applier string // name of the role that stands for whoever does
}

var terraformWords = Words{Story: "From a Terraform plan.", Tag: "terraform", File: "the plan", Applies: "applies the plan", Applier: "terraform"}

// FromResources makes scenarios of new resources. What is unknown of them stays so: there are no
// expressions to follow.
func FromResources(rs []Resource, w Words, opt Options) *Plan {
	m := newModel(opt)
	m.words = w
	for _, in := range rs {
		r := &resource{addr: in.Address, mode: "managed", typ: in.Type, action: actionCreate, given: true, paths: in.Paths, standsFor: in.Name, assumed: in.Assumed}
		r.home = &home{account: in.Account, region: in.Region, accountName: in.AccountName, regionName: in.RegionName}
		r.values, r.unknown = map[string]any{}, map[string]any{}
		for _, name := range slices.Sorted(maps.Keys(in.Values)) {
			v, mark := split(in.Values[name])
			if v != nil {
				r.values[name] = v
			}
			if mark != nil {
				r.unknown[name] = mark
			}
		}
		m.byAddress[r.addr] = r
		m.resources = append(m.resources, r)
	}
	return m.plan()
}

// split parts a value into what is known and the marks of what is not.
func split(v any) (known, marks any) {
	switch v := v.(type) {
	case Unknown:
		return nil, mark(v)
	case []any:
		values, unknown := make([]any, len(v)), make([]any, len(v))
		any := false
		for i := range v {
			values[i], unknown[i] = split(v[i])
			any = any || unknown[i] != nil
		}
		if any {
			return values, unknown
		}
		return values, nil
	case map[string]any:
		values, unknown := map[string]any{}, map[string]any{}
		for name := range v {
			value, m := split(v[name])
			if value != nil {
				values[name] = value
			}
			if m != nil {
				unknown[name] = m
			}
		}
		if len(unknown) > 0 {
			return values, unknown
		}
		return values, nil
	}
	return v, nil
}

// A mark is in the place of a value that is not known: why, where the file tells.
type mark string

// NewKeyID is the id that stands for a key that does not exist yet.
func NewKeyID(address string, multiRegion bool) string {
	if multiRegion {
		return "mrk-" + digest(address)
	}
	return keyUUID(address)
}

// NewID is the id that stands for something of EC2 that does not exist yet.
func NewID(prefix, address string) string { return newID(prefix, address) }

// LinkedName is the name of a service-linked role.
func LinkedName(service, suffix string) string { return linkedName(service, suffix) }

// A PublicImage is in the place of the id of an image that is public, and so not encrypted: it says
// which.
type PublicImage string

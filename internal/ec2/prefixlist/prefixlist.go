// Package prefixlist is managed prefix lists: ranges of addresses under one name, which rules of security groups and routes
// refer to. Customers make their own, in versions; AWS has those of the services that gateway endpoints lead to.
package prefixlist

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

const kind = "prefix-list"

// A Service is this part of EC2. Safe for concurrent use.
type Service struct {
	g    *guard.Guard
	uses Uses
	desk idiom.Desk
}

// Uses are the ids of the caller's resources that refer to a list.
type Uses func(tx store.Tx, c *guard.Call, id string) ([]string, error)

// New makes a Service. describe is package ec2's [idiom.Desk.Describe].
func New(g *guard.Guard, uses Uses, describe func(tx store.Tx, c *guard.Call, kind, id string, p *authz.Part) error) *Service {
	return &Service{g, uses, idiom.Desk{Guard: g, Describe: describe, Kinds: map[string]string{kind: "AWS::EC2::PrefixList"}}}
}

// Operations are the handlers.
func (s *Service) Operations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"CreateManagedPrefixList":          guard.Handle(s.CreateManagedPrefixList),
		"ModifyManagedPrefixList":          guard.Handle(s.ModifyManagedPrefixList),
		"RestoreManagedPrefixListVersion":  guard.Handle(s.RestoreManagedPrefixListVersion),
		"DeleteManagedPrefixList":          guard.Handle(s.DeleteManagedPrefixList),
		"DescribeManagedPrefixLists":       guard.Handle(s.DescribeManagedPrefixLists),
		"GetManagedPrefixListEntries":      guard.Handle(s.GetManagedPrefixListEntries),
		"GetManagedPrefixListAssociations": guard.Handle(s.GetManagedPrefixListAssociations),
	}
}

// A List is a prefix list.
type List struct {
	Region  string  `json:"region"`
	Account string  `json:"account"` // "AWS" of AWS's own, which are not stored
	ID      string  `json:"id"`
	Name    string  `json:"name"`
	Six     bool    `json:"six,omitempty"` // of IPv6 addresses
	Max     int32   `json:"max"`
	Version int64   `json:"version"`
	State   string  `json:"state"`
	entries []Entry // of AWS's own
}

// An Entry is a range of a list.
type Entry struct {
	CIDR        string `json:"cidr"`
	Description string `json:"description,omitempty"`
}

// lists are keyed by (region, account, id), versions, which are the entries, by these and the number.
var (
	lists    = store.Table[List]{Bucket: "ec2/prefix-list", Version: 1}
	versions = store.Table[[]Entry]{Bucket: "ec2/prefix-list-version", Version: 1}
)

// kept is how many versions of a list are.
const kept = 10

func (l *List) version(n int64) []string {
	return []string{l.Region, l.Account, l.ID, fmt.Sprintf("%012d", n)}
}

func (l *List) put(tx store.Tx) error { return lists.Put(tx, *l, l.Region, l.Account, l.ID) }

// Managed reports whether it is one of AWS's.
func (l *List) Managed() bool { return l.Account == aws }

const aws = "AWS"

// Services are those that AWS has lists of, by the last part of their names, with addresses for documentation, which no host
// of the internet has. Sources: VPC User Guide, "AWS-managed prefix lists"; RFC 5737.
var services = map[string][]string{"s3": {"198.51.100.0/25", "203.0.113.0/25"}, "dynamodb": {"198.51.100.128/25"}}

// OfService is the list of a gateway service's addresses.
func OfService(region, label string) List {
	name := "com.amazonaws." + region + "." + label
	id := idiom.FixedID("pl", region, "", name)
	l := List{Region: region, Account: aws, ID: "pl-" + id[len(id)-8:], Name: name, State: "create-complete"}
	for _, cidr := range services[label] {
		l.entries = append(l.entries, Entry{CIDR: cidr})
	}
	return l
}

// CIDRs are the ranges of one of AWS's lists.
func (l *List) CIDRs() (out []string) {
	for _, e := range l.entries {
		out = append(out, e.CIDR)
	}
	return out
}

// all are the lists that the caller sees.
func all(tx store.Tx, c *guard.Call) ([]List, error) {
	out := []List{OfService(c.Region, "dynamodb"), OfService(c.Region, "s3")}
	for rec, err := range lists.Scan(tx, c.Region, c.Account()) {
		if err != nil {
			return nil, err
		}
		out = append(out, rec.Value)
	}
	return out, nil
}

func errMissing(id string) error {
	return apierr.Newf("InvalidPrefixListID.NotFound", "The prefix list ID '%s' does not exist", id)
}

// Find is the list with an id: the caller's or AWS's.
func Find(tx store.Tx, c *guard.Call, id string) (List, error) {
	have, err := all(tx, c)
	if err != nil {
		return List{}, err
	}
	at := slices.IndexFunc(have, func(l List) bool { return l.ID == id })
	if at < 0 {
		return List{}, errMissing(id)
	}
	return have[at], nil
}

// Describe finds a list for a decision; ok is false for other kinds.
func Describe(tx store.Tx, c *guard.Call, of, id string) (ok bool, err error) {
	if of != kind {
		return false, nil
	}
	_, err = Find(tx, c, id)
	return true, err
}

// at are the entries of a version; 0 is the current one.
func (l *List) at(tx store.Tx, number int64) ([]Entry, error) {
	if l.Managed() {
		return l.entries, nil
	}
	number = cmp.Or(number, l.Version)
	out, ok, err := versions.Get(tx, l.version(number)...)
	if err == nil && !ok {
		err = idiom.InvalidValue("The prefix list '%s' has no version %d.", l.ID, number)
	}
	return out, err
}

func (l *List) wire(tags []ec2api.Tag) ec2api.ManagedPrefixList {
	w := ec2api.ManagedPrefixList{
		PrefixListId: &l.ID, PrefixListName: &l.Name, PrefixListArn: new(arn.EC2(l.Region, l.Account, "prefix-list/"+l.ID)), OwnerId: &l.Account,
		AddressFamily: new(l.family()), State: &l.State, Tags: tags,
	}
	if l.Managed() {
		w.PrefixListArn = new(arn.EC2(l.Region, "aws", "prefix-list/"+l.ID))
		return w
	}
	w.MaxEntries, w.Version = &l.Max, &l.Version
	return w
}

func (l *List) family() string {
	if l.Six {
		return "IPv6"
	}
	return "IPv4"
}

// entry reads a range for the list.
func (l *List) entry(text, about string) (Entry, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil || p.Addr().Is4() == l.Six {
		return Entry{}, idiom.InvalidValue("Value (%s) for parameter Cidr is invalid. This is not a valid CIDR block of the address family %s.", text, l.family())
	}
	if len(about) > 255 {
		return Entry{}, idiom.InvalidValue("The description of %s has more than 255 characters.", text)
	}
	return Entry{p.Masked().String(), about}, nil
}

package vpc

import (
	"context"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// maxACLs is how many network ACLs a VPC has. Source: VPC User Guide, "Amazon VPC quotas".
const maxACLs = 200

// An aclRecord is a network ACL. The default one of a VPC is not stored until it is changed: it has the subnets that
// no other has.
type aclRecord struct {
	own
	VPC     string     `json:"vpc"`
	Default bool       `json:"default,omitempty"`
	Entries []aclEntry `json:"entries,omitempty"` // but the last ones, which deny all
	Joins   []join     `json:"joins,omitempty"`
	six     bool       // the VPC has a range of IPv6
}

// aclTable is keyed by (region, account, id).
var aclTable = store.Table[aclRecord]{Bucket: "ec2/network-acl", Version: 1}

func (s *Service) aclOperations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"CreateNetworkAcl":             guard.Handle(s.CreateNetworkAcl),
		"DeleteNetworkAcl":             guard.HandleVoid(s.DeleteNetworkAcl),
		"DescribeNetworkAcls":          guard.Handle(s.DescribeNetworkAcls),
		"CreateNetworkAclEntry":        guard.HandleVoid(s.CreateNetworkAclEntry),
		"ReplaceNetworkAclEntry":       guard.HandleVoid(s.ReplaceNetworkAclEntry),
		"DeleteNetworkAclEntry":        guard.HandleVoid(s.DeleteNetworkAclEntry),
		"ReplaceNetworkAclAssociation": guard.Handle(s.ReplaceNetworkAclAssociation),
	}
}

var errACL = notFound("InvalidNetworkAclID.NotFound", "networkAcl")

// acls are the caller's network ACLs, with all subnets. The default one of a VPC lets everything pass.
// Source: VPC User Guide, "Default network ACL for a VPC".
func (s *Service) acls(tx store.Tx, c *guard.Call) ([]aclRecord, error) {
	vpcs, err := s.nets.VPCs(tx, c)
	if err != nil {
		return nil, err
	}
	var first []aclRecord
	six := map[string]bool{}
	for _, v := range vpcs {
		first = append(first, aclRecord{
			own: own{Region: c.Region, Account: c.Account(), ID: v.first(c, "acl")}, VPC: v.ID, Default: true, Entries: firstEntries(v.hasSix()),
		})
		six[v.ID] = v.hasSix()
	}
	acls, err := all(tx, c, aclTable, first)
	if err != nil {
		return nil, err
	}
	for i := range acls {
		acls[i].six = six[acls[i].VPC]
	}
	subnets, err := s.nets.Subnets(tx, c)
	if err != nil {
		return nil, err
	}
	for _, n := range subnets {
		taken := slices.ContainsFunc(acls, func(a aclRecord) bool {
			return slices.ContainsFunc(a.Joins, func(j join) bool { return j.Subnet == n.ID })
		})
		at := slices.IndexFunc(acls, func(a aclRecord) bool { return a.Default && a.VPC == n.VPC })
		if !taken && at >= 0 {
			acls[at].Joins = append(slices.Clone(acls[at].Joins), join{ID: idiom.FixedID("aclassoc", c.Region, c.Account(), n.ID), Subnet: n.ID})
		}
	}
	return acls, nil
}

func (a *aclRecord) wire() ec2api.NetworkAcl {
	w := ec2api.NetworkAcl{
		NetworkAclId: &a.ID, VpcId: &a.VPC, OwnerId: &a.Account, IsDefault: &a.Default, Entries: wireEntries(a.Entries, a.six), Associations: []ec2api.NetworkAclAssociation{},
	}
	for _, j := range a.Joins {
		w.Associations = append(w.Associations, ec2api.NetworkAclAssociation{NetworkAclAssociationId: new(j.ID), NetworkAclId: &a.ID, SubnetId: new(j.Subnet)})
	}
	return w
}

// aclFields are the filters of DescribeNetworkAcls. Source: EC2 API Reference, DescribeNetworkAcls, Filters.
func aclFields() idiom.Fields[ec2api.NetworkAcl] {
	type acl = ec2api.NetworkAcl
	joins := func(get func(ec2api.NetworkAclAssociation) *string) func(acl) []string {
		return func(a acl) []string { return idiom.Each(a.Associations, get) }
	}
	entries := func(get func(*ec2api.NetworkAclEntry) []string) func(acl) []string {
		return func(a acl) (out []string) {
			for i := range a.Entries {
				out = append(out, get(&a.Entries[i])...)
			}
			return out
		}
	}
	number := func(v *int32) []string {
		if v == nil {
			return nil
		}
		return idiom.Int(*v)
	}
	return idiom.Fields[acl]{
		"network-acl-id":             func(a acl) []string { return idiom.One(*a.NetworkAclId) },
		"vpc-id":                     func(a acl) []string { return idiom.One(*a.VpcId) },
		"owner-id":                   func(a acl) []string { return idiom.One(*a.OwnerId) },
		"default":                    func(a acl) []string { return idiom.Bool(*a.IsDefault) },
		"association.network-acl-id": joins(func(j ec2api.NetworkAclAssociation) *string { return j.NetworkAclId }),
		"association.subnet-id":      joins(func(j ec2api.NetworkAclAssociation) *string { return j.SubnetId }),
		"association.association-id": joins(func(j ec2api.NetworkAclAssociation) *string { return j.NetworkAclAssociationId }),
		"entry.cidr":                 entries(func(e *ec2api.NetworkAclEntry) []string { return idiom.One(api.Val(e.CidrBlock)) }),
		"entry.ipv6-cidr":            entries(func(e *ec2api.NetworkAclEntry) []string { return idiom.One(api.Val(e.Ipv6CidrBlock)) }),
		"entry.egress":               entries(func(e *ec2api.NetworkAclEntry) []string { return idiom.Bool(*e.Egress) }),
		"entry.protocol":             entries(func(e *ec2api.NetworkAclEntry) []string { return idiom.One(*e.Protocol) }),
		"entry.rule-action":          entries(func(e *ec2api.NetworkAclEntry) []string { return idiom.One(*e.RuleAction) }),
		"entry.rule-number":          entries(func(e *ec2api.NetworkAclEntry) []string { return idiom.Int(*e.RuleNumber) }),
		"entry.icmp.code":            entries(func(e *ec2api.NetworkAclEntry) []string { return number(icmp(e).Code) }),
		"entry.icmp.type":            entries(func(e *ec2api.NetworkAclEntry) []string { return number(icmp(e).Type) }),
		"entry.port-range.from":      entries(func(e *ec2api.NetworkAclEntry) []string { return number(ports(e).From) }),
		"entry.port-range.to":        entries(func(e *ec2api.NetworkAclEntry) []string { return number(ports(e).To) }),
	}
}

func icmp(e *ec2api.NetworkAclEntry) ec2api.IcmpTypeCode {
	if e.IcmpTypeCode == nil {
		return ec2api.IcmpTypeCode{}
	}
	return *e.IcmpTypeCode
}

func ports(e *ec2api.NetworkAclEntry) ec2api.PortRange {
	if e.PortRange == nil {
		return ec2api.PortRange{}
	}
	return *e.PortRange
}

// DescribeNetworkAcls lists the caller's network ACLs.
func (s *Service) DescribeNetworkAcls(ctx context.Context, c *guard.Call, in *ec2api.DescribeNetworkAclsRequest) (*ec2api.DescribeNetworkAclsResult, error) {
	out := new(ec2api.DescribeNetworkAclsResult)
	return out, s.g.View(ctx, c, func(tx store.Tx) error {
		if err := s.desk.List(tx, c, in.DryRun); err != nil {
			return err
		}
		acls, err := s.acls(tx, c)
		if err != nil {
			return err
		}
		var items []ec2api.NetworkAcl
		for i := range acls {
			items = append(items, acls[i].wire())
		}
		out.NetworkAcls, out.NextToken, err = idiom.Query[ec2api.NetworkAcl]{
			IDs: in.NetworkAclIds, Missing: errACL, Fields: aclFields(), Filters: in.Filters, Limits: idiom.AnyPage, Max: in.MaxResults, Token: in.NextToken,
			Described: func(a *ec2api.NetworkAcl) (string, *[]ec2api.Tag) { return *a.NetworkAclId, &a.Tags },
		}.Answer(tx, c, items)
		for i := range out.NetworkAcls {
			out.NetworkAcls[i].Tags = append([]ec2api.Tag{}, out.NetworkAcls[i].Tags...)
		}
		return err
	})
}

// CreateNetworkAcl makes a network ACL that lets nothing pass. Source: EC2 API Reference, CreateNetworkAcl.
func (s *Service) CreateNetworkAcl(ctx context.Context, c *guard.Call, in *ec2api.CreateNetworkAclRequest) (*ec2api.CreateNetworkAclResult, error) {
	specs, err := idiom.TagSpecs(c, in.TagSpecifications, "network-acl")
	if err != nil {
		return nil, err
	}
	fresh, tags := aclRecord{own: newOwn(c, "acl"), VPC: *in.VpcId}, specs["network-acl"]
	token := idiom.NewToken(api.Val(in.ClientToken), idiom.Fingerprint(in.VpcId, in.TagSpecifications))
	out := new(ec2api.CreateNetworkAclResult)
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		a := fresh
		if err := s.desk.Allow(tx, c, in.DryRun, &idiom.Made{Kind: "network-acl", ID: a.ID, Tags: tags}, idiom.On("vpc", a.VPC)); err != nil {
			return err
		}
		have, err := s.acls(tx, c)
		if err != nil {
			return err
		}
		known, was, made, err := before(tx, c, token, have, errACL)
		if err != nil {
			return err
		}
		if made {
			out.NetworkAcl, out.ClientToken = new(known.wire()), in.ClientToken
			out.NetworkAcl.Tags = was
			return nil
		}
		if count(have, func(o *aclRecord) bool { return o.VPC == a.VPC }) >= maxACLs {
			return apierr.New("NetworkAclLimitExceeded", "The maximum number of network ACLs has been reached.")
		}
		v, err := s.vpc(tx, c, a.VPC)
		if err != nil {
			return err
		}
		a.six = v.hasSix()
		out.NetworkAcl, out.ClientToken = new(a.wire()), in.ClientToken
		out.NetworkAcl.Tags = idiom.MadeWith(tags)
		return keep(tx, c, token, s.g.Now(), aclTable, a, tags)
	})
}

// theACL decides the call's action on a network ACL and finds it.
func (s *Service) theACL(tx store.Tx, c *guard.Call, dry *bool, id string) (aclRecord, error) {
	if err := s.desk.Allow(tx, c, dry, nil, idiom.On("network-acl", id)); err != nil {
		return aclRecord{}, err
	}
	have, err := s.acls(tx, c)
	if err != nil {
		return aclRecord{}, err
	}
	return find(have, id, errACL)
}

// DeleteNetworkAcl deletes a network ACL that no subnet has; the default one stays.
func (s *Service) DeleteNetworkAcl(ctx context.Context, c *guard.Call, in *ec2api.DeleteNetworkAclRequest) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		a, err := s.theACL(tx, c, in.DryRun, *in.NetworkAclId)
		switch {
		case err != nil:
			return err
		case a.Default:
			return idiom.InvalidValue("cannot delete default network ACL %s", a.ID)
		case len(a.Joins) > 0:
			return errInUse("networkAcl", a.ID)
		}
		return drop(tx, c, aclTable, a, a.ID, nil)
	})
}

// ReplaceNetworkAclAssociation gives a subnet another network ACL. The association has another id then.
// Source: EC2 API Reference, ReplaceNetworkAclAssociation.
func (s *Service) ReplaceNetworkAclAssociation(ctx context.Context, c *guard.Call, in *ec2api.ReplaceNetworkAclAssociationRequest) (*ec2api.ReplaceNetworkAclAssociationResult, error) {
	fresh := idiom.RandomID("aclassoc")
	out := &ec2api.ReplaceNetworkAclAssociationResult{NewAssociationId: &fresh}
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		have, err := s.acls(tx, c)
		if err != nil {
			return err
		}
		at, from := -1, 0
		for i := range have {
			if n := slices.IndexFunc(have[i].Joins, func(j join) bool { return j.ID == *in.AssociationId }); n >= 0 {
				from, at = i, n
			}
		}
		refs := []idiom.Ref{idiom.On("network-acl", *in.NetworkAclId)}
		if at >= 0 {
			refs = append(refs, idiom.On("subnet", have[from].Joins[at].Subnet))
		}
		if err := s.desk.Allow(tx, c, in.DryRun, nil, refs...); err != nil {
			return err
		}
		if at < 0 {
			return notFound("InvalidAssociationID.NotFound", "association")(*in.AssociationId)
		}
		to := slices.IndexFunc(have, func(a aclRecord) bool { return a.ID == *in.NetworkAclId })
		if to < 0 {
			return errACL(*in.NetworkAclId)
		}
		if have[to].VPC != have[from].VPC {
			return idiom.InvalidValue("Network ACL %s and subnet %s belong to different networks", have[to].ID, have[from].Joins[at].Subnet)
		}
		j := join{ID: fresh, Subnet: have[from].Joins[at].Subnet}
		have[from].Joins = slices.Delete(slices.Clone(have[from].Joins), at, at+1)
		have[to].Joins = append(slices.Clone(have[to].Joins), j)
		if err := put(tx, aclTable, have[from]); err != nil {
			return err
		}
		return put(tx, aclTable, have[to])
	})
}

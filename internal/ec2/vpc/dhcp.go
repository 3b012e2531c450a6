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

// maxDHCP is how many sets of DHCP options an account has in a region.
// Source: VPC User Guide, "Amazon VPC quotas".
const maxDHCP = 50

// A dhcpRecord is a set of DHCP options.
type dhcpRecord struct {
	own
	Options []dhcpOption `json:"options"`
}

type dhcpOption struct {
	Key    string   `json:"key"`
	Values []string `json:"values"`
}

// dhcpTable is keyed by (region, account, id).
var dhcpTable = store.Table[dhcpRecord]{Bucket: "ec2/dhcp-options", Version: 1}

func (s *Service) dhcpOperations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"CreateDhcpOptions":    guard.Handle(s.CreateDhcpOptions),
		"DeleteDhcpOptions":    guard.HandleVoid(s.DeleteDhcpOptions),
		"AssociateDhcpOptions": guard.HandleVoid(s.AssociateDhcpOptions),
		"DescribeDhcpOptions":  guard.Handle(s.DescribeDhcpOptions),
	}
}

var errDHCP = notFound("InvalidDhcpOptionID.NotFound", "dhcpOption")

// noDHCP is the error of an operation about DHCP options that do not exist: that of DeleteDhcpOptions is another than the rest's.
// Seen in hashicorp/terraform-provider-aws pull request 36933.
func noDHCP(operation string) func(id string) error {
	if operation == "DeleteDhcpOptions" {
		return notFound("InvalidDhcpOptionsID.NotFound", "dhcpOptions")
	}
	return errDHCP
}

// dhcps are the caller's sets of DHCP options; one is there from the beginning, which VPCs have.
// Source: VPC User Guide, "DHCP option sets", default option set.
func (s *Service) dhcps(tx store.Tx, c *guard.Call) ([]dhcpRecord, error) {
	domain := c.Region + ".compute.internal"
	if c.Region == "us-east-1" {
		domain = "ec2.internal"
	}
	first := dhcpRecord{own{Region: c.Region, Account: c.Account(), ID: idiom.FixedID("dopt", c.Region, c.Account(), "")}, []dhcpOption{
		{"domain-name", []string{domain}}, {"domain-name-servers", []string{"AmazonProvidedDNS"}},
	}}
	return all(tx, c, dhcpTable, []dhcpRecord{first})
}

func (d dhcpRecord) wire() ec2api.DhcpOptions {
	w := ec2api.DhcpOptions{DhcpOptionsId: &d.ID, OwnerId: &d.Account}
	for _, o := range d.Options {
		one := ec2api.DhcpConfiguration{Key: new(o.Key)}
		for _, v := range o.Values {
			one.Values = append(one.Values, ec2api.AttributeValue{Value: new(v)})
		}
		w.DhcpConfigurations = append(w.DhcpConfigurations, one)
	}
	return w
}

var dhcpFields = idiom.Fields[ec2api.DhcpOptions]{
	"dhcp-options-id": func(d ec2api.DhcpOptions) []string { return idiom.One(*d.DhcpOptionsId) },
	"owner-id":        func(d ec2api.DhcpOptions) []string { return idiom.One(*d.OwnerId) },
	"key": func(d ec2api.DhcpOptions) []string {
		return idiom.Each(d.DhcpConfigurations, func(o ec2api.DhcpConfiguration) *string { return o.Key })
	},
	"value": func(d ec2api.DhcpOptions) (out []string) {
		for _, o := range d.DhcpConfigurations {
			out = append(out, idiom.Each(o.Values, func(v ec2api.AttributeValue) *string { return v.Value })...)
		}
		return out
	},
}

// DescribeDhcpOptions lists the caller's sets of DHCP options.
func (s *Service) DescribeDhcpOptions(ctx context.Context, c *guard.Call, in *ec2api.DescribeDhcpOptionsRequest) (*ec2api.DescribeDhcpOptionsResult, error) {
	out := new(ec2api.DescribeDhcpOptionsResult)
	return out, s.g.View(ctx, c, func(tx store.Tx) error {
		if err := s.desk.List(tx, c, in.DryRun); err != nil {
			return err
		}
		have, err := s.dhcps(tx, c)
		if err != nil {
			return err
		}
		var items []ec2api.DhcpOptions
		for _, d := range have {
			items = append(items, d.wire())
		}
		out.DhcpOptions, out.NextToken, err = idiom.Query[ec2api.DhcpOptions]{
			IDs: in.DhcpOptionsIds, Missing: errDHCP, Fields: dhcpFields, Filters: in.Filters, Limits: idiom.AnyPage, Max: in.MaxResults, Token: in.NextToken,
			Described: func(d *ec2api.DhcpOptions) (string, *[]ec2api.Tag) { return *d.DhcpOptionsId, &d.Tags },
		}.Answer(tx, c, items)
		return err
	})
}

// dhcpKeys are the options, with how many values each may have. Source: EC2 API Reference, CreateDhcpOptions.
var dhcpKeys = map[string]int{
	"domain-name": 4, "domain-name-servers": 4, "ntp-servers": 8, "netbios-name-servers": 4, "netbios-node-type": 1, "ipv6-address-preferred-lease-time": 1,
}

// CreateDhcpOptions makes a set of DHCP options. Source: EC2 API Reference, CreateDhcpOptions.
func (s *Service) CreateDhcpOptions(ctx context.Context, c *guard.Call, in *ec2api.CreateDhcpOptionsRequest) (*ec2api.CreateDhcpOptionsResult, error) {
	specs, err := idiom.TagSpecs(c, in.TagSpecifications, "dhcp-options")
	if err != nil {
		return nil, err
	}
	d, tags := dhcpRecord{own: newOwn(c, "dopt")}, specs["dhcp-options"]
	if len(in.DhcpConfigurations) == 0 {
		return nil, apierr.New("MissingParameter", "The request must contain the parameter dhcpConfiguration")
	}
	for _, o := range in.DhcpConfigurations {
		key := api.Val(o.Key)
		most, ok := dhcpKeys[key]
		switch {
		case !ok:
			return nil, idiom.InvalidValue("Value (%s) for parameter key is invalid. Unknown DHCP option.", key)
		case len(o.Values) == 0 || len(o.Values) > most || slices.Contains(o.Values, ""):
			return nil, idiom.InvalidValue("The DHCP option '%s' has 1 to %d values.", key, most)
		case key == "netbios-node-type" && !slices.Contains([]string{"1", "2", "4", "8"}, o.Values[0]):
			return nil, idiom.InvalidValue("Value (%s) for parameter netbios-node-type is invalid. Valid values: 1, 2, 4, 8.", o.Values[0])
		case slices.ContainsFunc(d.Options, func(h dhcpOption) bool { return h.Key == key }):
			return nil, idiom.InvalidValue("Duplicate DHCP option '%s' specified.", key)
		}
		d.Options = append(d.Options, dhcpOption{key, o.Values})
	}
	out := new(ec2api.CreateDhcpOptionsResult)
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		if err := s.desk.Allow(tx, c, in.DryRun, &idiom.Made{Kind: "dhcp-options", ID: d.ID, Tags: tags}); err != nil {
			return err
		}
		have, err := s.dhcps(tx, c)
		if err != nil {
			return err
		}
		if len(have) >= maxDHCP {
			return apierr.New("DhcpOptionsLimitExceeded", "The maximum number of DHCP options has been reached.")
		}
		out.DhcpOptions = new(d.wire())
		out.DhcpOptions.Tags = idiom.MadeWith(tags)
		if err := idiom.PutTags(tx, c.Region, c.Account(), d.ID, tags); err != nil {
			return err
		}
		return put(tx, dhcpTable, d)
	})
}

// DeleteDhcpOptions deletes a set of DHCP options that no VPC has.
func (s *Service) DeleteDhcpOptions(ctx context.Context, c *guard.Call, in *ec2api.DeleteDhcpOptionsRequest) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		id := *in.DhcpOptionsId
		if err := s.desk.Allow(tx, c, in.DryRun, nil, idiom.On("dhcp-options", id)); err != nil {
			return err
		}
		have, err := s.dhcps(tx, c)
		if err != nil {
			return err
		}
		d, err := find(have, id, noDHCP(c.Operation))
		if err != nil {
			return err
		}
		used, err := s.nets.DHCP(tx, c, id)
		if err != nil {
			return err
		}
		if used {
			return errInUse("dhcpOptions", id)
		}
		var mark func(*dhcpRecord)
		if id == idiom.FixedID("dopt", c.Region, c.Account(), "") {
			mark = func(d *dhcpRecord) { d.Gone = true }
		}
		return drop(tx, c, dhcpTable, d, id, mark)
	})
}

// AssociateDhcpOptions gives a VPC a set of DHCP options, or none: "default".
// Source: EC2 API Reference, AssociateDhcpOptions.
func (s *Service) AssociateDhcpOptions(ctx context.Context, c *guard.Call, in *ec2api.AssociateDhcpOptionsRequest) error {
	id := *in.DhcpOptionsId
	refs := []idiom.Ref{idiom.On("vpc", *in.VpcId)}
	if id != "default" {
		refs = append(refs, idiom.On("dhcp-options", id))
	}
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		if err := s.desk.Allow(tx, c, in.DryRun, nil, refs...); err != nil {
			return err
		}
		return s.nets.SetDHCP(tx, c, *in.VpcId, id)
	})
}

package vpc

import (
	"slices"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// Describe puts the condition keys of what this package has into a part; ok is false for other kinds. It fails if there
// is none with the id. Source: Service Authorization Reference, "Condition keys for Amazon EC2".
func (s *Service) Describe(tx store.Tx, c *guard.Call, kind, id string, p *authz.Part) (ok bool, err error) {
	in := func(key, vpc string) {
		if key != "" {
			p.Context.Set(key, id)
		}
		if vpc != "" {
			p.Context.Set("ec2:vpc", arn.EC2(c.Region, c.Account(), "vpc/"+vpc))
		}
	}
	switch kind {
	case "internet-gateway":
		have, err := s.gateways(tx, c)
		if err == nil {
			_, err = find(have, id, errGateway)
		}
		in("ec2:internetgatewayid", "")
		return true, err
	case egressKind:
		have, err := all(tx, c, egressTable, nil)
		if err == nil {
			_, err = find(have, id, errEgressRoute)
		}
		return true, err
	case "route-table":
		have, err := s.tables(tx, c)
		if err != nil {
			return true, err
		}
		t, err := find(have, id, errRouteTable)
		in("ec2:routetableid", t.VPC)
		return true, err
	case "network-acl":
		have, err := s.acls(tx, c)
		if err != nil {
			return true, err
		}
		a, err := find(have, id, errACL)
		in("ec2:networkaclid", a.VPC)
		return true, err
	case "dhcp-options":
		have, err := s.dhcps(tx, c)
		if err == nil {
			_, err = find(have, id, noDHCP(c.Operation))
		}
		in("ec2:dhcpoptionsid", "")
		return true, err
	case "natgateway":
		have, err := s.nats(tx, c)
		if err == nil {
			_, err = find(have, id, errNAT)
		}
		return true, err
	case "vpc-endpoint":
		have, err := all(tx, c, endpointTable, nil)
		if err == nil {
			_, err = find(have, id, errEndpoint)
		}
		return true, err
	case flowKind:
		have, err := all(tx, c, flowTable, nil)
		if err == nil {
			_, err = find(have, id, errFlow)
		}
		return true, err
	}
	return false, nil
}

// Used reports whether a VPC has something here that it did not have from the beginning: what must go before it.
func (s *Service) Used(tx store.Tx, c *guard.Call, vpc string) (bool, error) {
	v, err := s.vpc(tx, c, vpc)
	if err != nil {
		return false, err
	}
	view, err := s.scenery(tx, c)
	if err != nil {
		return false, err
	}
	tables, err := s.tables(tx, c)
	if err != nil {
		return false, err
	}
	acls, err := s.acls(tx, c)
	if err != nil {
		return false, err
	}
	g, ok := attached(view.gateways, vpc)
	return ok && g.ID != v.first(c, "igw") ||
		slices.ContainsFunc(view.egress, func(e egressRecord) bool { return e.VPC == vpc }) ||
		slices.ContainsFunc(view.nats, func(n natRecord) bool { return n.VPC == vpc && n.Face != "" && n.Deleted.IsZero() }) ||
		slices.ContainsFunc(view.services, func(e endpointRecord) bool { return e.VPC == vpc }) ||
		slices.ContainsFunc(tables, func(t tableRecord) bool { return t.VPC == vpc && !slices.ContainsFunc(t.Joins, join.main) }) ||
		slices.ContainsFunc(acls, func(a aclRecord) bool { return a.VPC == vpc && !a.Default }), nil
}

// DropVPC deletes what goes with a VPC: its main route table, network ACL and, of a default one, internet gateway.
func (s *Service) DropVPC(tx store.Tx, c *guard.Call, vpc string) error {
	gateways, err := s.gateways(tx, c)
	if err != nil {
		return err
	}
	if g, ok := attached(gateways, vpc); ok {
		if err := drop(tx, c, gatewayTable, g, g.ID, nil); err != nil {
			return err
		}
	}
	tables, err := s.tables(tx, c)
	if err != nil {
		return err
	}
	for _, t := range tables {
		if t.VPC == vpc {
			if err := drop(tx, c, routeTable, t, t.ID, nil); err != nil {
				return err
			}
		}
	}
	acls, err := s.acls(tx, c)
	if err != nil {
		return err
	}
	for _, a := range acls {
		if a.VPC == vpc {
			if err := drop(tx, c, aclTable, a, a.ID, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// DropSubnet ends the associations of a subnet.
func (s *Service) DropSubnet(tx store.Tx, c *guard.Call, subnet string) error {
	gone := func(j join) bool { return j.Subnet == subnet }
	tables, err := s.tables(tx, c)
	if err != nil {
		return err
	}
	for _, t := range tables {
		if slices.ContainsFunc(t.Joins, gone) {
			t.Joins = slices.DeleteFunc(slices.Clone(t.Joins), gone)
			if err := put(tx, routeTable, t); err != nil {
				return err
			}
		}
	}
	acls, err := all(tx, c, aclTable, nil)
	if err != nil {
		return err
	}
	for _, a := range acls {
		if slices.ContainsFunc(a.Joins, gone) {
			a.Joins = slices.DeleteFunc(slices.Clone(a.Joins), gone)
			if err := put(tx, aclTable, a); err != nil {
				return err
			}
		}
	}
	return nil
}

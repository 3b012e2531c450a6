package vpc

import (
	"slices"

	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// Numbers of the rules that network ACLs have from the beginning. Those of IPv6 are there while the VPC has a range of it.
// Source: VPC User Guide, "Default network ACL for a VPC" and "Custom network ACLs for your VPC".
const (
	firstEntry    = 100
	firstSixEntry = 101
	lastEntry     = 32767 // denies everything
	lastSixEntry  = 32768
)

// openEntry lets everything pass, of IPv4 or of IPv6.
func openEntry(egress, six bool) aclEntry {
	if six {
		return aclEntry{Egress: egress, Number: firstSixEntry, Protocol: "-1", Action: "allow", CIDR: "::/0"}
	}
	return aclEntry{Egress: egress, Number: firstEntry, Protocol: "-1", Action: "allow", CIDR: "0.0.0.0/0"}
}

// firstEntries are the rules of a default network ACL that nobody changed.
func firstEntries(six bool) (out []aclEntry) {
	for _, egress := range []bool{true, false} {
		out = append(out, openEntry(egress, false))
		if six {
			out = append(out, openEntry(egress, true))
		}
	}
	return out
}

// lastEntries deny what no other rule is about.
func lastEntries(six bool) (out []aclEntry) {
	for _, egress := range []bool{true, false} {
		out = append(out, aclEntry{Egress: egress, Number: lastEntry, Protocol: "-1", Action: "deny", CIDR: "0.0.0.0/0"})
		if six {
			out = append(out, aclEntry{Egress: egress, Number: lastSixEntry, Protocol: "-1", Action: "deny", CIDR: "::/0"})
		}
	}
	return out
}

// hasSix reports whether a VPC has a range of IPv6.
func (v VPC) hasSix() bool { return slices.ContainsFunc(v.CIDRs, isIPv6) }

// OpenSix lets IPv6 traffic pass the default network ACL of a VPC that gets its first range of it, each way unless the
// rules of that way were changed. Source: VPC User Guide, "Default network ACL for a VPC".
func (s *Service) OpenSix(tx store.Tx, c *guard.Call, vpc string) error {
	for rec, err := range aclTable.Scan(tx, c.Region, c.Account()) {
		if err != nil {
			return err
		}
		a := rec.Value
		if !a.Default || a.Gone || a.VPC != vpc {
			continue
		}
		entries := slices.Clone(a.Entries)
		for _, egress := range []bool{true, false} {
			way := slices.DeleteFunc(slices.Clone(a.Entries), func(e aclEntry) bool { return e.Egress != egress })
			if slices.Equal(way, []aclEntry{openEntry(egress, false)}) {
				entries = append(entries, openEntry(egress, true))
			}
		}
		a.Entries = entries
		return put(tx, aclTable, a)
	}
	return nil // an ACL that is not stored follows its VPC
}

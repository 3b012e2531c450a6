package ec2

import (
	"maps"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// instanceFields are the filters of DescribeInstances. Source: EC2 API Reference,
// DescribeInstances, Filters.
func instanceFields() fields[*instanceRecord] {
	text := func(get func(*instanceRecord) string) func(*instanceRecord) []string {
		return func(i *instanceRecord) []string { return oneOf(get(i)) }
	}
	flag := func(get func(*instanceRecord) bool) func(*instanceRecord) []string {
		return func(i *instanceRecord) []string { return boolOf(get(i)) }
	}
	devices := func(get func(*attachedDevice) string) func(*instanceRecord) []string {
		return func(i *instanceRecord) (out []string) {
			for n := range i.Devices {
				out = append(out, get(&i.Devices[n]))
			}
			return out
		}
	}
	// What belongs to the network is gone with a terminated instance.
	net := func(get func(*instanceRecord) string) func(*instanceRecord) []string {
		return func(i *instanceRecord) []string {
			if i.gone() {
				return nil
			}
			return oneOf(get(i))
		}
	}
	out := fields[*instanceRecord]{
		"architecture":             text(func(i *instanceRecord) string { return i.Architecture }),
		"availability-zone":        text(func(i *instanceRecord) string { return i.Zone }),
		"availability-zone-id":     text(func(i *instanceRecord) string { return i.ZoneID }),
		"client-token":             text(func(i *instanceRecord) string { return i.Token }),
		"hypervisor":               func(*instanceRecord) []string { return []string{"xen"} },
		"iam-instance-profile.arn": profileARN,
		"image-id":                 text(func(i *instanceRecord) string { return i.Image }),
		"instance-id":              text(func(i *instanceRecord) string { return i.ID }),
		"instance-lifecycle":       func(i *instanceRecord) []string { return oneOf(i.lifecycle()) },
		"instance-state-code":      func(i *instanceRecord) []string { return intOf(i.State.code()) },
		"instance-state-name":      text(func(i *instanceRecord) string { return string(i.State) }),
		"instance-type":            text(func(i *instanceRecord) string { return i.Type }),
		"instance.group-id":        func(i *instanceRecord) []string { return i.Groups },
		"instance.group-name":      func(i *instanceRecord) []string { return i.GroupsBy },
		"ip-address":               net(func(i *instanceRecord) string { return i.PublicIP }),
		"placement-group-name":     text(func(i *instanceRecord) string { return i.Options.Placement }),
		"placement-partition-number": func(i *instanceRecord) []string {
			if i.Options.Partition == 0 {
				return nil
			}
			return intOf(i.Options.Partition)
		},
		"key-name":                       text(func(i *instanceRecord) string { return i.Options.Key }),
		"launch-index":                   func(i *instanceRecord) []string { return intOf(i.Index) },
		"launch-time":                    text(func(i *instanceRecord) string { return apiTime(*wholeSecond(i.Launched)) }),
		"metadata-options.http-tokens":   text(func(i *instanceRecord) string { return i.Options.HTTPTokens }),
		"metadata-options.http-endpoint": text(func(i *instanceRecord) string { return i.Options.HTTPEndpoint }),
		"monitoring-state": text(func(i *instanceRecord) string {
			return map[bool]string{true: "enabled", false: "disabled"}[i.Options.Monitoring]
		}),
		"network-interface.subnet-id":      net(func(i *instanceRecord) string { return i.Subnet }),
		"network-interface.vpc-id":         net(func(i *instanceRecord) string { return i.VPC }),
		"owner-id":                         text(func(i *instanceRecord) string { return i.Account }),
		"platform":                         func(*instanceRecord) []string { return nil },
		"platform-details":                 text(func(i *instanceRecord) string { return i.Platform }),
		"private-dns-name":                 net((*instanceRecord).dnsName),
		"private-ip-address":               net(func(i *instanceRecord) string { return i.Address }),
		"reservation-id":                   text(func(i *instanceRecord) string { return i.Reservation }),
		"root-device-name":                 text(func(i *instanceRecord) string { return i.RootDevice }),
		"root-device-type":                 func(*instanceRecord) []string { return []string{"ebs"} },
		"source-dest-check":                flag(func(i *instanceRecord) bool { return !i.Options.NoSourceCheck }),
		"spot-instance-request-id":         func(i *instanceRecord) []string { return oneOf(i.spotRequest()) },
		"state-reason-code":                func(i *instanceRecord) []string { return i.reasonText(func(r *reason) string { return r.Code }) },
		"state-reason-message":             func(i *instanceRecord) []string { return i.reasonText(func(r *reason) string { return r.Message }) },
		"subnet-id":                        net(func(i *instanceRecord) string { return i.Subnet }),
		"tenancy":                          text(func(i *instanceRecord) string { return i.Options.Tenancy }),
		"virtualization-type":              func(*instanceRecord) []string { return []string{"hvm"} },
		"vpc-id":                           net(func(i *instanceRecord) string { return i.VPC }),
		"block-device-mapping.device-name": devices(func(d *attachedDevice) string { return d.Name }),
		"block-device-mapping.volume-id":   devices(func(d *attachedDevice) string { return d.Volume }),
		"block-device-mapping.status":      devices(func(*attachedDevice) string { return plugAttached }),
		"block-device-mapping.delete-on-termination": func(i *instanceRecord) (out []string) {
			for _, d := range i.Devices {
				out = append(out, boolOf(d.DeleteOnTermination)...)
			}
			return out
		},
	}
	maps.Copy(out, partFields())
	return out
}

func (i *instanceRecord) reasonText(get func(*reason) string) []string {
	if i.Reason == nil {
		return nil
	}
	return oneOf(get(i.Reason))
}

// selectInstances reads the instances that a request names, or all, as far as they pass a filter.
func (s *Service) selectInstances(tx store.Tx, c *guard.Call, ids []string, filters []ec2api.Filter) ([]*instanceRecord, map[string]map[string]string, error) {
	return s.selectBy(tx, c, instanceFields(), ids, filters)
}

func (s *Service) selectBy(tx store.Tx, c *guard.Call, known fields[*instanceRecord], ids []string, filters []ec2api.Filter) ([]*instanceRecord, map[string]map[string]string, error) {
	pass, err := known.Filter(filters)
	if err != nil {
		return nil, nil, err
	}
	named := ids
	if len(ids) == 0 {
		named = idFilter(filters, "instance-id")
	}
	all, err := s.tagsFor(tx, c, named)
	if err != nil {
		return nil, nil, err
	}
	var found []instanceRecord
	if len(ids) == 0 && len(named) > 0 {
		for _, id := range slices.Compact(slices.Sorted(slices.Values(named))) {
			if i, ok, err := instanceTable.Get(tx, c.Region, c.Account(), id); err != nil {
				return nil, nil, err
			} else if ok {
				found = append(found, i)
			}
		}
	} else if len(ids) > 0 {
		if found, err = s.lookupInstances(tx, c, slices.Compact(slices.Sorted(slices.Values(ids)))); err != nil {
			return nil, nil, err
		}
	} else {
		for r, err := range instanceTable.Scan(tx, c.Region, c.Account()) {
			if err != nil {
				return nil, nil, err
			}
			found = append(found, r.Value)
		}
	}
	held, err := s.capacity.Held(tx, c)
	if err != nil {
		return nil, nil, err
	}
	names, err := s.naming(tx, c)
	if err != nil {
		return nil, nil, err
	}
	var out []*instanceRecord
	for n := range found {
		found[n].reserved, found[n].nameless = held[found[n].ID], !names[found[n].VPC]
		if pass(&found[n], all[found[n].ID]) {
			out = append(out, &found[n])
		}
	}
	return out, all, nil
}

// idFilter is the ids of a filter that wants one of them exactly, so that these can be read instead of
// everything; nil if there is none.
func idFilter(filters []ec2api.Filter, name string) []string {
	for _, f := range filters {
		if api.Val(f.Name) == name && !slices.ContainsFunc(f.Values, func(v string) bool { return v == "" || strings.ContainsAny(v, `*?\`) }) {
			return f.Values
		}
	}
	return nil
}

// tagsFor reads the tags of resources, each with one read, or of all.
func (s *Service) tagsFor(tx store.Tx, c *guard.Call, ids []string) (map[string]map[string]string, error) {
	if len(ids) == 0 {
		return tagsOfAll(tx, c.Region, c.Account())
	}
	out := map[string]map[string]string{}
	for _, id := range ids {
		tags, err := tagsOf(tx, c.Region, c.Account(), id)
		if err != nil {
			return nil, err
		}
		out[id] = tags
	}
	return out, nil
}

// instanceOrder sorts instances by launch, those launched together side by side.
func instanceOrder(i *instanceRecord) string {
	return i.Launched.UTC().Format("2006-01-02T15:04:05.000000000") + i.Reservation + i.ID
}

func profileARN(i *instanceRecord) []string {
	if i.Profile == nil {
		return nil
	}
	return []string{i.Profile.ARN}
}

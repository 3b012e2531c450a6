package capacity

import (
	"slices"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/ec2/hardware"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

const hostKind = "dedicated-host"

// A hostRecord is a Dedicated Host. It is for one instance type or, with Type "", for all types of a family.
type hostRecord struct {
	Region      string    `json:"region"`
	Account     string    `json:"account"`
	ID          string    `json:"id"`
	Zone        string    `json:"zone"`
	ZoneID      string    `json:"zoneId"`
	Family      string    `json:"family"`
	Type        string    `json:"type,omitempty"`
	Auto        bool      `json:"auto,omitempty"` // takes instances that name no host
	Recovery    string    `json:"recovery"`
	Maintenance string    `json:"maintenance"`
	Token       string    `json:"token,omitempty"`
	Allocated   time.Time `json:"allocated"`
	Released    time.Time `json:"released,omitzero"`
}

// hostTable is keyed by (region, account, id).
var hostTable = store.Table[hostRecord]{Bucket: "ec2/dedicated-host", Version: 1}

func (h *hostRecord) key() []string { return []string{h.Region, h.Account, h.ID} }

func errHost(id string) error {
	return apierr.Newf("InvalidHostID.NotFound", "The host ID '%s' does not exist", id)
}

// dedicated is the caller's host with an id.
func (s *Service) dedicated(tx store.Tx, c *guard.Call, id string) (hostRecord, error) {
	h, ok, err := hostTable.Get(tx, c.Region, c.Account(), id)
	if err == nil && (!ok || h.forgotten(c.Time)) {
		err = errHost(id)
	}
	return h, err
}

func (h *hostRecord) forgotten(now time.Time) bool {
	return !h.Released.IsZero() && now.Sub(h.Released) > remembered
}

// hosts are the caller's hosts; those that were released for an hour.
func (s *Service) hosts(tx store.Tx, c *guard.Call) ([]hostRecord, error) {
	var out []hostRecord
	for rec, err := range hostTable.Scan(tx, c.Region, c.Account()) {
		if err != nil {
			return nil, err
		}
		if !rec.Value.forgotten(c.Time) {
			out = append(out, rec.Value)
		}
	}
	slices.SortStableFunc(out, func(a, b hostRecord) int { return a.Allocated.Compare(b.Allocated) })
	return out, nil
}

// on are the instances that take capacity of a host.
func (h *hostRecord) on(uses []Use) []Use {
	var out []Use
	for _, u := range uses {
		if u.Tenancy == hostTenancy && u.Host == h.ID {
			out = append(out, u)
		}
	}
	return out
}

const hostTenancy = "host"

// familyOf is the part of a type's name before the point.
func familyOf(name string) string {
	family, _, _ := strings.Cut(name, ".")
	return family
}

// types are the instance types of a family that Dedicated Hosts run, the smallest first.
func types(family string) []*hardware.Type {
	var out []*hardware.Type
	for _, t := range hardware.All() {
		if t.Family.Name == family && t.DedicatedHosts() {
			out = append(out, t)
		}
	}
	slices.SortStableFunc(out, func(a, b *hardware.Type) int { return int(a.VCPUs - b.VCPUs) })
	return out
}

// smallHosts are families whose hosts are larger than their largest type, with their vCPUs.
// Source: Amazon EC2 Dedicated Hosts, "Instance capacity configurations".
var smallHosts = map[string]int32{"t3": 96}

// vCPUs are those of a host of a family: as many as its largest type has.
func vCPUs(family string) int32 {
	n := smallHosts[family]
	for _, t := range types(family) {
		n = max(n, t.VCPUs)
	}
	return n
}

// runs reports whether a host runs instances of a type.
func (h *hostRecord) runs(name string) bool {
	if h.Type != "" {
		return h.Type == name
	}
	return slices.ContainsFunc(types(h.Family), func(t *hardware.Type) bool { return t.Name == name })
}

// left is how many more instances of a type a host runs beside others: as many as its vCPUs are enough for.
func (h *hostRecord) left(name string, others []Use) int32 {
	t, ok := hardware.Lookup(name)
	if !ok || !h.runs(name) {
		return 0
	}
	return h.free(others) / t.VCPUs
}

// free are the vCPUs that instances leave.
func (h *hostRecord) free(uses []Use) int32 {
	n := vCPUs(h.Family)
	for _, u := range h.on(uses) {
		if t, ok := hardware.Lookup(u.Type); ok {
			n -= t.VCPUs
		}
	}
	return max(n, 0)
}

func onOff(on bool) *string {
	if on {
		return new(ec2api.AutoPlacementOn)
	}
	return new(ec2api.AutoPlacementOff)
}

// wire is a host as answers carry it.
func (h *hostRecord) wire(uses []Use) ec2api.Host {
	w := ec2api.Host{
		HostId: &h.ID, OwnerId: &h.Account, AvailabilityZone: &h.Zone, AvailabilityZoneId: &h.ZoneID, AllocationTime: &h.Allocated,
		AutoPlacement: onOff(h.Auto), HostRecovery: &h.Recovery, HostMaintenance: &h.Maintenance, ClientToken: api.Opt(h.Token),
		State: new(ec2api.AllocationStateAvailable), AllowsMultipleInstanceTypes: onOff(h.Type == ""), MemberOfServiceLinkedResourceGroup: new(false),
		HostProperties: h.properties(), Instances: []ec2api.HostInstance{},
	}
	if !h.Released.IsZero() {
		w.State, w.ReleaseTime = new(ec2api.AllocationStateReleased), &h.Released
		return w
	}
	w.AvailableCapacity = &ec2api.AvailableCapacity{AvailableVCpus: new(h.free(uses))}
	for _, t := range types(h.Family) {
		if h.runs(t.Name) {
			w.AvailableCapacity.AvailableInstanceCapacity = append(w.AvailableCapacity.AvailableInstanceCapacity, ec2api.InstanceCapacity{
				InstanceType: &t.Name, AvailableCapacity: new(h.left(t.Name, uses)), TotalCapacity: new(h.left(t.Name, nil)),
			})
		}
	}
	for _, u := range h.on(uses) {
		w.Instances = append(w.Instances, ec2api.HostInstance{InstanceId: &u.ID, InstanceType: &u.Type, OwnerId: &h.Account})
	}
	return w
}

// properties are those of the machine; those of AWS's own processors have one socket. A host of one type shows it, one of several
// types its family: clients keep the two apart. Source: EC2 API Reference, HostProperties.
func (h *hostRecord) properties() *ec2api.HostProperties {
	all, total := types(h.Family), vCPUs(h.Family)
	p := &ec2api.HostProperties{TotalVCpus: &total, InstanceType: api.Opt(h.Type), Sockets: new(int32(2))}
	if h.Type == "" {
		p.InstanceFamily = &h.Family
	}
	if len(all) > 0 {
		p.Cores = new(total / all[len(all)-1].Threads())
		if all[0].Family.Maker == "AWS" {
			p.Sockets = new(int32(1))
		}
	}
	return p
}

// describe puts a host's condition keys into a part.
func (h *hostRecord) describe(p *authz.Part) {
	p.Context.Set("ec2:autoplacement", *onOff(h.Auto))
	p.Context.Set("ec2:availabilityzone", h.Zone)
	p.Context.Set("ec2:hostrecovery", h.Recovery)
	if h.Type != "" {
		p.Context.Set("ec2:instancetype", h.Type)
	}
}

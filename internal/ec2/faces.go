package ec2

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// A faceRecord is a network interface. Those of an instance are in the instance's record, the first one as members of
// it; all others are in the table.
type faceRecord struct {
	Region        string          `json:"region"`
	Account       string          `json:"account"`
	ID            string          `json:"id"`
	Subnet        string          `json:"subnet"`
	VPC           string          `json:"vpc"`
	Zone          string          `json:"zone"`
	ZoneID        string          `json:"zoneId"`
	Address       string          `json:"address"` // private IPv4
	Secondary     []string        `json:"secondary,omitempty"`
	Six           []string        `json:"six,omitempty"`        // IPv6 addresses
	SixPrimary    bool            `json:"sixPrimary,omitempty"` // the first of them is the primary one
	Prefixes      []string        `json:"prefixes,omitempty"`   // of IPv4
	SixPrefixes   []string        `json:"sixPrefixes,omitempty"`
	MAC           string          `json:"mac"`
	Groups        []string        `json:"groups,omitempty"`
	GroupsBy      []string        `json:"groupsBy,omitempty"` // their names, in the same order
	Description   string          `json:"description,omitempty"`
	NoSourceCheck bool            `json:"noSourceCheck,omitempty"`
	Kind          string          `json:"kind,omitempty"`      // "": interface; others belong to AWS
	Fabric        bool            `json:"fabric,omitempty"`    // an Elastic Fabric Adapter with an address (efa)
	Requester     string          `json:"requester,omitempty"` // unique id of who made it, but for those of instances and of AWS
	Tracking      *tracking       `json:"tracking,omitempty"`
	PublicIP      string          `json:"publicIp,omitempty"`
	PublicBy      string          `json:"publicBy,omitempty"` // allocation id
	Opened        []openedAddress `json:"opened,omitempty"`
	Plug          *facePlug       `json:"plug,omitempty"` // nil: not attached to an instance
	// nameless tells that its VPC gives public addresses no names. It is not stored.
	nameless bool
}

// A facePlug is the attachment of a network interface to an instance.
type facePlug struct {
	ID       string    `json:"id"` // eni-attach-...
	Instance string    `json:"instance,omitempty"`
	Index    int32     `json:"index"`
	At       time.Time `json:"at"`
	Delete   bool      `json:"delete,omitempty"` // goes with the instance
	Card     int32     `json:"card,omitempty"`   // network card
	Express  *express  `json:"express,omitempty"`
}

// A firstFace is what the first network interface of an instance has besides what every instance's has.
type firstFace struct {
	Description string          `json:"description,omitempty"`
	Keep        bool            `json:"keep,omitempty"` // does not go with the instance
	Secondary   []string        `json:"secondary,omitempty"`
	Six         []string        `json:"six,omitempty"`
	SixPrimary  bool            `json:"sixPrimary,omitempty"`
	Prefixes    []string        `json:"prefixes,omitempty"`
	SixPrefixes []string        `json:"sixPrefixes,omitempty"`
	Tracking    *tracking       `json:"tracking,omitempty"`
	Express     *express        `json:"express,omitempty"`
	Opened      []openedAddress `json:"opened,omitempty"`
	Fabric      bool            `json:"fabric,omitempty"`
}

// orNone is nil if there is nothing in it.
func (x firstFace) orNone() *firstFace {
	if x.Description == "" && !x.Keep && len(x.Secondary)+len(x.Six)+len(x.Prefixes)+len(x.SixPrefixes)+len(x.Opened) == 0 && x.Tracking == nil && x.Express == nil && !x.Fabric {
		return nil
	}
	return &x
}

// faceTable is keyed by (region, account, id).
var faceTable = store.Table[faceRecord]{Bucket: "ec2/network-interface", Version: 1}

func (f *faceRecord) key() []string { return []string{f.Region, f.Account, f.ID} }

// managed reports whether the interface belongs to a service of AWS, which alone changes it.
func (f *faceRecord) managed() bool { return f.Kind != "" }

// status of the interface, as answers carry it.
func (f *faceRecord) status() string {
	if f.Plug != nil || f.managed() {
		return "in-use"
	}
	return "available"
}

// first is the first network interface of an instance.
func (i *instanceRecord) first() faceRecord {
	f := faceRecord{
		Region: i.Region, Account: i.Account, ID: i.ENI, Subnet: i.Subnet, VPC: i.VPC, Zone: i.Zone, ZoneID: i.ZoneID, Address: i.Address, MAC: i.MAC,
		Groups: i.Groups, GroupsBy: i.GroupsBy, NoSourceCheck: i.Options.NoSourceCheck, PublicIP: i.PublicIP, PublicBy: i.PublicBy,
		Plug: &facePlug{ID: i.ENIPlug, Instance: i.ID, At: i.Launched, Delete: true},
	}
	if x := i.Face; x != nil {
		f.Description, f.Secondary, f.Six, f.SixPrimary, f.Plug.Delete = x.Description, x.Secondary, x.Six, x.SixPrimary, !x.Keep
		f.Tracking, f.Plug.Express = x.Tracking, x.Express
		f.Prefixes, f.SixPrefixes, f.Opened, f.Fabric = x.Prefixes, x.SixPrefixes, x.Opened, x.Fabric
	}
	return f
}

// faces are the network interfaces of an instance.
func (i *instanceRecord) faces() []faceRecord {
	if i.ENI == "" {
		return nil
	}
	return append([]faceRecord{i.first()}, i.Faces...)
}

// setFirst changes the first network interface of an instance, but for where it is.
func (i *instanceRecord) setFirst(f faceRecord) {
	i.Groups, i.GroupsBy, i.Options.NoSourceCheck, i.PublicIP, i.PublicBy = f.Groups, f.GroupsBy, f.NoSourceCheck, f.PublicIP, f.PublicBy
	i.Face = firstFace{f.Description, !f.Plug.Delete, f.Secondary, f.Six, f.SixPrimary, f.Prefixes, f.SixPrefixes, f.Tracking, f.Plug.Express, f.Opened, f.Fabric}.orNone()
}

// A heldFace is a network interface and where its record is: with an instance, nil if in the table.
type heldFace struct {
	faceRecord
	instance *instanceRecord
}

// put stores a network interface where it is.
func (f *heldFace) put(tx store.Tx) error {
	if f.instance == nil {
		return faceTable.Put(tx, f.faceRecord, f.key()...)
	}
	if f.ID == f.instance.ENI {
		f.instance.setFirst(f.faceRecord)
	} else {
		f.instance.Faces = slices.Clone(f.instance.Faces)
		at := slices.IndexFunc(f.instance.Faces, func(o faceRecord) bool { return o.ID == f.ID })
		f.instance.Faces[at] = f.faceRecord
	}
	return putInstance(tx, *f.instance)
}

// allFaces are the caller's network interfaces.
func allFaces(tx store.Tx, region, account string) ([]heldFace, error) {
	var out []heldFace
	for r, err := range faceTable.Scan(tx, region, account) {
		if err != nil {
			return nil, err
		}
		out = append(out, heldFace{r.Value, nil})
	}
	for r, err := range instanceTable.Scan(tx, region, account) {
		if err != nil {
			return nil, err
		}
		i := r.Value
		if i.gone() {
			continue
		}
		for _, f := range i.faces() {
			out = append(out, heldFace{f, &i})
		}
	}
	return out, nil
}

// lookupFace finds a network interface of the caller.
func lookupFace(tx store.Tx, c *guard.Call, id string) (heldFace, error) {
	if rest, ok := strings.CutPrefix(id, "eni-"); !ok || !isHex(rest) {
		return heldFace{}, apierr.Newf("InvalidNetworkInterfaceId.Malformed", "Invalid id: \"%s\" (expecting \"eni-...\")", id)
	}
	f, ok, err := faceTable.Get(tx, c.Region, c.Account(), id)
	if err != nil || ok {
		return heldFace{f, nil}, err
	}
	all, err := allFaces(tx, c.Region, c.Account())
	for _, f := range all {
		if f.ID == id {
			return f, nil
		}
	}
	if err == nil {
		err = errInterface(id)
	}
	return heldFace{}, err
}

// describe puts a network interface's condition keys into a part.
func (f *faceRecord) describe(p *authz.Part) {
	p.Context.Set("ec2:networkinterfaceid", f.ID)
	f.place(p)
}

// place is what of describe is known before the interface is made.
func (f *faceRecord) place(p *authz.Part) {
	p.Context.Set("ec2:subnet", arn.EC2(f.Region, f.Account, "subnet/"+f.Subnet))
	p.Context.Set("ec2:vpc", vpcARN(f.Region, f.Account, f.VPC))
	p.Context.Set("ec2:availabilityzone", f.Zone)
}

// interfacesIn tells whether there is a network interface in a subnet, or with a security group: in says which.
func (s *Service) interfacesIn(tx store.Tx, c *guard.Call, in func(*faceRecord) bool) (bool, error) {
	all, err := allFaces(tx, c.Region, c.Account())
	return slices.ContainsFunc(all, func(f heldFace) bool { return in(&f.faceRecord) }), err
}

// leaveFaces takes the network interfaces from an instance that is terminated: those that do not go with it are
// there by themselves.
func (i *instanceRecord) leaveFaces(tx store.Tx) error {
	if len(i.Faces) == 0 && (i.Face == nil || !i.Face.Keep) {
		return nil
	}
	for _, f := range i.faces() {
		if f.Plug.Delete && f.ID == i.ENI {
			continue // it is forgotten with the instance
		}
		by := f.PublicBy
		if by == "" {
			f.PublicIP = ""
		}
		if f.Plug.Delete {
			if err := dropTags(tx, f.Region, f.Account, f.ID); err != nil {
				return err
			}
			f.PublicIP, f.PublicBy = "", ""
		} else {
			f.Plug, f.SixPrimary = nil, false
			if err := faceTable.Put(tx, f, f.key()...); err != nil {
				return err
			}
		}
		if by != "" {
			if err := moveElastic(tx, &f, by); err != nil {
				return err
			}
		}
		if f.ID == i.ENI {
			i.ENI, i.PublicIP, i.PublicBy = "", "", ""
		}
	}
	i.Faces, i.Face = nil, nil
	return nil
}

// moveElastic notes in an Elastic IP address that a network interface has it, or that it is free if the interface
// says nothing of it.
func moveElastic(tx store.Tx, f *faceRecord, allocation string) error {
	e, ok, err := elasticTable.Get(tx, f.Region, f.Account, allocation)
	if err != nil || !ok {
		return err
	}
	e.Instance, e.Interface = "", f.ID
	if f.PublicBy != allocation {
		e.Interface, e.Association = "", ""
	}
	return elasticTable.Put(tx, e, e.Region, e.Account, e.ID)
}

// dnsName is the private name of an address.
func privateName(region, address string) string {
	domain := region + ".compute.internal"
	if region == "us-east-1" {
		domain = "ec2.internal"
	}
	return "ip-" + strings.ReplaceAll(address, ".", "-") + "." + domain
}

// publicName is the name of a public address of the interface, "" in a VPC that gives none.
func (f *faceRecord) publicName(ip string) string {
	if f.nameless {
		return ""
	}
	return publicHostName(f.Region, ip)
}

// publicHostName is the name of a public address. Source: as for dnsName.
func publicHostName(region, ip string) string {
	domain := region + ".compute.amazonaws.com"
	if region == "us-east-1" {
		domain = "compute-1.amazonaws.com"
	}
	return "ec2-" + strings.ReplaceAll(ip, ".", "-") + "." + domain
}

func (f *faceRecord) publicOwner() string {
	if f.PublicBy == "" {
		return "amazon"
	}
	return f.Account
}

func (f *faceRecord) wireGroups() []ec2api.GroupIdentifier {
	out := []ec2api.GroupIdentifier{}
	for n := range f.Groups {
		out = append(out, ec2api.GroupIdentifier{GroupId: &f.Groups[n], GroupName: &f.GroupsBy[n]})
	}
	return out
}

// name is the private name of the interface; that of an instance's first one is the instance's.
func (f *heldFace) name() string {
	if f.instance != nil && f.ID == f.instance.ENI {
		return f.instance.dnsName()
	}
	return privateName(f.Region, f.Address)
}

// kinds of interfaces, as answers name them, with who asked for them.
func (f *faceRecord) kind() (name, requester string) {
	switch f.Kind {
	case "":
		return f.interfaceType(), f.Requester
	case "nat_gateway":
		return "nat_gateway", f.Account
	}
	return f.Kind, "amazon-aws"
}

// wire is a network interface as answers carry it. association is the id with which its Elastic IP address is
// associated, if it has one.
func (f *heldFace) wire(association string) ec2api.NetworkInterface {
	kind, requester := f.kind()
	n := ec2api.NetworkInterface{
		NetworkInterfaceId: &f.ID, Description: &f.Description, OwnerId: &f.Account, Status: new(f.status()), InterfaceType: &kind,
		SubnetId: &f.Subnet, VpcId: &f.VPC, AvailabilityZone: &f.Zone, AvailabilityZoneId: &f.ZoneID, MacAddress: &f.MAC, Groups: f.wireGroups(),
		PrivateDnsName: new(f.name()), PrivateIpAddress: &f.Address, SourceDestCheck: new(!f.NoSourceCheck), RequesterManaged: new(f.managed()),
		RequesterId:        api.Opt(requester),
		PrivateIpAddresses: []ec2api.NetworkInterfacePrivateIpAddress{{Primary: new(true), PrivateDnsName: new(f.name()), PrivateIpAddress: &f.Address}},
		Ipv6Addresses:      []ec2api.NetworkInterfaceIpv6Address{}, ConnectionTrackingConfiguration: f.Tracking.wire(),
		Operator: idiom.Unmanaged(), Ipv4Prefixes: wirePrefixes(f.Prefixes, fourPrefix), Ipv6Prefixes: wirePrefixes(f.SixPrefixes, sixPrefix),
	}
	for _, a := range f.Secondary {
		n.PrivateIpAddresses = append(n.PrivateIpAddresses, ec2api.NetworkInterfacePrivateIpAddress{
			Primary: new(false), PrivateDnsName: new(privateName(f.Region, a)), PrivateIpAddress: new(a), Association: f.opened(a),
		})
	}
	for at, a := range f.Six {
		n.Ipv6Addresses = append(n.Ipv6Addresses, ec2api.NetworkInterfaceIpv6Address{Ipv6Address: new(a), IsPrimaryIpv6: new(f.SixPrimary && at == 0)})
	}
	if len(f.Six) > 0 {
		n.Ipv6Address = &f.Six[0]
	}
	switch p := f.Plug; {
	case p != nil:
		n.Attachment = &ec2api.NetworkInterfaceAttachment{
			AttachTime: wholeSecond(p.At), AttachmentId: &p.ID, DeleteOnTermination: &p.Delete, DeviceIndex: &p.Index,
			NetworkCardIndex: &p.Card, InstanceId: &p.Instance, InstanceOwnerId: &f.Account, Status: new(plugAttached), EnaSrdSpecification: p.Express.wire(),
		}
	case f.managed():
		n.Attachment = &ec2api.NetworkInterfaceAttachment{
			AttachmentId: new("ela-attach-" + strings.TrimPrefix(f.ID, "eni-")), DeleteOnTermination: new(false), DeviceIndex: new(int32(1)),
			NetworkCardIndex: new(int32(0)), InstanceOwnerId: new("amazon-aws"), Status: new(plugAttached),
		}
	}
	if f.PublicIP != "" {
		n.Association = &ec2api.NetworkInterfaceAssociation{
			AllocationId: api.Opt(f.PublicBy), AssociationId: api.Opt(association), IpOwnerId: new(f.publicOwner()),
			PublicDnsName: new(f.publicName(f.PublicIP)), PublicIp: &f.PublicIP,
		}
		n.PrivateIpAddresses[0].Association = n.Association
	}
	return n
}

// hostOf is the number of an address in a subnet; ok is false for no address of it.
func (n subnet) hostOf(text string) (int, bool) {
	a, err := netip.ParseAddr(text)
	if err != nil || !a.Is4() {
		return 0, false
	}
	return n.host(a)
}

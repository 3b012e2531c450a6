package ec2

import (
	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/ec2/instancetype"
)

// A tracking is for how many seconds security groups remember idle connections of a network interface; 0 is for as long
// as they do by themselves.
type tracking struct {
	TCP       int32 `json:"tcp,omitempty"`
	UDPStream int32 `json:"udpStream,omitempty"`
	UDP       int32 `json:"udp,omitempty"`
}

// trackingOf reads what a request says of idle connections; nil if nothing.
// Source: EC2 API Reference, ConnectionTrackingSpecificationRequest.
func trackingOf(in *ec2api.ConnectionTrackingSpecificationRequest) (*tracking, error) {
	if in == nil || *in == (ec2api.ConnectionTrackingSpecificationRequest{}) {
		return nil, nil
	}
	for _, v := range []struct {
		name        string
		given       *int32
		least, most int32
	}{
		{"TcpEstablishedTimeout", in.TcpEstablishedTimeout, 60, 432000},
		{"UdpStreamTimeout", in.UdpStreamTimeout, 60, 180},
		{"UdpTimeout", in.UdpTimeout, 30, 60},
	} {
		if v.given != nil && (*v.given < v.least || *v.given > v.most) {
			return nil, invalidValue("Value (%d) for parameter %s is invalid. It is from %d to %d.", *v.given, v.name, v.least, v.most)
		}
	}
	return &tracking{api.Val(in.TcpEstablishedTimeout), api.Val(in.UdpStreamTimeout), api.Val(in.UdpTimeout)}, nil
}

// wire is what answers about network interfaces show of it; those about instances have another type of the same form.
func (t *tracking) wire() *ec2api.ConnectionTrackingConfiguration {
	if t == nil {
		return nil
	}
	return &ec2api.ConnectionTrackingConfiguration{
		TcpEstablishedTimeout: api.Opt(t.TCP), UdpStreamTimeout: api.Opt(t.UDPStream), UdpTimeout: api.Opt(t.UDP),
	}
}

// An express is what ENA Express does for an attachment.
type express struct {
	On  bool `json:"on,omitempty"`
	UDP bool `json:"udp,omitempty"`
}

// expressOf reads what a request says of ENA Express; nil if nothing. UDP traffic needs it to be on.
// Source: EC2 API Reference, EnaSrdSpecification and EnaSrdUdpSpecification.
func expressOf(in *ec2api.EnaSrdSpecification) (*express, error) {
	if in == nil {
		return nil, nil
	}
	x := &express{On: api.Val(in.EnaSrdEnabled)}
	if u := in.EnaSrdUdpSpecification; u != nil {
		x.UDP = api.Val(u.EnaSrdUdpEnabled)
	}
	if x.UDP && !x.On {
		return nil, apierr.New("InvalidParameterCombination", "ENA Express for UDP traffic needs ENA Express to be enabled (EnaSrdEnabled).")
	}
	return x, nil
}

// expressAsked is expressOf for launches, whose type has the same members.
func expressAsked(in *ec2api.EnaSrdSpecificationRequest) (*express, error) {
	if in == nil {
		return nil, nil
	}
	same := &ec2api.EnaSrdSpecification{EnaSrdEnabled: in.EnaSrdEnabled}
	if u := in.EnaSrdUdpSpecification; u != nil {
		same.EnaSrdUdpSpecification = &ec2api.EnaSrdUdpSpecification{EnaSrdUdpEnabled: u.EnaSrdUdpEnabled}
	}
	return expressOf(same)
}

func (x *express) wire() *ec2api.AttachmentEnaSrdSpecification {
	if x == nil {
		return nil
	}
	return &ec2api.AttachmentEnaSrdSpecification{
		EnaSrdEnabled: &x.On, EnaSrdUdpSpecification: &ec2api.AttachmentEnaSrdUdpSpecification{EnaSrdUdpEnabled: &x.UDP},
	}
}

func (x *express) wireInstance() *ec2api.InstanceAttachmentEnaSrdSpecification {
	if x == nil {
		return nil
	}
	return &ec2api.InstanceAttachmentEnaSrdSpecification{
		EnaSrdEnabled: &x.On, EnaSrdUdpSpecification: &ec2api.InstanceAttachmentEnaSrdUdpSpecification{EnaSrdUdpEnabled: &x.UDP},
	}
}

// checkCard refuses a network card that a type does not have. The first interface is on the first card.
// Source: EC2 User Guide, "Elastic network interfaces", Network cards.
func checkCard(kind string, card, index int32) error {
	cards := int32(1)
	if t, ok := instancetype.Lookup(kind); ok {
		cards = max(1, t.Cards)
	}
	switch {
	case card < 0 || card >= cards:
		return invalidValue("Value (%d) for parameter networkCardIndex is invalid. The instance type %s has %d network card(s).", card, kind, cards)
	case index == 0 && card != 0:
		return invalidValue("Value (%d) for parameter networkCardIndex is invalid. The primary network interface must be on network card 0.", card)
	}
	return nil
}

// asksFabric reports whether a request is for an Elastic Fabric Adapter. Those without addresses (efa-only) and the
// interfaces of services are refused. Source: EC2 API Reference, CreateNetworkInterface, InterfaceType.
func asksFabric(kind *string) (bool, error) {
	switch v := api.Val(kind); v {
	case "", "interface":
		return false, nil
	case "efa":
		return true, nil
	default:
		return false, apierr.Newf("UnsupportedOperation", "This server does not support network interfaces of the type %s.", v)
	}
}

// interfaceType of an interface that does not belong to AWS.
func (f *faceRecord) interfaceType() string {
	if f.Fabric {
		return "efa"
	}
	return "interface"
}

// checkFabrics refuses more Elastic Fabric Adapters than an instance of a type has.
// Source: EC2 User Guide, "Elastic Fabric Adapter", Supported instance types.
func checkFabrics(kind string, n int32) error {
	t, ok := instancetype.Lookup(kind)
	switch {
	case !ok || n <= t.EFAs:
		return nil
	case t.EFAs == 0:
		return apierr.Newf("UnsupportedOperation", "%s instances do not support Elastic Fabric Adapters.", kind)
	}
	return apierr.Newf("AttachmentLimitExceeded", "EFA interface count %d exceeds the limit for %s", n, kind)
}

// checkQueues refuses a number of ENA queues: which types take one is not known here.
func checkQueues(count *int32) error {
	if count != nil {
		return apierr.New("UnsupportedOperation", "This server does not support a number of ENA queues (EnaQueueCount).")
	}
	return nil
}

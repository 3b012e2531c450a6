package ec2

import (
	"cmp"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/store"
)

// An instanceState is one of the six states of an instance, as text.
// Source: EC2 User Guide, "Amazon EC2 instance state changes".
type instanceState string

const (
	pending      instanceState = "pending"
	running      instanceState = "running"
	shuttingDown instanceState = "shutting-down"
	terminated   instanceState = "terminated"
	stopping     instanceState = "stopping"
	stopped      instanceState = "stopped"
)

// code is the number that goes with the state's name.
func (s instanceState) code() int32 {
	switch s {
	case running:
		return 16
	case shuttingDown:
		return 32
	case terminated:
		return 48
	case stopping:
		return 64
	case stopped:
		return 80
	}
	return 0
}

func (s instanceState) wire() *ec2api.InstanceState {
	return &ec2api.InstanceState{Code: new(s.code()), Name: new(string(s))}
}

// An instanceRecord is an instance.
type instanceRecord struct {
	Region      string    `json:"region"`
	Account     string    `json:"account"`
	ID          string    `json:"id"`
	Host        string    `json:"host,omitempty"` // where it runs
	Reservation string    `json:"reservation"`
	Index       int32     `json:"index"` // AmiLaunchIndex
	Token       string    `json:"token,omitempty"`
	Launched    time.Time `json:"launched"`

	State      instanceState `json:"state"`
	Reason     *reason       `json:"reason,omitempty"`
	Transition string        `json:"transition,omitempty"`
	// Work is the operation under way, "" if there is none; the rest of it is a job.
	Work launch.Operation `json:"work,omitempty"`
	// Abrupt: the next shutdown does not ask the guest.
	Abrupt bool `json:"abrupt,omitempty"`
	// Doomed: TerminateInstances came while other work was under way.
	Doomed bool      `json:"doomed,omitempty"`
	Ended  time.Time `json:"ended,omitzero"` // since when terminated

	Image        string `json:"image"`
	Architecture string `json:"architecture"`
	BootMode     string `json:"bootMode,omitempty"` // of the image, "" if it says none
	Platform     string `json:"platform,omitempty"` // PlatformDetails
	RootDevice   string `json:"rootDevice"`
	Type         string `json:"type"`

	Subnet   string   `json:"subnet"`
	VPC      string   `json:"vpc"`
	Zone     string   `json:"zone"`
	ZoneID   string   `json:"zoneId"`
	Address  string   `json:"address"` // private IPv4
	MAC      string   `json:"mac"`
	ENI      string   `json:"eni"`
	ENIPlug  string   `json:"eniPlug"`  // attachment id of the network interface
	Groups   []string `json:"groups"`   // security group ids
	GroupsBy []string `json:"groupsBy"` // their names, in the same order
	// PublicIP is the public address, "" if there is none; PublicBy the allocation id if it is an Elastic IP
	// address. AutoPublic tells that the instance has one by itself otherwise, PublicTurn which one it had last.
	PublicIP   string `json:"publicIp,omitempty"`
	PublicBy   string `json:"publicBy,omitempty"`
	AutoPublic bool   `json:"autoPublic,omitempty"`
	PublicTurn bool   `json:"publicTurn,omitempty"`

	Profile *Profile `json:"profile,omitempty"` // as it was when it was given
	// ProfileBy is the association with the profile, "" if the launch made it; ProfileAt its time.
	ProfileBy string           `json:"profileBy,omitempty"`
	ProfileAt time.Time        `json:"profileAt,omitzero"`
	Devices   []attachedDevice `json:"devices,omitempty"`
	// Face is what the first network interface has besides, Faces are the others.
	Face    *firstFace      `json:"face,omitempty"`
	Faces   []faceRecord    `json:"faces,omitempty"`
	Options instanceOptions `json:"options"`

	// reserved is the Capacity Reservation that the instance runs in. It is worked out for answers, and not stored.
	reserved string
	// nameless tells that its VPC gives public addresses no names. It is not stored, as reserved is not.
	nameless bool
}

// A reason is a StateReason.
type reason struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// An attachedDevice is a volume as its instance sees it.
type attachedDevice struct {
	Name                string    `json:"name"`
	Volume              string    `json:"volume"`
	Attached            time.Time `json:"attached"`
	DeleteOnTermination bool      `json:"deleteOnTermination,omitempty"`
}

// instanceOptions are what EC2 keeps and gives back, without any effect here but that of
// the two protections.
type instanceOptions struct {
	EbsOptimized       bool   `json:"ebsOptimized,omitempty"`
	Monitoring         bool   `json:"monitoring,omitempty"`
	ProtectTermination bool   `json:"protectTermination,omitempty"`
	ProtectStop        bool   `json:"protectStop,omitempty"`
	Shutdown           string `json:"shutdown"` // InstanceInitiatedShutdownBehavior
	UserData           string `json:"userData,omitempty"`
	Tenancy            string `json:"tenancy"`
	Spot               bool   `json:"spot,omitempty"`
	SpotPersistent     bool   `json:"spotPersistent,omitempty"`
	SpotRequest        string `json:"spotRequest,omitempty"` // "": the launch's own
	NoSourceCheck      bool   `json:"noSourceCheck,omitempty"`
	Credits            string `json:"credits,omitempty"`   // as asked for
	Key                string `json:"key,omitempty"`       // name of the key pair
	Placement          string `json:"placement,omitempty"` // name of the placement group
	PlacementID        string `json:"placementId,omitempty"`
	DedicatedHost      string `json:"dedicatedHost,omitempty"` // where one of the tenancy host runs, or ran
	Affinity           string `json:"affinity,omitempty"`      // host: it starts on that one only
	Partition          int32  `json:"partition,omitempty"`
	Hibernation        bool   `json:"hibernation,omitempty"`
	Enclave            bool   `json:"enclave,omitempty"`
	SevSnp             string `json:"sevSnp,omitempty"`    // AmdSevSnp as asked for
	Nested             string `json:"nested,omitempty"`    // NestedVirtualization as asked for
	Weighting          string `json:"weighting,omitempty"` // BandwidthWeighting; "": default
	HTTPTokens         string `json:"httpTokens"`
	HTTPHops           int32  `json:"httpHops"`
	HTTPEndpoint       string `json:"httpEndpoint"`
	HTTPv6             string `json:"httpV6"`
	MetadataTags       string `json:"metadataTags"`
	AutoRecovery       string `json:"autoRecovery,omitempty"`    // "": default
	RebootMigration    string `json:"rebootMigration,omitempty"` // "": default
	CoreCount          int32  `json:"coreCount,omitempty"`
	ThreadsPerCore     int32  `json:"threadsPerCore,omitempty"`
	Reservations       string `json:"reservations,omitempty"`      // CapacityReservationPreference; "": open
	ReservationTarget  string `json:"reservationTarget,omitempty"` // id of the only Capacity Reservation that it may run in
	ByResource         bool   `json:"byResource,omitempty"`        // named by its id, not by its address
	ResourceA          bool   `json:"resourceA,omitempty"`         // A record of that name
	ResourceAAAA       bool   `json:"resourceAAAA,omitempty"`
	// Licenses are the ARNs of license configurations.
	Licenses []string `json:"licenses,omitempty"`
}

// recovery says whether an instance is moved off failing hardware: default or disabled.
func (o *instanceOptions) recovery() string {
	return cmp.Or(o.AutoRecovery, ec2api.InstanceAutoRecoveryStateDefault)
}

// migration says whether an instance is moved by a reboot before maintenance: default or disabled.
func (o *instanceOptions) migration() string {
	return cmp.Or(o.RebootMigration, ec2api.InstanceRebootMigrationStateDefault)
}

// weighting says what an instance's bandwidth is for rather: default, vpc-1 or ebs-1.
func (o *instanceOptions) weighting() string {
	return cmp.Or(o.Weighting, ec2api.InstanceBandwidthWeightingDefault)
}

func (o *instanceOptions) cpu() *ec2api.CpuOptions {
	return &ec2api.CpuOptions{
		CoreCount: &o.CoreCount, ThreadsPerCore: &o.ThreadsPerCore, AmdSevSnp: api.Opt(o.SevSnp), NestedVirtualization: api.Opt(o.Nested),
	}
}

func (i *instanceRecord) arn() string { return arn.EC2(i.Region, i.Account, "instance/"+i.ID) }

func (i *instanceRecord) key() []string { return []string{i.Region, i.Account, i.ID} }

// device is the place of a volume among the instance's devices, or -1.
func (i *instanceRecord) device(volume string) int {
	for n := range i.Devices {
		if i.Devices[n].Volume == volume {
			return n
		}
	}
	return -1
}

// instanceTable is keyed by (region, account, instance id).
var instanceTable = store.Table[instanceRecord]{Bucket: "ec2/instance", Version: 1}

// putInstance stores an instance; one that is terminated leaves its network interfaces.
func putInstance(tx store.Tx, i instanceRecord) error {
	if i.gone() {
		if err := i.leaveFaces(tx); err != nil {
			return err
		}
	}
	return instanceTable.Put(tx, i, i.key()...)
}

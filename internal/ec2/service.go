// Package ec2 is the part of Amazon EC2 and Amazon EBS that launches instances on volumes: the
// default network, images, launch templates, instances, volumes and their encryption.
//
// Volumes are real files that blockdev encrypts; an instance runs when the host could open each
// of its volumes with the data key that KMS gave it. Which KMS requests that takes, by whom and in
// which order, is written in package launch alone; this package performs its steps.
package ec2

import (
	"cmp"
	"context"
	"crypto/rand"
	"log/slog"
	"maps"
	"time"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/clock"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/ec2/capacity"
	"github.com/kagimori/kagimori/internal/ec2/eventwindow"
	"github.com/kagimori/kagimori/internal/ec2/hosts"
	"github.com/kagimori/kagimori/internal/ec2/instancetype"
	"github.com/kagimori/kagimori/internal/ec2/keypairs"
	"github.com/kagimori/kagimori/internal/ec2/locks"
	"github.com/kagimori/kagimori/internal/ec2/peering"
	"github.com/kagimori/kagimori/internal/ec2/placement"
	"github.com/kagimori/kagimori/internal/ec2/prefixlist"
	"github.com/kagimori/kagimori/internal/ec2/template"
	"github.com/kagimori/kagimori/internal/ec2/vpc"
	"github.com/kagimori/kagimori/internal/ec2/zone"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/machine"
	"github.com/kagimori/kagimori/internal/store"
)

// Principal is the service principal of EC2.
const Principal = "ec2.amazonaws.com"

// Keys is KMS as EC2 calls it. parent is the EC2 call that it serves.
type Keys interface {
	DescribeKey(ctx context.Context, parent *guard.Call, as guard.Caller, in *kmsapi.DescribeKeyRequest) (*kmsapi.DescribeKeyResponse, error)
	GenerateDataKeyWithoutPlaintext(ctx context.Context, parent *guard.Call, as guard.Caller, in *kmsapi.GenerateDataKeyWithoutPlaintextRequest) (*kmsapi.GenerateDataKeyWithoutPlaintextResponse, error)
	CreateGrant(ctx context.Context, parent *guard.Call, as guard.Caller, in *kmsapi.CreateGrantRequest) (*kmsapi.CreateGrantResponse, error)
	RetireGrant(ctx context.Context, parent *guard.Call, as guard.Caller, in *kmsapi.RetireGrantRequest) error
	ReEncrypt(ctx context.Context, parent *guard.Call, as guard.Caller, in *kmsapi.ReEncryptRequest) (*kmsapi.ReEncryptResponse, error)
	// ReEncryptHalf asks for the permission of one side of a ReEncrypt between Regions, that of the parent's.
	// It fails with DryRunOperationException if it is given.
	ReEncryptHalf(ctx context.Context, parent *guard.Call, as guard.Caller, in *kmsapi.ReEncryptRequest) (*kmsapi.ReEncryptResponse, error)
	Decrypt(ctx context.Context, parent *guard.Call, as guard.Caller, in *kmsapi.DecryptRequest) (*kmsapi.DecryptResponse, error)
	// ResolveKey turns any form of key identifier into the key's ARN, without deciding anything:
	// EC2 itself looks the name up. It fails with KMS's NotFoundException.
	ResolveKey(ctx context.Context, region, account, id string) (string, error)
	// ManagedByAWS tells whether a key, by its ARN, is one that AWS manages: what is encrypted under
	// it cannot be shared. It decides nothing either.
	ManagedByAWS(ctx context.Context, keyARN string) (bool, error)
}

// Timing of what EC2 does after it answered. The zero value of a field means its default.
type Timing struct {
	Volume   time.Duration // CreateVolume until available or gone; 1 s
	Optimize time.Duration // a modification of a volume: optimizing until completed; 10 s
	Snapshot time.Duration // CreateSnapshot until completed; 1 s
	Instance time.Duration // pending until running or terminated; 2 s
	Stop     time.Duration // stopping until stopped, shutting-down until terminated; 1 s
	Forget   time.Duration // how long a terminated instance is still described; 1 h
	Impaired time.Duration // a host is lost until its instances are terminated; 10 s
}

func (t Timing) withDefaults() Timing {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&t.Volume, time.Second)
	def(&t.Optimize, 10*time.Second)
	def(&t.Snapshot, time.Second)
	def(&t.Instance, 2*time.Second)
	def(&t.Stop, time.Second)
	def(&t.Forget, time.Hour)
	def(&t.Impaired, 10*time.Second)
	return t
}

// Config of a [Service].
type Config struct {
	Guard   *guard.Guard
	Clock   *clock.Clock
	Keys    Keys
	Volumes *blockdev.Shelf
	// Host is the name of the host that this process is; "" means "local". Watch shows it the work that
	// other processes write for it; nil if there are none.
	Host  string
	Watch Watch
	// Agent is the host of this process among those of a cluster, which outlives the service. Peers asks
	// those of other nodes. Without an agent the service has a host of its own.
	Agent *hosts.Agent
	Peers hosts.Call
	// OpenFiles is how many files of attached volumes stay open that nobody reads or writes; 0 means 256.
	OpenFiles int
	// AtOnce is how many bytes of changed blocks CreateSnapshot stores before it answers; the blocks of
	// snapshots that have more are stored afterwards. 0 means 16 MiB, less means none.
	AtOnce int64
	// StopWait is how long Stop waits for what is under way; 0 means 20 s.
	StopWait time.Duration
	// ExportAddresses are where clients of NBD find exported volumes: "unix:" and a path, "tls:" or
	// "tcp:" and an address. Without any, volumes are not exported.
	ExportAddresses []string
	// Roles are service-linked roles. Nil means that there are none, and no Spot requests and fleets.
	Roles Roles
	// Profiles finds instance profiles. Nil means that there are none.
	Profiles Profiles
	Quotas   vpc.Quotas
	Timing   Timing
	// Machines run instances; nil is machine.Host, which runs nothing. With an agent they are its.
	Machines machine.Driver
	// Reason chooses the text of launches that failed on a key.
	Reason launch.ReasonStyle
	// Changed is told of every change of an instance's state, after it.
	Changed func(ctx context.Context, region, account, instance string)
	Logger  *slog.Logger
}

// A Service is EC2 for all accounts and regions. Safe for concurrent use.
type Service struct {
	g        *guard.Guard
	dir      *directory.Directory
	clock    *clock.Clock
	keys     Keys
	volumes  *blockdev.Shelf
	roles    Roles
	profiles Profiles
	timing   Timing
	reason   launch.ReasonStyle
	changed  func(ctx context.Context, region, account, instance string)
	log      *slog.Logger
	host     *hosts.Host // the machine of this process that holds open volumes
	room     *room       // all hosts of a cluster; nil: there is one
	name     string      // of the host
	process  string      // this one, among those that write jobs
	stamp    []byte      // what is in all jobs that it wrote
	post     post

	life     lifetime
	nets     *vpc.Service
	peering  *peering.Service
	capacity *capacity.Service
	locks    *locks.Locks // by instance
	// fleetLocks are by fleet. Who holds one may take those of instances.
	fleetLocks *locks.Locks
	tokenLocks *locks.Locks  // by client token of RunInstances. Who holds one may take those of instances.
	lanes      chan struct{} // one element for each launch that is driven
	progress   *progressBook
	storage    *storage
	atOnce     int64
	stopWait   time.Duration
	running    context.Context // ends when Stop has waited long enough
	cut        context.CancelFunc
}

// defaultStopWait is how long Stop waits if nobody says.
const defaultStopWait = 20 * time.Second

// New makes a Service. Call Start before serving.
func New(cfg Config) *Service {
	s := &Service{
		g: cfg.Guard, dir: cfg.Guard.Directory(), clock: cfg.Clock, keys: cfg.Keys, volumes: cfg.Volumes, roles: cfg.Roles, profiles: cfg.Profiles,
		timing: cfg.Timing.withDefaults(), reason: cfg.Reason, changed: cfg.Changed, log: cfg.Logger,
	}
	if s.profiles == nil {
		s.profiles = func(store.Tx, string, string) (Profile, bool, error) { return Profile{}, false, nil }
	}
	if s.changed == nil {
		s.changed = func(context.Context, string, string, string) {}
	}
	s.name, s.process, s.post.watch = cmp.Or(cfg.Host, hosts.Local), rand.Text(), cfg.Watch
	s.stamp = []byte(`"by":"` + s.process + `"`)
	s.locks, s.fleetLocks = locks.New(), locks.New()
	s.host = hosts.New(hosts.Config{
		Volumes: cfg.Volumes, OpenFiles: cfg.OpenFiles, Addresses: cfg.ExportAddresses, Machines: cfg.Machines, Told: s.machineEnded, Logger: cfg.Logger,
	})
	if a := cfg.Agent; a != nil {
		s.host, s.name = a.Host(), a.Name()
		s.room = &room{own: s.name, hosts: map[string]*hostView{}, moves: map[string]bool{}, call: func(ctx context.Context, name, url string, request []byte) ([]byte, error) {
			if name == s.name {
				return a.Serve(ctx, request), nil
			}
			return cfg.Peers(ctx, url, request)
		}}
	}
	s.tokenLocks, s.lanes = locks.New(), make(chan struct{}, maxDriven)
	s.peering = peering.New(cfg.Guard, networks{s})
	s.nets, s.capacity = vpc.New(cfg.Guard, networks{s}, cfg.Quotas), capacity.New(cfg.Guard, machinery{s})
	s.progress = newProgressBook()
	s.storage, s.atOnce = newStorage(), cmp.Or(cfg.AtOnce, defaultAtOnce)
	s.stopWait = cmp.Or(cfg.StopWait, defaultStopWait)
	s.running, s.cut = context.WithCancel(context.Background())
	return s
}

// Operations are the handlers of the service.
func (s *Service) Operations() map[string]guard.Handler {
	ops := map[string]guard.Handler{}
	for _, part := range []map[string]guard.Handler{
		s.networkOperations(), zone.New(s.g).Operations(), instancetype.New(s.g).Operations(), s.imageOperations(), template.New(s.g).Operations(), s.settingOperations(), s.tagOperations(),
		s.instanceOperations(), s.volumeOperations(), s.rootTaskOperations(), keypairs.New(s.g).Operations(), s.securityGroupOperations(), s.vpcOperations(),
		s.elasticOperations(), placement.New(s.g, s.inPlacement).Operations(), s.profileOperations(), s.settingsOfInstances(), s.spotOperations(), s.fleetOperations(),
		s.spotFleetOperations(), s.stateOfImages(), s.allowedOperations(), s.fastLaunchOperations(), s.placeOperations(), s.nets.Operations(), s.peering.Operations(), prefixlist.New(s.g, networks{s}.lists, s.describeFor).Operations(), eventwindow.New(s.g, s.describeFor).Operations(), s.faceOperations(), s.capacity.Operations(),
	} {
		maps.Copy(ops, part)
	}
	return ops
}

package app

import (
	"cmp"
	"errors"
	"log/slog"
	"time"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/autoscaling"
	"github.com/kagimori/kagimori/internal/ec2"
	"github.com/kagimori/kagimori/internal/ec2/vpc"
	"github.com/kagimori/kagimori/internal/gateway"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/hsm/soft"
	"github.com/kagimori/kagimori/internal/objects/s3"
	"github.com/kagimori/kagimori/internal/outbound"
	"github.com/kagimori/kagimori/internal/rate"
	"github.com/kagimori/kagimori/internal/trail/sink"
)

// Config of an [App].
type Config struct {
	// Data is the data directory; it is made if it does not exist.
	Data string
	// Cluster keeps the store in etcd, with other nodes; nil keeps it in the data directory.
	Cluster *Cluster
	// Dev makes a development server: credentials that everybody knows, a clock that can be
	// moved, and reset. A data directory is for one or the other.
	Dev bool
	// Lag is how long changes of IAM take to be seen, in development; 0 is not at all.
	Lag time.Duration
	// Instant has a development server's instances, volumes, snapshots and groups come to rest by the next
	// request about them, which waits for that.
	Instant bool
	// AllowedHosts are the host names that a development server answers for beside the loopback.
	AllowedHosts []string
	// Locks seal the root key of a new data directory, and one of them opens that of an old one. A
	// development server without any keeps it in plain.
	Locks []soft.Lock
	// ParseLock makes a lock of what `kagimori seal` names; nil knows none.
	ParseLock func(spec string) (soft.Lock, error)
	// RequireMlock refuses to run where the system does not keep keys out of the swap space.
	RequireMlock bool
	// FIPS allows approved algorithms only.
	FIPS bool
	// KeyCache bounds the keys that are ready in memory, and of those the ones whose material is; 0 is 4096.
	KeyCache int
	// MaxGroups is the quota of Auto Scaling groups of an account and Region; 0 is AWS's.
	MaxGroups int
	// Networks are the quotas of networks; those that are 0 are AWS's, and a development server's so high that
	// nobody meets them.
	Networks NetworkQuotas
	// Quotas are how often an account may ask; the zero value limits nobody.
	Quotas rate.Quotas
	// MaxConcurrent bounds the requests that are served at once; those above it are throttled. 0 is no bound.
	MaxConcurrent int
	// Committed is told how long each transaction that writes took; nil: nobody is.
	Committed func(time.Duration, error)
	// Watch is that of [gateway.Config].
	Watch gateway.Watcher
	// Version is the program's, for health.
	Version string
	// NoConsole leaves the web console out.
	NoConsole bool
	// AuditSync has each record of the trail on disk before the answer.
	AuditSync bool
	// Sinks are where the audit log is taken to.
	Sinks []sink.Spec
	// AuditRequired is how long a record may wait for a sink before requests are refused; 0 refuses none.
	AuditRequired time.Duration
	// AttestationRoots are the fingerprints of roots of attestation documents, instead of AWS's.
	AttestationRoots []string
	// Outbound is how URLs that tenants supply are reached.
	Outbound outbound.Config
	// Snapshots is the bucket that snapshots are kept in; without a name it is the data directory, or the
	// bucket that was named before.
	Snapshots s3.Config
	// SnapshotFolder is a folder that all nodes of a cluster share, for snapshots; empty is none.
	SnapshotFolder string
	// HostPatience is how long a node of a cluster may be silent before its volumes and instances are given up;
	// 0 is ec2's default.
	HostPatience time.Duration
	// StopWait is how long a server that ends waits for snapshots that are being stored and volumes that are
	// being filled; 0 is 20 s.
	StopWait time.Duration
	// Events is where events of groups go, as [ParseEvents] has it; empty is nowhere.
	Events string
	// XKSPatience is how long KMS waits for an external key store proxy; 0 is as long as at AWS.
	XKSPatience time.Duration
	// Machine is what runs instances: "" or "host" runs nothing, "qemu" boots them, "qemu-tcg" without KVM.
	Machine string
	// NBD are the addresses at which ServeNBD is served, as clients are told: "unix:" and a path, "tls:" or
	// "tcp:" and an address.
	NBD []string
	// NoSync leaves out fsync of the store. Only tests may set it: a crash loses changes.
	NoSync bool
	// Wall is the wall clock; nil is the system's. Only tests set it.
	Wall   func() time.Time
	Logger *slog.Logger // nil is slog.Default()
	// Observe is that of [guard.Config]. Only tests set it.
	Observe func(*guard.Call, *authz.Request)
}

// devTiming is the retry of a development server: first after 5 s, and at most 15 s apart
// (docs/divergences.md).
var devTiming = autoscaling.Timing{RetryFirst: 5 * time.Second, RetryMax: 15 * time.Second, Jitter: 0.1}

// atOnce is how long each step of an instance, a volume or a group takes where it is to take no time.
const atOnce = time.Millisecond

// refreshPending is how long an instance refresh is pending there, so that clients can see it, try a second one
// and cancel it, as at AWS, where a refresh takes minutes. Requests do not wait for it.
const refreshPending = 3 * time.Second

// restBound is how long a request waits for what is not at rest.
const restBound = 2 * time.Second

// NetworkQuotas are the quotas of networks.
type NetworkQuotas = vpc.Quotas

// networks are those that are kept.
func (c Config) networks() vpc.Quotas {
	if !c.Dev {
		return c.Networks
	}
	const plenty = 1000
	n := c.Networks
	return vpc.Quotas{VPCs: cmp.Or(n.VPCs, plenty), Addresses: cmp.Or(n.Addresses, plenty), NATGateways: cmp.Or(n.NATGateways, plenty)}
}

// computeTiming and groupTiming are how long things take on a server.
func (c Config) computeTiming() ec2.Timing {
	if !c.Instant {
		return ec2.Timing{}
	}
	return ec2.Timing{Volume: atOnce, Optimize: atOnce, Snapshot: atOnce, Instance: atOnce, Stop: atOnce}
}

func (c Config) groupTiming() autoscaling.Timing {
	t := autoscaling.Timing{}
	if c.Dev {
		t = devTiming
	}
	if c.Instant {
		t.Detect, t.Refresh = atOnce, refreshPending
	}
	return t
}

// checked is the config with its defaults, or a sentence about what is missing.
func (c Config) checked() (Config, error) {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Wall == nil {
		c.Wall = time.Now
	}
	if c.Data == "" {
		return c, errors.New("a data directory must be named")
	}
	if c.Cluster != nil {
		if err := checkPeerURL(c.Cluster.URL); err != nil {
			return c, err
		}
	}
	if c.Instant && !c.Dev {
		return c, errors.New("app: things come to rest at once on a development server only")
	}
	if len(c.Locks) == 0 && c.Dev {
		c.Locks = []soft.Lock{soft.PlainLock{}}
	}
	if len(c.Locks) == 0 {
		return c, errors.New("the root key needs a seal: --seal=passphrase-file:PATH, or --seal=plain-file to keep it unprotected in the data directory")
	}
	if c.FIPS {
		if err := checkFIPS(c.Locks); err != nil {
			return c, err
		}
		if _, v := soft.FIPS(); v == "latest" {
			c.Logger.Warn("Go's Cryptographic Module of this build was never validated; build with GOFIPS140=v1.0.0 for one that is")
		}
	}
	return c, nil
}

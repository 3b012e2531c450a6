package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/kagimori/kagimori/internal/accessanalyzer"
	"github.com/kagimori/kagimori/internal/api/accessanalyzerapi"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/cloudtrailapi"
	"github.com/kagimori/kagimori/internal/api/ebsapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/api/organizationsapi"
	"github.com/kagimori/kagimori/internal/api/stsapi"
	"github.com/kagimori/kagimori/internal/autoscaling"
	"github.com/kagimori/kagimori/internal/clock"
	"github.com/kagimori/kagimori/internal/cloudtrail"
	"github.com/kagimori/kagimori/internal/desk"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/ebs"
	"github.com/kagimori/kagimori/internal/ec2"
	"github.com/kagimori/kagimori/internal/ec2/hosts"
	"github.com/kagimori/kagimori/internal/gateway"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/hsm/soft"
	"github.com/kagimori/kagimori/internal/iam"
	"github.com/kagimori/kagimori/internal/kagimori"
	"github.com/kagimori/kagimori/internal/kms"
	"github.com/kagimori/kagimori/internal/kms/attest"
	"github.com/kagimori/kagimori/internal/org"
	"github.com/kagimori/kagimori/internal/outbound"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/store/bolt"
	"github.com/kagimori/kagimori/internal/sts"
	"github.com/kagimori/kagimori/internal/sts/webidentity"
	"github.com/kagimori/kagimori/internal/trail"
	"github.com/kagimori/kagimori/internal/trail/sink"
	"github.com/kagimori/kagimori/internal/xks"
	"github.com/kagimori/kagimori/internal/xksproxy"
)

// server is everything between a store and its handler: what a reset makes anew.
type server struct {
	store   *engine
	shared  store.Store // with the keyring following the seal, if nodes share it
	seen    store.Store // as requests see it
	clock   *clock.Clock
	instant bool // Config.Instant
	trail   *trail.Trail
	guard   *guard.Guard
	guards  func(store.Store, func(context.Context) (context.Context, error)) *guard.Guard
	folders []*os.Root
	kms     *kms.Service
	// idle works never: it tells what others have to know of instances and groups. Without a cluster it
	// is the shift that works.
	idle      *shift
	hire      func(*guard.Guard) *shift
	work      atomic.Pointer[shift] // nil while another node works
	lead      *leader               // nil without a cluster
	peers     *peers                // nil without a cluster
	proxy     *xksproxy.Service
	outbound  *outbound.Client // for URLs that tenants supply
	sinks     *sink.Set
	required  time.Duration // how long a record may wait for a sink; 0 is for ever
	keeper    *keeper
	handler   http.Handler
	issuers   http.Handler // of web tokens
	front     http.Handler // what requests meet first: the handler, or one that may pass them on
	rested    bool
	cursors   cursors
	agent     *hosts.Agent // nil without a cluster
	hostPeers *hostPeers   // nil without a cluster
	lines     *lines       // nil without a cluster
}

// openStore opens the store of the data directory and puts what is wrong with it in a sentence.
func openStore(cfg Config) (*bolt.Store, error) {
	if err := checkFormat(cfg.Data); err != nil {
		return nil, err
	}
	st, err := bolt.Open(bolt.Config{Path: filepath.Join(cfg.Data, storeFile), NoSync: cfg.NoSync, Logger: cfg.Logger})
	switch {
	case errors.Is(err, store.ErrLocked):
		return nil, inUse(cfg.Data)
	case errors.Is(err, store.ErrCorrupt):
		return nil, fmt.Errorf("the data directory %s cannot be used: %s", cfg.Data, strings.TrimPrefix(err.Error(), store.ErrCorrupt.Error()+": "))
	case err != nil:
		return nil, fmt.Errorf("the data directory %s cannot be used: %s", cfg.Data, strings.TrimPrefix(err.Error(), "store: "))
	}
	return st, nil
}

// newServer makes and starts a server over an open store. If it fails, everything it made and the
// store are closed.
func newServer(ctx context.Context, cfg Config, dir *os.Root, module *soft.Module, st *engine) (_ *server, err error) {
	s := &server{store: st, clock: clock.NewOn(cfg.Wall), instant: cfg.Instant, outbound: outbound.New(cfg.Outbound)}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if cfg.Dev {
		if err := s.catchUp(ctx); err != nil {
			return nil, err
		}
	}
	s.shared = s.following(cfg, module)
	if cfg.Committed != nil {
		s.shared = timed{s.shared, cfg.Committed}
	}
	s.seen = cfg.consistent(s.shared, s.clock.Now)
	d, err := directory.New(directory.Config{
		Store: s.seen, Keys: module.Box("access key"), Sessions: directory.SessionBoxes(module.SessionBox), Wall: cfg.Wall, Dev: cfg.Dev,
	})
	if err != nil {
		return nil, err
	}
	if err := s.openTrail(cfg, dir, module); err != nil {
		return nil, err
	}
	s.guards = func(st store.Store, fence func(context.Context) (context.Context, error)) *guard.Guard {
		return guard.New(guard.Config{
			Store: st, Fence: fence, Directory: d, Trail: s.trail, Now: s.clock.Now, Logger: cfg.Logger, Observe: cfg.Observe,
			Encode: sts.Messages{Box: module.Box(messageBox)}.Encode,
		})
	}
	s.guard = s.guards(s.seen, nil)
	if !cfg.Dev {
		if err := s.setUpOnce(ctx, cfg, dir, d); err != nil {
			return nil, err
		}
	}
	s.keeper = s.newKeeper(cfg, module)
	s.cursors = cursors{module.Box("list token")}
	services, err := s.services(ctx, cfg, dir, module)
	if err != nil {
		return nil, err
	}
	s.handler, err = gateway.New(gateway.Config{
		Services: services, Verifier: sigv4.NewVerifier(sigv4.Config{}), Credentials: unproved{d}, Admit: d.Admit, Invoke: s.invoke,
		Clock: s.clock.Now, Logger: cfg.Logger, Protected: true,
		MaxConcurrent: cfg.MaxConcurrent, Limit: limit(cfg.Quotas), Watch: cfg.Watch,
	})
	if err != nil {
		return nil, err
	}
	if s.front = s.handler; st.node != nil {
		if s.front, err = newForwarder(s, module.Box(forwardBox), st.node.cfg.PeerTLS); err != nil {
			return nil, err
		}
	}
	if err := s.openSinks(cfg, dir); err != nil {
		return nil, err
	}
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	st.started()
	return s, nil
}

// invoke serves a client's call.
func (s *server) invoke(ctx context.Context, c *guard.Call, in any, h guard.Handler) (any, error) {
	if err := s.recorded(); err != nil {
		return nil, err
	}
	if err := s.guard.Directory().Used(ctx, c.Caller.Identity, c.Service, c.Region); err != nil {
		return nil, err
	}
	return s.guard.Invoke(ctx, c, in, sts.Limited(c, s.cursors.wrap(h)))
}

// unproved looks callers up for the gateway, which has not verified their signatures yet.
type unproved struct{ d *directory.Directory }

// Lookup is the directory's Find.
func (u unproved) Lookup(ctx context.Context, accessKeyID, token string) (secret.String, directory.Identity, error) {
	return u.d.Find(ctx, accessKeyID, token)
}

// messageBox is the purpose under which the details of EC2's denials are sealed.
const messageBox = "authorization message"

func (s *server) openTrail(cfg Config, dir *os.Root, module *soft.Module) error {
	folder, err := s.folder(dir, trailDir)
	if err != nil {
		return err
	}
	mac, err := module.MAC("trail checkpoint")
	if err != nil {
		return err
	}
	s.trail, err = trail.Open(trail.Config{
		Dir: folder, Store: s.store, Node: s.store.name(), Sync: cfg.AuditSync, Now: s.clock.Now, Key: mac, Logger: cfg.Logger,
	})
	if err != nil {
		return fmt.Errorf("the audit log in %s cannot be opened: %w", folder.Name(), cause(err))
	}
	return nil
}

// folder opens a folder of the data directory for as long as the server lives.
func (s *server) folder(dir *os.Root, name string) (*os.Root, error) {
	f, err := dir.OpenRoot(name)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be opened: %w", filepath.Join(dir.Name(), name), cause(err))
	}
	s.folders = append(s.folders, f)
	return f, nil
}

// services makes the services and gives each the others, as the interfaces that it asks for.
func (s *server) services(ctx context.Context, cfg Config, dir *os.Root, module hsm.Module) ([]gateway.Service, error) {
	place, err := s.shelf(ctx, cfg, dir)
	if err != nil {
		return nil, err
	}
	volumes := place.Shelf
	machines, err := newMachines(cfg)
	if err != nil {
		return nil, err
	}
	if err := s.newAgent(cfg, module, place, machines); err != nil {
		return nil, err
	}
	s.kms = kms.New(kms.Config{Guard: s.guard, Module: module, Clock: s.clock, Logger: cfg.Logger, Cache: cfg.KeyCache, CustomIDs: cfg.Dev, Destroyed: s.keeper.destroyed,
		Background: s.background,
		Attest:     attest.NewVerifier(cfg.Wall, cfg.AttestationRoots...), External: xks.NewClient(xks.ClientConfig{Outbound: s.outbound, Patience: cfg.XKSPatience})})
	people := iam.New(iam.Config{
		Guard: s.guard, Markers: module.Box("iam marker"), Secrets: module.Box("iam secret"), Uses: uses(s.trail),
		RoleUsage: func(tx store.Tx, roleARN string) (map[string][]string, error) {
			return s.idle.groups.RoleUsage(tx, roleARN)
		},
	})
	sessions := sts.New(sts.Config{
		Guard: s.guard, Wall: cfg.Wall, Messages: sts.Messages{Box: module.Box(messageBox)}, MFA: people.CheckMFA, Logger: cfg.Logger,
		RootAccess: people.RootAccess,
		Tokens:     webidentity.New(webidentity.Config{Outbound: s.outbound}),
		Issuer: func(tx store.Tx, account, issuer string) (sts.Issuer, bool, error) {
			i, ok, err := people.FindIssuer(tx, account, issuer)
			return sts.Issuer(i), ok, err
		},
		Outbound: sts.Outbound{Issuer: people.OutboundIssuer, Keys: module.Box("web token key")},
		SAML: func(tx store.Tx, providerARN string) (sts.SAMLProvider, bool, error) {
			p, ok, err := people.FindSAMLIssuer(tx, providerARN)
			return sts.SAMLProvider(p), ok, err
		},
	})
	s.issuers = webIssuers{func(r *http.Request, fn func(store.Tx) error) error { return s.guard.Read(r.Context(), fn) }, people, sessions, cfg.Logger}
	s.hire = func(g *guard.Guard) *shift {
		w := &shift{}
		w.ec2 = ec2.New(ec2.Config{
			Guard: g, Clock: s.clock, Keys: keys{g, s.kms}, Volumes: volumes, Host: s.store.name(), Logger: cfg.Logger,
			ExportAddresses: cfg.NBD, Machines: machines(), Timing: cfg.computeTiming(), Quotas: cfg.networks(), StopWait: cfg.StopWait, Agent: s.agent, Peers: s.askPeer,
			Roles: roles{g, people, sessions},
			Profiles: func(tx store.Tx, account, nameOrARN string) (ec2.Profile, bool, error) {
				p, ok, err := people.FindInstanceProfile(tx, account, nameOrARN)
				return ec2.Profile(p), ok, err
			},
			Changed: func(ctx context.Context, region, account, instance string) {
				w.groups.InstanceChanged(ctx, region, account, instance)
			},
		})
		w.ebs = ebs.New(ebs.Config{
			Guard: g, Clock: s.clock, Keys: keys{g, s.kms}, Snapshots: snapshots{w.ec2.Direct()}, Volumes: volumes,
			Blocks: module.Box("ebs block token"), Pages: module.Box("ebs page token"), Logger: cfg.Logger,
		})
		w.groups = autoscaling.New(autoscaling.Config{
			Guard: g, Clock: s.clock, Compute: compute{g, w.ec2.Operations()}, Roles: roles{g, people, sessions},
			Profiles: func(tx store.Tx, account, nameOrARN string) (string, bool, error) {
				p, ok, err := people.FindInstanceProfile(tx, account, nameOrARN)
				return p.RoleARN, ok, err
			},
			Images: w.ec2.CheckImage,
			Timing: cfg.groupTiming(), MaxGroups: cfg.MaxGroups, Events: eventSink(cfg.Events, s.outbound), Logger: cfg.Logger,
		})
		return w.ready()
	}
	s.idle = s.hire(s.guard)
	tree := org.New(org.Config{Guard: s.guard, Tokens: module.Box("organizations token"), Roles: roles{s.guard, people, sessions}})
	events := cloudtrail.New(cloudtrail.Config{Guard: s.guard, Trail: s.trail, Sources: s.eventSources(module), Tokens: module.Box("cloudtrail token")})
	s.proxy = xksproxy.New(xksproxy.Config{
		Guard: s.guard, Keys: proxyKeys{s.guard, s.kms, s.recorded}, Roles: roles{s.guard, people, sessions}, Box: module.Box("xks credential"),
		Wall: cfg.Wall, Version: cfg.Version, Logger: cfg.Logger,
	})
	why := kagimori.New(kagimori.Config{Guard: s.guard, Trail: s.trail, Keys: s.kms.Questions(), Activities: s.idle.groups, Launches: keyUses{s.idle.ec2, s.idle.groups}})
	return []gateway.Service{
		{API: kmsapi.Service(), Ops: s.kms.Operations()},
		{API: iamapi.Service(), Ops: people.Operations()},
		{API: stsapi.Service(), Ops: sessions.Operations()},
		{API: ec2api.Service(), Ops: s.working(computeOps)},
		{API: ebsapi.Service(), Ops: s.working(blockOps)},
		{API: autoscalingapi.Service(), Ops: s.working(groupOps)},
		{API: organizationsapi.Service(), Ops: tree.Operations()},
		{API: cloudtrailapi.Service(), Ops: events.Operations()},
		{API: accessanalyzerapi.Service(), Ops: accessanalyzer.New(s.guard).Operations()},
		{API: kagimoriapi.Service(), Ops: together(why.Operations(), s.proxy.Operations(), desk.New(s.guard).Operations(), s.working(ownOps))},
	}, nil
}

// start begins the work that nobody asks for, lowest service first: keys, then instances, then
// groups, which use both.
func (s *server) start(ctx context.Context) error {
	if s.store.node != nil {
		s.agent.Start(ctx)
		s.startLeading()
		return nil
	}
	if err := s.keeper.start(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	if err := s.kms.Start(ctx); err != nil {
		return err
	}
	if err := s.idle.start(ctx); err != nil {
		return err
	}
	s.work.Store(s.idle)
	return nil
}

// close ends the loops, waits for what runs, and closes from the top down. It is safe on a server
// that was made in part.
func (s *server) close() error { return errors.Join(s.rest(), s.store.Close()) }

// rest is close, but for the store. A second one does nothing.
func (s *server) rest() error {
	if s.rested {
		return nil
	}
	s.rested = true
	s.stopLeading()
	if s.agent != nil {
		s.agent.Stop()
	}
	if s.idle != nil {
		s.idle.stop()
	}
	s.clock.Stop()
	if s.outbound != nil {
		s.outbound.Close()
	}
	if s.kms != nil {
		s.kms.Stop(context.Background())
	}
	var err error
	if s.trail != nil {
		err = errors.Join(s.closeSinks(), s.trail.Close())
	}
	for _, f := range s.folders {
		err = errors.Join(err, f.Close())
	}
	return err
}

package ec2

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/ec2/hosts"
	"github.com/kagimori/kagimori/internal/store"
)

// A room is the hosts of a cluster, as the node that works sees them. Times are of its own clock: what counts
// is how long it has seen no new sign of life. Safe for concurrent use.
type room struct {
	own   string // name of this node's host
	token uint64
	call  func(ctx context.Context, name, url string, request []byte) ([]byte, error)

	mu    sync.Mutex
	hosts map[string]*hostView // guarded by mu
	moves map[string]bool      // volumes that are being moved: their new host keeps the file; guarded by mu
}

// A hostView is a host of the room, guarded by the room's mu.
type hostView struct {
	rec   hosts.Record
	seen  time.Time // when the latest sign of life was noticed
	life  string    // the one that was taken up; "" none yet
	lost  bool
	load  int                        // instances and volumes
	asked bool                       // what its machines did
	holds map[string]map[string]bool // volumes, by instance
	there context.Context            // ends when the host is lost or another one
	end   context.CancelFunc
}

// Shelves are what hosts tell of where their snapshots are, those that others can read.
func Shelves(tx store.Tx) ([]string, error) {
	var out []string
	for r, err := range hosts.Table.Scan(tx) {
		if err != nil {
			return nil, err
		}
		if r.Value.Shelf != "" {
			out = append(out, r.Value.Shelf)
		}
	}
	return out, nil
}

func (m *room) rack(name string) hosts.Rack {
	m.mu.Lock()
	defer m.mu.Unlock()
	v := m.hosts[name]
	switch {
	case v != nil && v.lost:
		return hosts.Empty{Why: hosts.ErrLost}
	case v == nil || v.life == "":
		return hosts.Empty{Why: hosts.ErrAway}
	}
	return m.remote(v, v.life)
}

// names are those of all hosts.
func (m *room) names() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for name := range m.hosts {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// urlOf is where the node of a host is.
func (m *room) urlOf(name string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if v := m.hosts[name]; v != nil {
		return v.rec.URL
	}
	return ""
}

// skilled reports whether the nodes of all hosts that are not lost can do something.
func (m *room) skilled(skill int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, v := range m.hosts {
		if !v.lost && v.rec.Skill < skill {
			return false
		}
	}
	return true
}

// errNoHost: there is no host that could take anything new.
func errNoHost() error {
	return (&apierr.Error{Code: "InsufficientInstanceCapacity", Server: true, Message: "There is no host that can take what was asked for. Try again later."}).WithStatus(500)
}

// spread chooses hosts for n new things, each the one with the least on it: instances that are not
// terminated, and volumes. Hosts that leave are left out, and those whose snapshots others cannot read, but
// for this node's own. Where some run machines, the others get no instances.
func (m *room) spread(n int, instances bool) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	type place struct {
		name  string
		load  int
		boots bool
	}
	alone := m.hosts[m.own] == nil || m.hosts[m.own].rec.Shelf == ""
	var all []place
	for name, v := range m.hosts {
		if v.lost || v.life == "" || v.rec.Leaving || name != m.own && (alone || v.rec.Shelf == "") {
			continue
		}
		all = append(all, place{name, v.load, v.rec.Boots})
	}
	if instances && slices.ContainsFunc(all, func(p place) bool { return p.boots }) {
		all = slices.DeleteFunc(all, func(p place) bool { return !p.boots })
	}
	if len(all) == 0 {
		return nil, errNoHost()
	}
	out := make([]string, n)
	for i := range out {
		least := &all[0]
		for k := range all {
			if p := &all[k]; cmp.Or(cmp.Compare(p.load, least.load), strings.Compare(p.name, least.name)) < 0 {
				least = p
			}
		}
		least.load++
		out[i] = least.name
	}
	return out, nil
}

// more counts what was put on a host.
func (m *room) more(name string, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if v := m.hosts[name]; v != nil {
		v.load = max(0, v.load+n)
	}
}

// hostsFor chooses hosts for n new instances.
func (s *Service) hostsFor(n int) ([]string, error) {
	if s.room == nil {
		return slices.Repeat([]string{s.name}, n), nil
	}
	return s.room.spread(n, true)
}

// hostFor chooses the host for a new volume.
func (s *Service) hostFor() (string, error) {
	if s.room == nil {
		return s.name, nil
	}
	all, err := s.room.spread(1, false)
	if err != nil {
		return "", err
	}
	return all[0], nil
}

// counted tells the room what was put on a host or taken from it.
func (s *Service) counted(host string, n int) {
	if s.room != nil {
		s.room.more(host, n)
	}
}

// How often hosts are looked at, and how often what is on them is counted anew.
const (
	roomPause = time.Second
	roomCount = time.Minute
)

// openRoom begins to follow the hosts of the cluster, and takes up those that are there.
func (s *Service) openRoom(ctx context.Context) error {
	if s.room == nil {
		return nil
	}
	if f, ok := store.FenceOf(ctx); ok {
		s.room.token = f.Token
	}
	if err := s.lookAround(ctx); err != nil {
		return err
	}
	for _, name := range s.room.names() {
		if s.room.isLost(name) { // whoever gave it up may not have come to the end
			s.clock.AfterFunc(s.timing.Impaired, func() { s.terminateLost(name) })
		}
	}
	return nil
}

// watchRoom looks at the hosts again and again, in real time, as they give their signs of life.
func (s *Service) watchRoom() {
	if s.room == nil {
		return
	}
	time.AfterFunc(roomPause, func() {
		if !s.life.enter() {
			return
		}
		defer s.life.leave()
		if err := s.lookAround(s.running); err != nil && !interrupted(err) {
			store.Report(s.running, s.log, "the hosts cannot be looked at", err)
		}
		s.watchRoom()
	})
}

// lookAround sees which hosts are there, takes up those that came, and gives up those that are silent.
func (s *Service) lookAround(ctx context.Context) error {
	var recs []hosts.Record
	err := s.g.Read(ctx, func(tx store.Tx) error {
		recs = nil
		for r, err := range hosts.Table.Scan(tx) {
			if err != nil {
				return err
			}
			if r.Value.Beat > 0 {
				recs = append(recs, r.Value)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	var errs []error
	for _, rec := range recs {
		switch took, silent := s.room.notice(rec, s.elapsed()); {
		case silent:
			errs = append(errs, s.loseHost(ctx, rec))
		case took:
			if err := s.takeUpHost(ctx, rec); err != nil && !errors.Is(err, hosts.ErrAway) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// elapsed is a clock that nobody moves: how long hosts are silent is a matter of real time.
func (s *Service) elapsed() time.Time { return time.Now() }

// notice takes note of a host's record: took tells that it is to be taken up, silent that it was silent for
// too long.
func (m *room) notice(rec hosts.Record, now time.Time) (took, silent bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v := m.hosts[rec.Name]
	if v == nil {
		v = &hostView{rec: rec, seen: now, holds: map[string]map[string]bool{}, lost: !rec.Lost.IsZero()}
		v.there, v.end = context.WithCancel(context.Background())
		m.hosts[rec.Name] = v
	}
	if v.rec.Beat != rec.Beat {
		v.seen = now
	}
	v.rec = rec
	if v.lost {
		if !rec.Lost.IsZero() {
			return false, false
		}
		v.lost = false // it said so
	}
	if v.life != "" && (v.life != rec.Life || rec.Leaving) {
		m.retire(v)
	}
	wait := rec.Patience
	if rec.Leaving {
		wait *= hosts.LeavingPatience
	}
	if now.Sub(v.seen) > wait {
		return false, true
	}
	return v.life == "" && !rec.Leaving, false
}

// retire ends what is under way with a host. The caller holds mu.
func (m *room) retire(v *hostView) {
	v.end()
	v.there, v.end = context.WithCancel(context.Background())
	v.life, v.holds = "", map[string]map[string]bool{}
}

// takeUpHost begins to work with a host: what nobody knows it removes, and volumes of running instances that
// it does not hold it opens again.
func (s *Service) takeUpHost(ctx context.Context, rec hosts.Record) error {
	known, err := s.count(ctx)
	if err != nil {
		return err
	}
	s.room.mu.Lock()
	v := s.room.hosts[rec.Name]
	r := s.room.remote(v, rec.Life)
	s.room.mu.Unlock()
	out, err := r.Attend(ctx, append(known.on(rec.Name), s.room.movingNow()...))
	if err != nil {
		return err
	}
	if out.Life != rec.Life {
		return hosts.ErrAway
	}
	load := 0
	for _, v := range known.volumes {
		if v.Host == rec.Name {
			load++
		}
	}
	mine := *known
	mine.instances = nil
	for _, i := range known.instances {
		if i.Host == rec.Name && i.State != terminated {
			load++
		}
		if i.State != terminated && (i.Host == rec.Name || known.hasOn(&i, rec.Name)) {
			mine.instances = append(mine.instances, i)
		}
	}
	s.room.mu.Lock()
	v.life, v.load = rec.Life, load
	for id, instances := range out.Held {
		v.holds[id] = map[string]bool{}
		for _, i := range instances {
			v.holds[id][i] = true
		}
	}
	s.room.mu.Unlock()
	s.log.Info("a host is there", "host", rec.Name, "instances", len(mine.instances))
	if err := s.findAgain(ctx, rec.Name, known); err != nil {
		return err
	}
	var keyless []instanceRecord
	for _, i := range mine.instances {
		switch {
		case slices.ContainsFunc(i.Devices, func(d attachedDevice) bool { return s.opensAgain(known.volumes[d.Volume], i.ID) }):
			keyless = append(keyless, i)
		case s.machineLacks(&i, rec.Name, out.Machines) && known.jobs[i.ID] == nil:
			s.bootSoon(&i) // who opened its volumes again came to no end
		}
	}
	mine.instances = keyless
	return s.reopenAll(ctx, &mine)
}

// machineLacks reports whether a running instance on a host that runs machines has none.
func (s *Service) machineLacks(i *instanceRecord, host string, there *hosts.MachineReport) bool {
	return i.Host == host && i.State == running && s.rack(host).Boots() && there != nil && !slices.Contains(there.There, i.ID)
}

// hasOn reports whether an instance has a volume that is on a host.
func (c *census) hasOn(i *instanceRecord, host string) bool {
	return slices.ContainsFunc(i.Devices, func(d attachedDevice) bool { return c.volumes[d.Volume].Host == host })
}

// opensAgain reports whether a host that is there lost the key of an instance's volume.
func (s *Service) opensAgain(v volumeRecord, instance string) bool {
	return s.room == nil || !s.absent(v.Host) && !s.rack(v.Host).Holds(v.ID, instance)
}

// moving notes that a volume is being moved, or is no longer.
func (m *room) moving(id string, yes bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.moves[id] = true; !yes {
		delete(m.moves, id)
	}
}

func (m *room) movingNow() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Keys(m.moves))
}

// on are the volumes and snapshots that a host may have: those that somebody knows, or that work makes.
func (c *census) on(host string) []string {
	var out []string
	for id, v := range c.volumes {
		if v.Host == host || cmp.Or(v.Host, hosts.Local) == hosts.Local { // of a single server, whose directory this may have been
			out = append(out, id)
		}
	}
	for id := range c.snapshots {
		out = append(out, id)
	}
	for _, j := range c.jobs {
		if j.Host != host {
			continue
		}
		for _, v := range j.State.Volumes() {
			out = append(out, v.VolumeID)
		}
	}
	return append(out, c.discards...)
}

// rack is a host by its name.
func (s *Service) rack(name string) hosts.Rack {
	if s.room == nil {
		return s.host.Rack()
	}
	return s.room.rack(name)
}

// here refuses what only the host of a volume can do at once, if it cannot be asked.
func (s *Service) here(v *volumeRecord) error {
	switch _, empty := s.rack(v.Host).(hosts.Empty); {
	case s.room != nil && empty:
		return apierr.Newf("UnsupportedOperation", "Volume %s is on the host %s, which is not there.", v.ID, v.Host)
	case s.room == nil && !s.ours(v.Host):
		return apierr.Newf("UnsupportedOperation", "Volume %s is on the host %s; this is the host %s.", v.ID, v.Host, s.name)
	}
	return nil
}

// removeSnapshot deletes the data of a snapshot, wherever it is; done is false as long as a host that may
// have it is not there.
func (s *Service) removeSnapshot(ctx context.Context, id string) (done bool, err error) {
	if s.room == nil {
		err := blockdev.Remove(s.volumes, id)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return true, err
	}
	done = true
	for _, name := range s.room.names() {
		r := s.rack(name)
		if _, empty := r.(hosts.Empty); empty {
			done = false
			continue
		}
		if err := r.Remove(ctx, id); err != nil {
			return false, err
		}
	}
	return done, nil
}

// remote is a host in one of its lives. The room is locked.
func (m *room) remote(v *hostView, life string) hosts.Remote {
	return hosts.Remote{Name: v.rec.Name, URL: v.rec.URL, Life: life, Token: m.token, There: v.there, Call: m.call, Book: page{m, v}}
}

package hosts

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/machine"
	"github.com/kagimori/kagimori/internal/store"
)

// DefaultPatience is how old the last sign of life of a host may be before it counts as lost.
const DefaultPatience = 30 * time.Second

// AgentConfig is that of an [Agent].
type AgentConfig struct {
	Name  string // of the host
	URL   string // where the node is that has it
	Shelf string // what others need to read its snapshots; "" if they cannot
	// Store is where hosts say that they are there.
	Store   store.Store
	Volumes *blockdev.Shelf
	Now     func() time.Time
	// OpenFiles and ExportAddresses are those of [Config].
	OpenFiles       int
	ExportAddresses []string
	// Machines run the instances of the host; nil is machine.Host, which runs nothing. Dial is how they come to
	// volumes with Multi-Attach that are on the hosts of other nodes; see [Agent.ServeLine].
	Machines machine.Driver
	Dial     Dial
	// Patience is how long the host may be silent before it counts as lost; 0 is DefaultHostPatience. After
	// half of it the host lets go of all keys by itself: whoever gives it up may rely on that.
	Patience time.Duration
	Logger   *slog.Logger
}

// An Agent is the host of a node among several: it says that it is there, and does what the node that works
// asks of it. It outlives the terms of that. Safe for concurrent use.
type Agent struct {
	cfg  AgentConfig
	host *Host
	stop context.CancelFunc
	done sync.WaitGroup

	gate sync.RWMutex // whoever takes keys has it for reading, whoever lets go of all for writing

	mu     sync.Mutex
	life   string             // another one after keys were lost; guarded by mu
	down   bool               // no sign of life came through for too long; guarded by mu
	left   bool               // it said that it will be back; guarded by mu
	seen   time.Time          // beginning of the last one that did; guarded by mu
	token  uint64             // of the latest lease that asked; guarded by mu
	begun  map[string]*begun  // snapshots, by id; guarded by mu
	cancel context.CancelFunc // ends what the lease asked for; guarded by mu
	asked  context.Context    // guarded by mu
}

// A begun snapshot waits to be stored.
type begun struct {
	p       *blockdev.Pending
	timeout *time.Timer
}

// NewAgent makes an Agent, which removes what a crash left in its folder. Call Start.
func NewAgent(cfg AgentConfig) (*Agent, error) {
	cfg.Patience = cmp.Or(cfg.Patience, DefaultPatience)
	if _, err := blockdev.Sweep(cfg.Volumes); err != nil {
		return nil, err
	}
	a := &Agent{cfg: cfg, life: rand.Text(), down: true, begun: map[string]*begun{}, stop: func() {}}
	a.host = New(Config{
		Volumes: cfg.Volumes, OpenFiles: cfg.OpenFiles, Addresses: cfg.ExportAddresses, Machines: cfg.Machines, Dial: cfg.Dial, Logger: cfg.Logger,
	})
	a.asked, a.cancel = context.WithCancel(context.Background())
	return a, nil
}

// Name is the host's, and Host the host itself, for a service in the same process.
func (a *Agent) Name() string { return a.cfg.Name }

// Host is the agent's.
func (a *Agent) Host() *Host { return a.host }

// Start begins to say that the host is there. It is no error if that does not come through yet.
func (a *Agent) Start(ctx context.Context) {
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	a.stop = stop
	a.tell(run, false)
	a.done.Go(func() { a.every(run, a.cfg.Patience/6, func() { a.tell(run, false) }) })
	a.done.Go(func() { a.every(run, a.cfg.Patience/24, a.watch) })
}

func (a *Agent) every(ctx context.Context, d time.Duration, do func()) {
	t := time.NewTicker(d)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			do()
		case <-ctx.Done():
			return
		}
	}
}

// Stop lets go of everything, and says that the host will be back: it is waited for longer. Guests shut down in
// the time for which it is.
func (a *Agent) Stop() {
	a.stop()
	a.done.Wait()
	a.haltMachines()
	a.letGo("")
	a.host.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	a.tell(ctx, true)
}

// haltMachines shuts all machines down, in no more time than nobody gives the host up.
func (a *Agent) haltMachines() {
	if !a.host.machines.boots() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), a.cfg.Patience/4)
	a.tell(ctx, true)
	cancel()
	a.mu.Lock()
	until := a.seen.Add(a.cfg.Patience / 2)
	if a.left {
		until = a.seen.Add(a.cfg.Patience * LeavingPatience / 2)
	}
	a.mu.Unlock()
	ctx, cancel = context.WithDeadline(context.Background(), until)
	defer cancel()
	a.host.machines.haltAll(ctx)
}

// tell writes a sign of life. A host that was given up says that it is there again only when it has let go of
// everything.
func (a *Agent) tell(ctx context.Context, leaving bool) {
	begun := time.Now()
	ctx, cancel := context.WithTimeout(ctx, a.cfg.Patience/4)
	defer cancel()
	lost := false
	err := a.cfg.Store.View(ctx, func(tx store.Tx) error {
		r, _, err := Table.Get(tx, a.cfg.Name)
		lost = !r.Lost.IsZero()
		return err
	})
	if err == nil && lost {
		a.letGo("the host was given up")
	}
	a.mu.Lock()
	life := a.life
	a.mu.Unlock()
	if err == nil {
		err = a.cfg.Store.Update(ctx, func(tx store.Tx) error {
			r, ok, err := Table.Get(tx, a.cfg.Name)
			switch {
			case err != nil:
				return err
			case !ok:
				r = Record{Name: a.cfg.Name, Since: a.cfg.Now()}
			case !lost && !r.Lost.IsZero():
				return ErrLost // just now: at the next time
			}
			if r.Life != life {
				r.Started = a.cfg.Now()
			}
			r.Beat, r.Life, r.URL, r.Shelf, r.Patience, r.Leaving, r.Lost = r.Beat+1, life, a.cfg.URL, a.cfg.Shelf, a.cfg.Patience, leaving, time.Time{}
			r.Skill, r.Boots = Skill, a.host.machines.boots()
			return Table.Put(tx, r, a.cfg.Name)
		})
	}
	if err != nil {
		if ctx.Err() == nil || !errors.Is(err, context.Canceled) {
			a.cfg.Logger.Warn("the host's sign of life does not come through", "host", a.cfg.Name, "error", err)
		}
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.life == life {
		a.seen, a.down, a.left = begun, leaving, leaving
	}
}

// watch lets go of all keys when no sign of life came through for half of the patience: by then nobody has
// given the host up, and afterwards somebody may.
func (a *Agent) watch() {
	a.mu.Lock()
	late := !a.down && time.Since(a.seen) > a.cfg.Patience/2
	a.mu.Unlock()
	if late {
		a.letGo("no sign of life came through")
	}
}

// letGo switches all machines off, closes all volumes and drops their keys; what the host is asked for it refuses
// until it has said that it is another one.
func (a *Agent) letGo(why string) {
	a.mu.Lock()
	a.forsake() // so that who has the gate leaves it soon
	a.mu.Unlock()
	a.gate.Lock()
	defer a.gate.Unlock()
	a.mu.Lock()
	a.down, a.life = true, rand.Text()
	a.forsake()
	a.mu.Unlock()
	a.host.machines.cut()
	n, err := a.host.dropAll()
	if err != nil {
		a.cfg.Logger.Error("a volume was not closed properly", "error", err)
	}
	if n > 0 && why != "" {
		a.cfg.Logger.Warn("the host let go of its volumes", "host", a.cfg.Name, "volumes", n, "why", why)
	}
}

// forsake ends what was asked for and gives up what was begun. The caller holds mu.
func (a *Agent) forsake() {
	a.cancel()
	a.asked, a.cancel = context.WithCancel(context.Background())
	for id, b := range a.begun {
		delete(a.begun, id)
		b.timeout.Stop()
		go b.p.Drop()
	}
}

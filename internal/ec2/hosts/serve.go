package hosts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/secret"
)

// beginPatience is how long a begun snapshot waits to be stored.
const beginPatience = 2 * time.Minute

// Serve does what the node that works asks for. Its errors are in the answer.
func (a *Agent) Serve(ctx context.Context, request []byte) []byte {
	var in order
	out := reply{}
	err := json.Unmarshal(request, &in)
	if err == nil {
		defer clear(in.Key)
		defer clear(in.FromKey)
		err = a.serve(ctx, &in, &out)
	}
	if err != nil {
		out.fail(err)
	}
	answer, err := json.Marshal(out)
	if err != nil {
		a.cfg.Logger.Error("a host's answer cannot be written", "error", err)
	}
	return answer
}

// admit lets a request in: of the latest lease, for the host as it is now. ctx ends with either.
func (a *Agent) admit(ctx context.Context, in *order) (_ context.Context, done func(), fresh bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if in.Token < a.token {
		return nil, nil, false, fmt.Errorf("%w: another node works", ErrAway)
	}
	if fresh = in.Token > a.token; fresh {
		a.token = in.Token
		a.forsake()
	}
	if a.down || in.Op != askAttend && in.Life != a.life {
		return nil, nil, false, fmt.Errorf("%w: it is another one now", ErrAway)
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(a.asked, cancel)
	return ctx, func() { stop(); cancel() }, fresh, nil
}

func (a *Agent) serve(ctx context.Context, in *order, out *reply) error {
	ctx, done, fresh, err := a.admit(ctx, in)
	if err != nil {
		return err
	}
	defer done()
	r := localRack{a.host}
	switch in.Op {
	case askAttend:
		return a.attend(in, out, fresh)
	case askCreate, askFill:
		if in.File == nil {
			return errors.New("ec2: a host is asked for a volume of nothing")
		}
		spec := blockdev.Spec{ID: in.File.ID, Size: in.File.Size, Encryption: in.File.Encryption, Key: secret.Bytes(in.Key)}
		if in.Op == askCreate {
			return r.Create(ctx, spec)
		}
		return r.Fill(ctx, blockdev.Copy{From: in.Snapshot, FromKey: secret.Bytes(in.FromKey), To: spec}, blockdev.Kind(in.Kind))
	case askHold:
		return a.hold(ctx, in)
	case askRelease:
		return a.releaseFor(ctx, in.ID, in.Instance)
	case askRemove:
		return r.Remove(ctx, in.ID)
	case askGrow:
		return r.Grow(ctx, in.ID, in.Size)
	case askBegin:
		return a.begin(ctx, in, out)
	case askBoot, askHalt, askReboot, askPlug, askUnplug, askConsole, askForget, askReport:
		return a.serveMachines(ctx, in, out)
	case askExport, askExports, askEndExports:
		return a.exports(in, out)
	case askStore:
		if b := a.take(in.Snapshot); b != nil {
			return b.p.Store(ctx, nil)
		}
		return fmt.Errorf("%w: the snapshot was given up", ErrAway)
	case askDrop:
		if b := a.take(in.Snapshot); b != nil {
			b.p.Drop()
		}
		return nil
	}
	return errors.New("ec2: a host is asked for something that it does not know: " + in.Op)
}

// hold takes a key, unless the host just let go of all.
func (a *Agent) hold(ctx context.Context, in *order) error {
	a.gate.RLock()
	defer a.gate.RUnlock()
	if ctx.Err() != nil {
		return ErrAway
	}
	var key secret.Bytes
	if len(in.Key) > 0 {
		key = secret.Bytes(slices.Clone(in.Key))
	}
	return a.host.hold(in.ID, in.Instance, key)
}

func (a *Agent) begin(ctx context.Context, in *order, out *reply) error {
	p, err := a.host.begin(ctx, in.ID, in.Snapshot)
	if err != nil {
		return err
	}
	out.Size, out.Waiting = p.Size(), p.Waiting()
	a.mu.Lock()
	defer a.mu.Unlock()
	if ctx.Err() != nil || a.begun[in.Snapshot] != nil {
		go p.Drop()
		return ErrAway
	}
	id := in.Snapshot
	a.begun[id] = &begun{p, time.AfterFunc(beginPatience, func() {
		if b := a.take(id); b != nil {
			b.p.Drop()
		}
	})}
	return nil
}

// exports does what has to do with exports.
func (a *Agent) exports(in *order, out *reply) error {
	e := in.Export
	switch {
	case in.Op == askEndExports:
		a.host.exports.end(in.ID)
	case e == nil:
		return errors.New("ec2: a host is asked for an export of nothing")
	case in.Op == askExports:
		out.Exports = a.host.ExportsOf(e.Region, e.Account)
	default:
		made, err := a.host.exportOf(*e)
		if err != nil {
			return err
		}
		out.Export = &made
	}
	return nil
}

// take gives a begun snapshot to whoever ends it.
func (a *Agent) take(id string) *begun {
	a.mu.Lock()
	defer a.mu.Unlock()
	b := a.begun[id]
	if b != nil {
		b.timeout.Stop()
		delete(a.begun, id)
	}
	return b
}

// attend tells what the host holds, after it removed the files of volumes that nobody knows. A snapshot that
// nobody knows may be one whose record comes yet, unless another node works now than before.
func (a *Agent) attend(in *order, out *reply, fresh bool) error {
	keep := map[string]bool{}
	for _, id := range in.Keep {
		keep[id] = true
	}
	ids, err := blockdev.List(a.cfg.Volumes)
	if err != nil {
		return err
	}
	for _, id := range ids {
		volume := strings.HasPrefix(id, "vol-")
		if keep[id] || !volume && !(fresh && strings.HasPrefix(id, "snap-")) {
			continue
		}
		if volume {
			if err := a.releaseFor(context.Background(), id, ""); err != nil {
				a.cfg.Logger.Error("a volume to be deleted was not closed properly", "volume", id, "error", err)
			}
		}
		if err := a.host.Remove(id); err != nil && !errors.Is(err, blockdev.ErrBusy) && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	a.mu.Lock()
	out.Life = a.life
	a.mu.Unlock()
	out.Held = a.host.list()
	report := a.host.machines.report()
	out.Machines = &report
	return nil
}

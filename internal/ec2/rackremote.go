package ec2

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/secret"
)

// Call passes a request to the host of another node and gives its answer. What is in it is secret.
type Call func(ctx context.Context, url string, request []byte) (answer []byte, err error)

// What a host is asked for.
const (
	askAttend  = "attend"
	askCreate  = "create"
	askFill    = "fill"
	askHold    = "hold"
	askRelease = "release"
	askRemove  = "remove"
	askGrow    = "grow"
	askBegin   = "begin"
	askStore   = "store"
	askDrop    = "drop"

	askExport     = "export"
	askExports    = "exports"
	askEndExports = "end-exports"
)

// A hostRequest is what the node that works asks of a host.
type hostRequest struct {
	Op string `json:"op"`
	// Token is that of the lease of who asks: a host obeys the latest.
	Token uint64 `json:"token"`
	// Life is the host's, as who asks knows it: a host that lost its keys meanwhile is another one.
	Life     string      `json:"life,omitempty"`
	ID       string      `json:"id,omitempty"`
	Instance string      `json:"instance,omitempty"`
	Snapshot string      `json:"snapshot,omitempty"`
	Size     int64       `json:"size,omitempty"`
	Kind     int         `json:"kind,omitempty"`
	Key      []byte      `json:"key,omitempty"`
	FromKey  []byte      `json:"fromKey,omitempty"`
	File     *hostFile   `json:"file,omitempty"`
	Keep     []string    `json:"keep,omitempty"` // volumes and snapshots that somebody knows
	Export   *exportSpec `json:"export,omitempty"`

	Machine *machineSpec `json:"machine,omitempty"`
	Disk    *machineDisk `json:"disk,omitempty"`
}

// A hostFile is a blockdev.Spec.
type hostFile struct {
	ID         string               `json:"id"`
	Size       int64                `json:"size"`
	Encryption *blockdev.Encryption `json:"encryption,omitempty"`
}

func fileOf(s *blockdev.Spec) *hostFile { return &hostFile{s.ID, s.Size, s.Encryption} }

// A hostAnswer is what it says.
type hostAnswer struct {
	Fault   string              `json:"fault,omitempty"` // one of faults, or "error"
	Text    string              `json:"text,omitempty"`
	Life    string              `json:"life,omitempty"`
	Held    map[string][]string `json:"held,omitempty"` // instances by volume
	Size    int64               `json:"size,omitempty"`
	Waiting int64               `json:"waiting,omitempty"`
	Export  *exportMade         `json:"export,omitempty"`
	Exports []exportSpec        `json:"exports,omitempty"`

	Machines *machineReport `json:"machines,omitempty"`
	Console  *hostConsole   `json:"console,omitempty"`
}

// faults are the errors that keep their meaning on the way.
func faults() map[string]error {
	return map[string]error{
		"away": errHostAway, "not-exist": fs.ErrNotExist, "exist": fs.ErrExist, "busy": blockdev.ErrBusy, "corrupt": blockdev.ErrCorrupt,
		"wrong-key": blockdev.ErrWrongKey, "needs-key": blockdev.ErrNeedsKey, "version": blockdev.ErrVersion, "too-small": blockdev.ErrTooSmall,
		"not-held": ErrNotHeld, "no-exports": errNoExports, "many-exports": errManyExports,
	}
}

func (a *hostAnswer) fail(err error) {
	a.Fault, a.Text = "error", err.Error()
	for name, known := range faults() {
		if errors.Is(err, known) {
			a.Fault = name
		}
	}
	if errors.Is(err, errHostDown) || errors.Is(err, context.Canceled) {
		a.Fault = "away"
	}
}

func (a *hostAnswer) err() error {
	if a.Fault == "" {
		return nil
	}
	if known := faults()[a.Fault]; known != nil {
		return fmt.Errorf("%w (%s)", known, a.Text)
	}
	return errors.New(a.Text)
}

// patience bounds what a host does quickly.
const patience = 30 * time.Second

// A remoteRack is the host of a node, as the node that works sees it: in one of its lives, at the end of which
// whatever it is asked for ends.
type remoteRack struct {
	room            *room
	v               *hostView
	name, url, life string
	there           context.Context
}

// remote is a host in one of its lives. The room is locked.
func (m *room) remote(v *hostView, life string) remoteRack {
	return remoteRack{m, v, v.rec.Name, v.rec.URL, life, v.there}
}

// ask asks the host. What takes its time is not bounded but by the host's end.
func (r remoteRack) ask(ctx context.Context, in hostRequest, bounded bool) (hostAnswer, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.there, cancel)()
	if bounded {
		var done context.CancelFunc
		ctx, done = context.WithTimeout(ctx, patience)
		defer done()
	}
	in.Token, in.Life = r.room.token, r.life
	var out hostAnswer
	request, err := json.Marshal(in)
	if err != nil {
		return out, err
	}
	defer clear(request)
	answer, err := r.room.call(ctx, r.name, r.url, request)
	if err != nil {
		return out, fmt.Errorf("%w: %s: %w", errHostAway, r.name, err)
	}
	if err := json.Unmarshal(answer, &out); err != nil {
		return out, err
	}
	return out, out.err()
}

func (r remoteRack) create(ctx context.Context, spec blockdev.Spec) error {
	_, err := r.ask(ctx, hostRequest{Op: askCreate, File: fileOf(&spec), Key: spec.Key}, true)
	return err
}

func (r remoteRack) fill(ctx context.Context, c blockdev.Copy, kind blockdev.Kind) error {
	_, err := r.ask(ctx, hostRequest{Op: askFill, Snapshot: c.From, FromKey: c.FromKey, Key: c.To.Key, File: fileOf(&c.To), Kind: int(kind)}, false)
	return err
}

func (r remoteRack) hold(ctx context.Context, id, instance string, key secret.Bytes) error {
	defer key.Wipe()
	_, err := r.ask(ctx, hostRequest{Op: askHold, ID: id, Instance: instance, Key: key}, true)
	if err == nil {
		r.room.held(r.v, id, instance, true)
	}
	return err
}

func (r remoteRack) release(ctx context.Context, id, instance string) error {
	_, err := r.ask(ctx, hostRequest{Op: askRelease, ID: id, Instance: instance}, true)
	if err == nil {
		r.room.held(r.v, id, instance, false)
	}
	return err
}

func (r remoteRack) remove(ctx context.Context, id string) error {
	_, err := r.ask(ctx, hostRequest{Op: askRemove, ID: id}, true)
	return err
}

func (r remoteRack) grow(ctx context.Context, id string, size int64) error {
	_, err := r.ask(ctx, hostRequest{Op: askGrow, ID: id, Size: size}, true)
	return err
}

func (r remoteRack) holds(id, instance string) bool { return r.room.holds(r.v, id, instance) }

func (r remoteRack) begin(ctx context.Context, volume, snapshot string) (taking, error) {
	out, err := r.ask(ctx, hostRequest{Op: askBegin, ID: volume, Snapshot: snapshot}, true)
	if err != nil {
		return nil, err
	}
	return &remoteTaking{r, snapshot, out.Size, out.Waiting}, nil
}

// A remoteTaking is a snapshot that was begun on a host. How far it is nobody is told.
type remoteTaking struct {
	r             remoteRack
	id            string
	size, waiting int64
}

func (t *remoteTaking) Size() int64    { return t.size }
func (t *remoteTaking) Waiting() int64 { return t.waiting }

func (t *remoteTaking) Store(ctx context.Context, _ blockdev.Progress) error {
	_, err := t.r.ask(ctx, hostRequest{Op: askStore, Snapshot: t.id}, false)
	return err
}

// Drop gives it up; the host does so by itself when another node works, or when it is asked for too late.
func (t *remoteTaking) Drop() {
	_, _ = t.r.ask(context.Background(), hostRequest{Op: askDrop, Snapshot: t.id}, true)
}

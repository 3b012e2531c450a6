package hosts

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

// A order is what the node that works asks of a host.
type order struct {
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
	File     *fileSpec   `json:"file,omitempty"`
	Keep     []string    `json:"keep,omitempty"` // volumes and snapshots that somebody knows
	Export   *ExportSpec `json:"export,omitempty"`

	Machine *MachineSpec `json:"machine,omitempty"`
	Disk    *MachineDisk `json:"disk,omitempty"`
	Now     bool         `json:"now,omitempty"` // halt without asking the guest; earlier versions ask
}

// A fileSpec is a blockdev.Spec.
type fileSpec struct {
	ID         string               `json:"id"`
	Size       int64                `json:"size"`
	Encryption *blockdev.Encryption `json:"encryption,omitempty"`
}

func fileOf(s *blockdev.Spec) *fileSpec { return &fileSpec{s.ID, s.Size, s.Encryption} }

// A reply is what it says.
type reply struct {
	Fault   string              `json:"fault,omitempty"` // one of faults, or "error"
	Text    string              `json:"text,omitempty"`
	Life    string              `json:"life,omitempty"`
	Held    map[string][]string `json:"held,omitempty"` // instances by volume
	Size    int64               `json:"size,omitempty"`
	Waiting int64               `json:"waiting,omitempty"`
	Export  *ExportMade         `json:"export,omitempty"`
	Exports []ExportSpec        `json:"exports,omitempty"`

	Machines *MachineReport `json:"machines,omitempty"`
	Console  *consoleText   `json:"console,omitempty"`
}

// faults are the errors that keep their meaning on the way.
func faults() map[string]error {
	return map[string]error{
		"away": ErrAway, "not-exist": fs.ErrNotExist, "exist": fs.ErrExist, "busy": blockdev.ErrBusy, "corrupt": blockdev.ErrCorrupt,
		"wrong-key": blockdev.ErrWrongKey, "needs-key": blockdev.ErrNeedsKey, "version": blockdev.ErrVersion, "too-small": blockdev.ErrTooSmall,
		"not-held": ErrNotHeld, "no-exports": ErrNoExports, "many-exports": ErrManyExports,
	}
}

func (a *reply) fail(err error) {
	a.Fault, a.Text = "error", err.Error()
	for name, known := range faults() {
		if errors.Is(err, known) {
			a.Fault = name
		}
	}
	if errors.Is(err, ErrDown) || errors.Is(err, context.Canceled) {
		a.Fault = "away"
	}
}

func (a *reply) err() error {
	if a.Fault == "" {
		return nil
	}
	if known := faults()[a.Fault]; known != nil {
		return fmt.Errorf("%w (%s)", known, a.Text)
	}
	return errors.New(a.Text)
}

// quickly bounds what a host does quickly.
const quickly = 30 * time.Second

// A Remote is the host of a node, as the node that works sees it: in one of its lives, at the end of which
// whatever it is asked for ends.
type Remote struct {
	Name, URL, Life string
	Token           uint64          // of the lease of who asks
	There           context.Context // ends with the life
	Call            func(ctx context.Context, name, url string, request []byte) ([]byte, error)
	Book            Book
}

// A Book is what who works knows of a host, and writes down of it: what it holds, and whether instances have machines
// there.
type Book interface {
	Held(id, instance string, yes bool)
	Holds(id, instance string) bool
	Boots() bool
}

// An Attendance is what a host tells of itself.
type Attendance struct {
	Life     string
	Held     map[string][]string // instances, by volume
	Machines *MachineReport
}

// Attend asks a host what it has, after it removed files of volumes that are not among those to keep.
func (r Remote) Attend(ctx context.Context, keep []string) (Attendance, error) {
	out, err := r.ask(ctx, order{Op: askAttend, Keep: keep}, true)
	return Attendance{out.Life, out.Held, out.Machines}, err
}

// ask asks the host. What takes its time is not bounded but by the host's end.
func (r Remote) ask(ctx context.Context, in order, bounded bool) (reply, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.There, cancel)()
	if bounded {
		var done context.CancelFunc
		ctx, done = context.WithTimeout(ctx, quickly)
		defer done()
	}
	in.Token, in.Life = r.Token, r.Life
	var out reply
	request, err := json.Marshal(in)
	if err != nil {
		return out, err
	}
	defer clear(request)
	answer, err := r.Call(ctx, r.Name, r.URL, request)
	if err != nil {
		return out, fmt.Errorf("%w: %s: %w", ErrAway, r.Name, err)
	}
	if err := json.Unmarshal(answer, &out); err != nil {
		return out, err
	}
	return out, out.err()
}

func (r Remote) Create(ctx context.Context, spec blockdev.Spec) error {
	_, err := r.ask(ctx, order{Op: askCreate, File: fileOf(&spec), Key: spec.Key}, true)
	return err
}

func (r Remote) Fill(ctx context.Context, c blockdev.Copy, kind blockdev.Kind) error {
	_, err := r.ask(ctx, order{Op: askFill, Snapshot: c.From, FromKey: c.FromKey, Key: c.To.Key, File: fileOf(&c.To), Kind: int(kind)}, false)
	return err
}

func (r Remote) Hold(ctx context.Context, id, instance string, key secret.Bytes) error {
	defer key.Wipe()
	_, err := r.ask(ctx, order{Op: askHold, ID: id, Instance: instance, Key: key}, true)
	if err == nil {
		r.Book.Held(id, instance, true)
	}
	return err
}

func (r Remote) Release(ctx context.Context, id, instance string) error {
	_, err := r.ask(ctx, order{Op: askRelease, ID: id, Instance: instance}, true)
	if err == nil {
		r.Book.Held(id, instance, false)
	}
	return err
}

func (r Remote) Remove(ctx context.Context, id string) error {
	_, err := r.ask(ctx, order{Op: askRemove, ID: id}, true)
	return err
}

func (r Remote) Grow(ctx context.Context, id string, size int64) error {
	_, err := r.ask(ctx, order{Op: askGrow, ID: id, Size: size}, true)
	return err
}

func (r Remote) Holds(id, instance string) bool { return r.Book.Holds(id, instance) }

func (r Remote) Begin(ctx context.Context, volume, snapshot string) (Taking, error) {
	out, err := r.ask(ctx, order{Op: askBegin, ID: volume, Snapshot: snapshot}, true)
	if err != nil {
		return nil, err
	}
	return &remoteTaking{r, snapshot, out.Size, out.Waiting}, nil
}

// A remoteTaking is a snapshot that was begun on a host. How far it is nobody is told.
type remoteTaking struct {
	r             Remote
	id            string
	size, waiting int64
}

func (t *remoteTaking) Size() int64    { return t.size }
func (t *remoteTaking) Waiting() int64 { return t.waiting }

func (t *remoteTaking) Store(ctx context.Context, _ blockdev.Progress) error {
	_, err := t.r.ask(ctx, order{Op: askStore, Snapshot: t.id}, false)
	return err
}

// Drop gives it up; the host does so by itself when another node works, or when it is asked for too late.
func (t *remoteTaking) Drop() {
	_, _ = t.r.ask(context.Background(), order{Op: askDrop, Snapshot: t.id}, true)
}

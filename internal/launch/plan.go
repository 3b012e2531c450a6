package launch

import (
	"slices"

	"github.com/kagimori/kagimori/internal/authz"
)

// A State is where one operation stands. It is a value: copies are independent, and Next changes
// nothing but its result. The zero State is at its end, [StepDone]. It marshals to JSON, without
// any secret (data keys only as KMS ciphertext).
type State struct {
	spec Spec
	vols []Volume
	pc   int // completed ops of program(spec, vols)
	// After a failure: what failed, and how many ops of undoing(...) are over. left are the ops
	// that gave something back in vain.
	fail   *Fail
	undone int
	left   []leftover
}

type leftover struct {
	Op    op
	Cause string
}

// A Volume is what is known about a device so far.
type Volume struct {
	Device   string
	VolumeID string
	Choice
	// KeyARN is "" until the key is resolved, and for volumes without encryption.
	KeyARN     string   `json:",omitempty"`
	WrappedKey []byte   `json:",omitempty"` // ciphertext of the data key under KeyARN
	DataKeyID  string   `json:",omitempty"`
	Source     GrantRef `json:",omitzero"` // creation grant on the snapshot's key
	Target     GrantRef `json:",omitzero"` // creation grant on KeyARN
	Attach     GrantRef `json:",omitzero"` // attach grant on KeyARN; the driver keeps it with the attachment
}

func (v *Volume) slot(p Purpose) *GrantRef {
	switch p {
	case ForSource:
		return &v.Source
	case ForTarget:
		return &v.Target
	}
	return &v.Attach
}

func (v Volume) grant(p Purpose) GrantRef { return *v.slot(p) }

// A Step is what to do now.
type Step struct {
	Seq      int // rises by one from step to step; the first is 0
	Kind     StepKind
	Undo     bool   // takes back a completed step after a failure
	Device   string // "" if the step concerns the operation as a whole
	VolumeID string
	KeyID    string // StepResolveKey: the identifier as configured
	// Requests are the KMS requests of the step: one of StepRequest, none to two of
	// StepHydrate, at most one of StepOpenVolume.
	Requests []Request `json:",omitempty"`
	Create   *Create   `json:",omitempty"` // StepCreateVolume, StepCreateSnapshot, StepHydrate
	Fail     *Fail     `json:",omitempty"` // StepFail
	// Left are, in StepDone and StepFail, the steps that should have given something back and
	// failed: the driver has to try them again later, outside this machine. They fail nothing.
	Left []Leftover `json:",omitempty"`
}

// Terminal reports whether the operation is over.
func (s Step) Terminal() bool { return s.Kind == StepDone || s.Kind == StepFail }

// Parts are the evaluations of all requests of the step, in order. See [Request.Parts].
func (s Step) Parts() []authz.Part {
	var parts []authz.Part
	for _, r := range s.Requests {
		parts = append(parts, r.Parts()...)
	}
	return parts
}

// A Create describes a volume or snapshot to be made.
type Create struct {
	How        How
	SnapshotID string // source; "" if How is HowEmpty
	SizeGiB    int64  // as in the Device; 0 means that of the source
	Encrypted  bool
	KeyARN     string
	WrappedKey []byte
	DataKeyID  string // kept lineage for HowRewrap; else what the driver gave, or ""
	// SourceKeyARN is the key of the source, "" if that is not encrypted.
	SourceKeyARN string
}

// Phase is the part of an operation in which something failed.
type Phase string

// Phases.
const (
	PhaseResolveKey   Phase = "resolve-key"
	PhaseCreateVolume Phase = "create-volume" // also making the snapshot of a copy
	PhaseAttach       Phase = "attach"
	PhaseDecrypt      Phase = "decrypt" // the host opening the volume
	PhaseRun          Phase = "run"     // starting the instance, with all its volumes open
)

// A Fail is the first failure of an operation.
type Fail struct {
	Device string // "" in PhaseRun
	Phase  Phase
	// Action, As and KeyARN tell what was refused. Action is "" if that was not a KMS request;
	// KeyARN is then "" too, but in PhaseResolveKey it is the identifier as configured.
	Action string `json:",omitempty"`
	As     Actor  `json:",omitempty"`
	KeyARN string `json:",omitempty"`
	Cause  string // of the driver's: it names the error or the recorded decision
}

// A Leftover is a step that gives something back (retires, closes, detaches, deletes) and failed.
type Leftover struct {
	Kind     StepKind
	Device   string
	VolumeID string
	Requests []Request `json:",omitempty"`
	Cause    string
}

// A Result is what came of a step. The zero Result is success of the steps that yield nothing.
type Result struct {
	Failure    *Failure `json:",omitempty"`
	KeyARN     string   `json:",omitempty"` // StepResolveKey
	WrappedKey []byte   `json:",omitempty"` // GenerateDataKey, ReEncrypt; nil if the driver only decides
	DataKeyID  string   `json:",omitempty"` // GenerateDataKey
	Grant      GrantRef `json:",omitzero"`  // CreateGrant
}

// A Failure says that a step did not succeed, and left nothing behind.
type Failure struct {
	// Part is the place, from 1, of the refused one among Step.Parts. 0 means none in
	// particular: of StepRequest that is the first, of other steps that KMS did not refuse.
	Part  int    `json:",omitempty"`
	Cause string // opaque; see Fail.Cause
}

// CauseBadResult is the Cause of a failure that the machine itself found: a result without the
// key ARN or grant id that its step has to yield, or a failure naming a part that is not there.
const CauseBadResult = "launch: unusable result"

// New is the start of an operation. Errors: a [*ParameterError] for what EC2 refuses at once;
// anything else wraps [ErrSpec].
func New(spec Spec) (State, error) {
	if err := spec.check(); err != nil {
		return State{}, err
	}
	s := State{spec: spec.clone(), vols: make([]Volume, len(spec.Devices))}
	for i, d := range s.spec.Devices {
		choice, err := spec.choose(d)
		if err != nil {
			return State{}, err
		}
		v := Volume{Device: d.Name, VolumeID: d.VolumeID, Choice: choice}
		switch choice.ChosenBy {
		case BySnapshot:
			v.KeyARN = choice.KeyID
		case ByExisting:
			v.KeyARN, v.Attach = choice.KeyID, d.Grant
			v.WrappedKey, v.DataKeyID = slices.Clone(d.Source.WrappedKey), d.Source.DataKeyID
		}
		s.vols[i] = v
	}
	return s, nil
}

// Spec is the description that the State was made from.
func (s State) Spec() Spec { return s.spec.clone() }

// Volumes are the devices as far as they are known, in the order of the Spec. After StepDone
// they hold what the driver has to keep: key, wrapped data key and attach grant.
func (s State) Volumes() []Volume {
	vols := slices.Clone(s.vols)
	for i := range vols {
		vols[i].WrappedKey = slices.Clone(vols[i].WrappedKey)
	}
	return vols
}

// Step is what to do now. It gives the same answer until Next has moved on.
func (s State) Step() Step {
	o, undo, ok := s.current()
	if !ok {
		end := Step{Seq: s.seq(), Kind: StepDone}
		if s.fail != nil {
			end.Kind, end.Fail = StepFail, new(*s.fail)
		}
		for _, l := range s.left {
			st := s.step(l.Op)
			end.Left = append(end.Left, Leftover{st.Kind, st.Device, st.VolumeID, st.Requests, l.Cause})
		}
		return end
	}
	st := s.step(o)
	st.Seq, st.Undo = s.seq(), undo
	return st
}

// Next takes the result of the current step and returns the State after it, with its step. At
// the end it changes nothing.
func (s State) Next(r Result) (State, Step) {
	o, undo, ok := s.current()
	if !ok {
		return s, s.Step()
	}
	f := r.Failure
	if f == nil {
		f = s.learn(o, r)
	}
	t, _ := s.spec.Operation.traits()
	switch {
	case f == nil:
	case undo || t.releases || o.Call == RetireGrant: // giving back goes on, whatever happens
		s.left = append(slices.Clone(s.left), leftover{o, f.Cause})
	default:
		s.fail = s.failure(o, *f)
		return s, s.Step()
	}
	if undo {
		s.undone++
	} else {
		s.pc++
	}
	return s, s.Step()
}

// current is the op to do now, and whether it is an undo; ok is false at the end.
func (s State) current() (o op, undo, ok bool) {
	ops := program(s.spec, s.vols)
	i := s.pc
	if s.fail != nil {
		ops, i, undo = undoing(ops[:s.pc]), s.undone, true
	}
	if i >= len(ops) {
		return op{}, undo, false
	}
	return ops[i], undo, true
}

// seq counts the steps that are over. The failed one counts, though pc stays on it.
func (s State) seq() int {
	n := s.pc + s.undone
	if s.fail != nil {
		n++
	}
	return n
}

// learn takes over what a successful op yields. It is given a State of its own to change, but
// the volumes are shared with the old one and so are copied first.
func (s *State) learn(o op, r Result) *Failure {
	if o.Device < 0 {
		return nil
	}
	vols := slices.Clone(s.vols)
	v := &vols[o.Device]
	switch {
	case o.Kind == StepResolveKey:
		if !isKeyARN(r.KeyARN) {
			return &Failure{Cause: CauseBadResult}
		}
		v.KeyARN = r.KeyARN
	case o.Call == CreateGrant:
		if r.Grant.ID == "" {
			return &Failure{Cause: CauseBadResult}
		}
		*v.slot(o.Purpose) = r.Grant
	case o.Call == GenerateDataKey:
		v.WrappedKey, v.DataKeyID = slices.Clone(r.WrappedKey), r.DataKeyID
	case o.Call == ReEncrypt:
		v.WrappedKey, v.DataKeyID = slices.Clone(r.WrappedKey), s.spec.Devices[o.Device].Source.DataKeyID
	case o.Call == RetireGrant:
		*v.slot(o.Purpose) = GrantRef{}
	default:
		return nil
	}
	s.vols = vols
	return nil
}

// step dresses an op with its data.
func (s State) step(o op) Step {
	st := Step{Kind: o.Kind}
	if o.Device < 0 {
		return st
	}
	v, src := &s.vols[o.Device], &s.spec.Devices[o.Device].Source
	st.Device, st.VolumeID = v.Device, v.VolumeID
	decrypt := func(p Purpose) { st.Requests = append(st.Requests, s.request(Decrypt, p, o.Device)) }
	switch o.Kind {
	case StepResolveKey:
		st.KeyID = v.KeyID
	case StepRequest:
		st.Requests = []Request{s.request(o.Call, o.Purpose, o.Device)}
	case StepCreateVolume, StepCreateSnapshot, StepHydrate:
		st.Create = &Create{
			How: how(*src, *v), SnapshotID: src.SnapshotID, SizeGiB: s.spec.Devices[o.Device].SizeGiB,
			Encrypted: v.Encrypted, KeyARN: v.KeyARN, WrappedKey: slices.Clone(v.WrappedKey),
			DataKeyID: v.DataKeyID, SourceKeyARN: src.KeyARN,
		}
		if o.Kind != StepHydrate || !v.Encrypted || st.Create.How == HowRewrap {
			break
		}
		if src.Encrypted {
			decrypt(ForSource)
		}
		decrypt(ForTarget)
	case StepOpenVolume:
		if v.Encrypted {
			decrypt(ForAttach)
		}
	}
	return st
}

// failure describes the failure of an op.
func (s State) failure(o op, f Failure) *Fail {
	st := s.step(o)
	fail := &Fail{Device: st.Device, Phase: o.phase(), Cause: f.Cause}
	if o.Kind == StepResolveKey {
		fail.As, fail.KeyARN = Caller, st.KeyID
		return fail
	}
	n := f.Part
	if n == 0 && o.Kind == StepRequest {
		n = 1
	}
	if n == 0 {
		return fail
	}
	for _, r := range st.Requests {
		parts := r.Parts()
		if n >= 1 && n <= len(parts) {
			fail.Action, fail.As, fail.KeyARN = parts[n-1].Action, r.As, parts[n-1].Resource.ARN
			return fail
		}
		n -= len(parts)
	}
	fail.Cause = CauseBadResult
	return fail
}

func (o op) phase() Phase {
	switch o.Kind {
	case StepResolveKey:
		return PhaseResolveKey
	case StepAttach:
		return PhaseAttach
	case StepOpenVolume:
		return PhaseDecrypt
	case StepRunning:
		return PhaseRun
	case StepRequest:
		if o.Purpose == ForAttach {
			return PhaseAttach
		}
	}
	return PhaseCreateVolume
}

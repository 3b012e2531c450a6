package ec2

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/ec2/hosts"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/store"
)

// A jobRecord is an operation of package launch under way, as it outlives the process.
type jobRecord struct {
	Region  string `json:"region"`
	Account string `json:"account"`
	Subject string `json:"subject"` // instance, volume, snapshot or image that it is about
	// Request is the id under which the KMS requests of the job are recorded.
	Request string       `json:"request"`
	Host    string       `json:"host,omitempty"` // where it is to be done
	By      string       `json:"by,omitempty"`   // process that wrote it last
	Caller  savedCaller  `json:"caller"`
	State   launch.State `json:"state"`
	Drafts  []draft      `json:"drafts,omitempty"`
	Due     time.Time    `json:"due"`
	Abrupt  bool         `json:"abrupt,omitempty"` // the guest is not asked to shut down
}

// A draft is a volume that a job is to make.
type draft struct {
	Volume volumeRecord `json:"volume"`
	Tags   []tag        `json:"tags,omitempty"`
}

// A savedCaller is the principal that called EC2. Session policies are compiled documents and are
// not kept: after a restart such a caller gets no request granted any more.
type savedCaller struct {
	guard.Caller
	Limited bool `json:"limited,omitempty"` // had session policies
}

func saveCaller(c guard.Caller) savedCaller {
	saved := savedCaller{Caller: c}
	if c.Session != nil && c.Session.Policies != nil {
		session := *c.Session
		session.Policies = nil
		saved.Session, saved.Limited = &session, true
	}
	return saved
}

// A job is a jobRecord in the hands of this process.
type job struct {
	jobRecord
	caller guard.Caller
	saved  int // Step.Seq of the state that the store has
}

// jobTable is keyed by (region, account, subject): a subject has one job at most.
var jobTable = store.Table[jobRecord]{Bucket: "ec2/job", Version: 2, Upgrade: upgradeJob}

// upgradeJob upgrades the drafts of volumes in a job of format 1.
func upgradeJob(_ uint8, data []byte) ([]byte, error) {
	var rec map[string]json.RawMessage
	if err := json.Unmarshal(data, &rec); err != nil || rec["drafts"] == nil {
		return data, err
	}
	var drafts []map[string]json.RawMessage
	if err := json.Unmarshal(rec["drafts"], &drafts); err != nil {
		return nil, err
	}
	for _, d := range drafts {
		var err error
		if d["volume"], err = listPlug(d["volume"]); err != nil {
			return nil, err
		}
	}
	var err error
	if rec["drafts"], err = json.Marshal(drafts); err != nil {
		return nil, err
	}
	return json.Marshal(rec)
}

// newJob makes a job that begins at due for a caller.
func newJob(spec launch.Spec, subject, request string, caller guard.Caller, due time.Time) (*job, error) {
	spec.CalledVia = caller.Chain
	st, err := launch.New(spec)
	if err != nil {
		return nil, parameterError(err)
	}
	return &job{
		jobRecord: jobRecord{
			Region: spec.Region, Account: spec.Account, Subject: subject, Request: request,
			Caller: saveCaller(caller), State: st, Due: due,
		},
		caller: caller,
	}, nil
}

// ownCaller is EC2 itself, for jobs that nobody asked for.
func ownCaller() guard.Caller {
	return guard.Caller{Identity: directory.ServiceIdentity(Principal), InvokedBy: Principal, Secure: true}
}

func (r *jobRecord) key() []string { return []string{r.Region, r.Account, r.Subject} }

func (r *jobRecord) operation() launch.Operation { return r.State.Spec().Operation }

// copies reports whether the job makes snapshots instead of volumes.
func (r *jobRecord) copies() bool {
	op := r.operation()
	return op == launch.CopySnapshot || op == launch.CopyImage
}

// reads reports whether the job makes something of a snapshot.
func (r *jobRecord) reads(snapshot string) bool {
	return slices.ContainsFunc(r.State.Spec().Devices, func(d launch.Device) bool { return d.Source.SnapshotID == snapshot })
}

// makes reports whether the job makes a volume or snapshot, or works with it.
func (r *jobRecord) makes(id string) bool {
	return slices.ContainsFunc(r.State.Volumes(), func(v launch.Volume) bool { return v.VolumeID == id })
}

// takesAlong reports whether the job deletes a volume with its instance.
func (r *jobRecord) takesAlong(volume string) bool {
	return r.operation() == launch.TerminateInstances && slices.ContainsFunc(r.State.Spec().Devices, func(d launch.Device) bool {
		return d.VolumeID == volume && d.DeleteOnTermination
	})
}

// draft is the draft of a volume; nil for a volume that existed before.
func (r *jobRecord) draft(volume string) *draft {
	i := slices.IndexFunc(r.Drafts, func(d draft) bool { return d.Volume.ID == volume })
	if i < 0 {
		return nil
	}
	return &r.Drafts[i]
}

// call is the EC2 call that the job's KMS requests are part of.
func (s *Service) jobCall(j *job) *guard.Call {
	return &guard.Call{
		ID: j.Request, Service: "ec2", Operation: string(j.operation()), Region: j.Region, Caller: j.caller, Time: s.g.Now(),
	}
}

func (s *Service) putJob(tx store.Tx, j *job) error {
	j.Host, j.By = cmp.Or(j.Host, s.name), s.process
	return jobTable.Put(tx, j.jobRecord, j.key()...)
}

// schedule starts a job when it is due. One of another host is left to it.
func (s *Service) schedule(j *job) {
	if !s.ours(cmp.Or(j.Host, s.name)) {
		return
	}
	s.clock.AfterFunc(j.Due.Sub(s.g.Now()), func() { s.work(j) })
}

// retryJob is how long a job waits that could not go on for a reason of the server's.
const retryJob = 10 * time.Second

// work takes a job to its end. What stops it half-way is tried again later, from where it stood.
func (s *Service) work(j *job) {
	if !s.life.enter() {
		return
	}
	defer s.life.leave()
	if instance := j.State.Spec().InstanceID; instance != "" && instance != j.Subject {
		defer s.locks.Lock(instance, j.Subject)()
	}
	ctx := s.running
	end, err := s.driveInLane(ctx, j)
	if err == nil {
		err = s.finish(ctx, j, end)
	}
	switch {
	case err == nil && end.Fail == nil && j.operation() == launch.AttachVolume: // the call that should see to it has ended
		s.restIfStopped(ctx, j)
	case err == nil:
	case errors.Is(err, hosts.ErrDown) || store.Over(err) || ctx.Err() != nil: // the next start goes on
	default:
		store.Report(ctx, s.log, "work on an instance or volume was interrupted", err, "subject", j.Subject, "operation", j.operation())
		s.clock.AfterFunc(retryJob, func() { s.work(j) })
	}
}

// maxDriven is how many launches go on at the same time: one request can ask for thousands, and all
// are due at once.
const maxDriven = 64

// driveInLane is drive for one of many: launches wait for their turn.
func (s *Service) driveInLane(ctx context.Context, j *job) (launch.Step, error) {
	if op := j.operation(); op == launch.RunInstances || op == launch.StartInstances {
		s.lanes <- struct{}{}
		defer func() { <-s.lanes }()
	}
	return s.drive(ctx, j)
}

// A lifetime lets work in until it is over, and knows when the last one has left.
type lifetime struct {
	mu   sync.Mutex
	over bool // guarded by mu
	work sync.WaitGroup
}

func (l *lifetime) enter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return false
	}
	l.work.Add(1)
	return true
}

func (l *lifetime) leave() { l.work.Done() }

// end lets nothing in any more and waits for what is in.
func (l *lifetime) end() {
	l.mu.Lock()
	l.over = true
	l.mu.Unlock()
	l.work.Wait()
}

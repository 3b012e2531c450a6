package ec2

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/ec2/hosts"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/store"
)

// States of a task that replaces a root volume. Source: EC2 API Reference, ReplaceRootVolumeTask.
const (
	taskPending        = "pending"     // the new volume is being made
	taskInProgress     = "in-progress" // the old one goes, the new one comes
	taskSucceeded      = "succeeded"
	taskFailed         = "failed"
	taskFailedDetached = "failed-detached" // the instance has no root volume
)

// A rootTask replaces the root volume of an instance.
type rootTask struct {
	ID        string    `json:"id"`
	Region    string    `json:"region"`
	Account   string    `json:"account"`
	Instance  string    `json:"instance"`
	State     string    `json:"state"`
	Started   time.Time `json:"started"`
	Done      time.Time `json:"done,omitzero"`
	Image     string    `json:"image,omitempty"`
	Snapshot  string    `json:"snapshot,omitempty"`
	DeleteOld bool      `json:"deleteOld,omitempty"`
	Old       string    `json:"old"` // volume
	New       string    `json:"new"` // volume
	Device    string    `json:"device"`
	Host      string    `json:"host,omitempty"` // of the instance: it does the work
	// FirstSnapshot is what the instance's first root volume was made of.
	FirstSnapshot string      `json:"firstSnapshot,omitempty"`
	DeleteNew     bool        `json:"deleteNew,omitempty"` // the new volume goes with the instance, as the old one would have
	Request       string      `json:"request"`
	Caller        savedCaller `json:"caller"`
}

// rootTaskTable is keyed by (region, account, id).
var rootTaskTable = store.Table[rootTask]{Bucket: "ec2/root-task", Version: 1}

func (t *rootTask) key() []string { return []string{t.Region, t.Account, t.ID} }

func (t *rootTask) open() bool { return t.State == taskPending || t.State == taskInProgress }

// wire is a task as answers carry it.
func (t *rootTask) wire(tags map[string]string) ec2api.ReplaceRootVolumeTask {
	const layout = "2006-01-02T15:04:05Z"
	out := ec2api.ReplaceRootVolumeTask{
		ReplaceRootVolumeTaskId: &t.ID, InstanceId: &t.Instance, TaskState: &t.State, StartTime: new(t.Started.UTC().Format(layout)),
		ImageId: api.Opt(t.Image), SnapshotId: api.Opt(t.Snapshot), DeleteReplacedRootVolume: &t.DeleteOld, Tags: listed(tags),
	}
	if !t.Done.IsZero() {
		out.CompleteTime = new(t.Done.UTC().Format(layout))
	}
	return out
}

// rootTaskOperations are the handlers of tasks that replace root volumes.
func (s *Service) rootTaskOperations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"CreateReplaceRootVolumeTask":    guard.Handle(s.CreateReplaceRootVolumeTask),
		"DescribeReplaceRootVolumeTasks": guard.Handle(s.DescribeReplaceRootVolumeTasks),
	}
}

// A rootDraft is what a request to replace a root volume asks for.
type rootDraft struct {
	task     rootTask
	instance instanceRecord
	image    *imageRecord
	device   *newDevice
	volume   volumeRecord
	job      *job
}

// CreateReplaceRootVolumeTask replaces the root volume of a running instance by one that is restored to what it
// was launched with, from a snapshot of it, or from an image. It answers at once.
// Source: EC2 API Reference, CreateReplaceRootVolumeTask; EC2 User Guide, "Replace the root volume for an
// Amazon EC2 instance without stopping it".
func (s *Service) CreateReplaceRootVolumeTask(ctx context.Context, c *guard.Call, in *ec2api.CreateReplaceRootVolumeTaskRequest) (*ec2api.CreateReplaceRootVolumeTaskResult, error) {
	plain := *in
	plain.ClientToken, plain.DryRun = nil, nil
	hash := idiom.Fingerprint(plain)
	tags, err := tagSpecs(c, in.TagSpecifications, "replace-root-volume-task")
	if err != nil {
		return nil, err
	}
	own := tags["replace-root-volume-task"]
	if !s.life.enter() {
		return nil, hosts.ErrDown
	}
	defer s.life.leave()
	defer s.locks.Lock(api.Val(in.InstanceId))()
	var (
		out *ec2api.CreateReplaceRootVolumeTaskResult
		d   *rootDraft
	)
	err = s.g.Update(ctx, c, func(tx store.Tx) error {
		out, d = nil, nil
		made, err := s.draftRoot(tx, c, in)
		if err != nil {
			return err
		}
		if err := s.allowRoot(tx, c, made, own); err != nil {
			return err
		}
		if err := dryRun(in.DryRun); err != nil {
			return err
		}
		known, ok, err := knownToken(tx, c, "CreateReplaceRootVolumeTask", in.ClientToken, hash)
		if err != nil {
			return err
		}
		if ok {
			t, _, err := rootTaskTable.Get(tx, c.Region, c.Account(), known.IDs[0])
			if err != nil {
				return err
			}
			old, err := tagsOf(tx, c.Region, c.Account(), t.ID)
			out = &ec2api.CreateReplaceRootVolumeTaskResult{ReplaceRootVolumeTask: new(t.wire(old))}
			return err
		}
		if err := s.replaceable(tx, &made.instance); err != nil {
			return err
		}
		if err := s.putRoot(tx, c, made, own); err != nil {
			return err
		}
		if in.ClientToken != nil {
			if err := idiom.Tokens.Put(tx, idiom.TokenRecord{Hash: hash, IDs: []string{made.task.ID}, Made: s.g.Now()}, c.Region, c.Account(), "CreateReplaceRootVolumeTask", *in.ClientToken); err != nil {
				return err
			}
		}
		d, out = made, &ec2api.CreateReplaceRootVolumeTaskResult{ReplaceRootVolumeTask: new(made.task.wire(tagMap(own)))}
		c.Respond(out)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if d != nil {
		s.schedule(d.job)
		s.replaceLater(d.task)
	}
	return out, nil
}

func (s *Service) putRoot(tx store.Tx, c *guard.Call, d *rootDraft, tags []tag) error {
	if err := s.putNewVolume(tx, c, &d.volume, nil, d.job); err != nil {
		return err
	}
	if err := rootTaskTable.Put(tx, d.task, d.task.key()...); err != nil {
		return err
	}
	return putTags(tx, c.Region, c.Account(), d.task.ID, tags)
}

// replaceable refuses an instance whose root volume cannot be replaced now.
func (s *Service) replaceable(tx store.Tx, i *instanceRecord) error {
	if i.State != running || i.Work != "" || i.Doomed {
		return apierr.Newf("IncorrectInstanceState", "The instance '%s' is not in the 'running' state.", i.ID)
	}
	for r, err := range rootTaskTable.Scan(tx, i.Region, i.Account) {
		if err != nil {
			return err
		}
		if r.Value.Instance == i.ID && r.Value.open() {
			return apierr.Newf("IncorrectState", "The root volume of the instance '%s' is being replaced by the task '%s'.", i.ID, r.Value.ID)
		}
	}
	return nil
}

// draftRoot describes what a request asks for, with every error that EC2 reports at once.
func (s *Service) draftRoot(tx store.Tx, c *guard.Call, in *ec2api.CreateReplaceRootVolumeTaskRequest) (*rootDraft, error) {
	switch {
	case in.SnapshotId != nil && in.ImageId != nil:
		return nil, apierr.New("InvalidParameterCombination", "The parameters SnapshotId and ImageId cannot be used together.")
	case in.VolumeId != nil:
		return nil, apierr.New("UnsupportedOperation", "This server replaces root volumes by new volumes only.")
	}
	found, err := s.lookupInstances(tx, c, []string{api.Val(in.InstanceId)})
	if err != nil {
		return nil, err
	}
	d := &rootDraft{instance: found[0]}
	i := &d.instance
	at := slices.IndexFunc(i.Devices, func(x attachedDevice) bool { return x.Name == i.RootDevice })
	if at < 0 {
		return nil, apierr.Newf("IncorrectInstanceState", "The instance '%s' has no root volume.", i.ID)
	}
	old, ok, err := volumeTable.Get(tx, i.Region, i.Account, i.Devices[at].Volume)
	if err != nil || !ok {
		return nil, gone(i.Devices[at].Volume, err)
	}
	if err := s.here(&old); err != nil {
		return nil, err
	}
	d.device = &newDevice{name: i.RootDevice, deleteToo: i.Devices[at].DeleteOnTermination, perf: performance{Type: old.Type, SizeGiB: old.SizeGiB}}
	old.keepPerformance(&d.device.perf)
	snap, err := s.rootSource(tx, c, in, d, &old)
	if err != nil {
		return nil, err
	}
	d.device.snapshot = &snap
	first, err := s.launchSnapshot(tx, i, &old)
	if err != nil {
		return nil, err
	}
	d.device.perf.SizeGiB = max(d.device.perf.SizeGiB, snap.SizeGiB)
	if d.device.iops, d.device.rate, err = d.device.perf.settle(); err != nil {
		return nil, err
	}
	if r := in.VolumeInitializationRate; r != nil {
		if err := checkInitRate(new(int32(max(0, min(*r, 1<<20)))), true); err != nil {
			return nil, err
		}
		d.device.initRate = int32(*r)
	}
	d.volume = s.newVolume(c, d.device, &launchPlan{subnet: subnet{Zone: i.Zone, ZoneID: i.ZoneID}})
	d.volume.Work, d.volume.Host = launch.CreateVolume, cmp.Or(old.Host, s.name)
	if d.job, err = s.volumeJob(tx, c, d.device, &d.volume, nil); err != nil {
		return nil, err
	}
	d.task = rootTask{
		ID: randomID("replacevol"), Region: c.Region, Account: c.Account(), Instance: i.ID, State: taskPending, Started: s.g.Now(),
		Image: api.Val(in.ImageId), Snapshot: api.Val(in.SnapshotId), DeleteOld: api.Val(in.DeleteReplacedRootVolume), Old: old.ID, New: d.volume.ID,
		Device: i.RootDevice, Host: cmp.Or(old.Host, s.name), FirstSnapshot: first, DeleteNew: d.device.deleteToo, Request: c.ID, Caller: saveCaller(c.Caller),
	}
	return d, nil
}

// rootSource is the snapshot that a new root volume is made of.
func (s *Service) rootSource(tx store.Tx, c *guard.Call, in *ec2api.CreateReplaceRootVolumeTaskRequest, d *rootDraft, old *volumeRecord) (snapshotRecord, error) {
	switch {
	case in.SnapshotId != nil:
		snap, err := s.lookupSnapshot(tx, c, *in.SnapshotId)
		if err != nil {
			return snap, err
		}
		roots, err := s.rootsOf(tx, &d.instance, old)
		if err != nil {
			return snap, err
		}
		if !slices.Contains(roots, snap.VolumeID) {
			return snap, invalidValue("The snapshot '%s' is not one of a root volume of the instance '%s'.", snap.ID, d.instance.ID)
		}
		return snap, s.ready(&snap)
	case in.ImageId != nil:
		return s.rootOfImage(tx, c, *in.ImageId, d)
	}
	// What it was launched with: the first root volume says of what that was made.
	first, err := s.launchSnapshot(tx, &d.instance, old)
	if err != nil {
		return snapshotRecord{}, err
	}
	snap, err := s.lookupSnapshot(tx, c, first)
	if err == nil {
		err = s.ready(&snap)
	}
	return snap, err
}

// rootOfImage is the root snapshot of an image that is like the instance's.
func (s *Service) rootOfImage(tx store.Tx, c *guard.Call, id string, d *rootDraft) (snapshotRecord, error) {
	img, err := s.lookupImage(tx, c, id)
	if err != nil {
		return snapshotRecord{}, err
	}
	d.image = &img
	switch {
	case img.State != imageAvailable:
		return snapshotRecord{}, errImageUnavailable(img.ID)
	case img.Architecture != d.instance.Architecture:
		return snapshotRecord{}, invalidValue("The architecture '%s' of the image '%s' is not that of the instance '%s', '%s'.", img.Architecture, img.ID, d.instance.ID, d.instance.Architecture)
	}
	for _, dev := range img.Devices {
		if dev.Name == img.RootDevice && dev.SnapshotID != "" {
			return s.imageSnapshot(tx, &img, dev.SnapshotID)
		}
	}
	return snapshotRecord{}, invalidValue("The image '%s' has no snapshot of a root volume.", img.ID)
}

// rootTasks are the tasks of an instance that changed its root volume, oldest first.
func (s *Service) rootTasks(tx store.Tx, i *instanceRecord) (list []rootTask, err error) {
	for r, err := range rootTaskTable.Scan(tx, i.Region, i.Account) {
		if err != nil {
			return nil, err
		}
		if r.Value.Instance == i.ID && r.Value.State == taskSucceeded {
			list = append(list, r.Value)
		}
	}
	slices.SortFunc(list, func(a, b rootTask) int { return a.Done.Compare(b.Done) })
	return list, nil
}

// rootsOf are the root volumes that an instance has or had.
func (s *Service) rootsOf(tx store.Tx, i *instanceRecord, now *volumeRecord) ([]string, error) {
	roots := []string{now.ID}
	tasks, err := s.rootTasks(tx, i)
	for _, t := range tasks {
		roots = append(roots, t.Old)
	}
	return roots, err
}

// launchSnapshot is what the first root volume of an instance was made of.
func (s *Service) launchSnapshot(tx store.Tx, i *instanceRecord, now *volumeRecord) (string, error) {
	tasks, err := s.rootTasks(tx, i)
	if err != nil || len(tasks) == 0 {
		return now.Snapshot, err
	}
	return tasks[0].FirstSnapshot, nil
}

// allowRoot decides CreateReplaceRootVolumeTask on all that it is about.
func (s *Service) allowRoot(tx store.Tx, c *guard.Call, d *rootDraft, tags []tag) error {
	const action = "ec2:CreateReplaceRootVolumeTask"
	of, err := tagsOf(tx, c.Region, c.Account(), d.instance.ID)
	if err != nil {
		return err
	}
	c.Touch(d.instance.arn(), d.instance.Account, "AWS::EC2::Instance")
	task := s.part(c, action, "replace-root-volume-task/*", nil)
	addRequestTags(&task, tags)
	parts := []authz.Part{
		s.instancePart(c, action, &d.instance, of), task,
		s.newVolumePart(c, action, d.device, d.volume.Encrypted, subnet{Zone: d.volume.Zone, ZoneID: d.volume.ZoneID}, tags),
	}
	switch {
	case d.image != nil:
		of, err := tagsOf(tx, c.Region, c.Account(), d.image.ID)
		if err != nil {
			return err
		}
		p := s.part(c, action, "image/"+d.image.ID, of)
		d.image.describe(&p)
		parts = append(parts, p)
	case d.task.Snapshot != "":
		of, err := tagsOf(tx, c.Region, c.Account(), d.task.Snapshot)
		if err != nil {
			return err
		}
		parts = append(parts, s.snapshotPart(c, action, d.device.snapshot, of))
	}
	if len(tags) > 0 {
		parts = append(parts, s.createTagsPart(c, "replace-root-volume-task/*", tags, "CreateReplaceRootVolumeTask"))
	}
	_, err = s.g.Authorize(tx, c, guard.Check{Parts: parts})
	return err
}

// rootTaskFields are the filters of DescribeReplaceRootVolumeTasks.
var rootTaskFields = fields[rootTask]{
	"instance-id": func(t rootTask) []string { return oneOf(t.Instance) },
}

// DescribeReplaceRootVolumeTasks describes tasks that replace root volumes.
// Source: EC2 API Reference, DescribeReplaceRootVolumeTasks.
func (s *Service) DescribeReplaceRootVolumeTasks(ctx context.Context, c *guard.Call, in *ec2api.DescribeReplaceRootVolumeTasksRequest) (*ec2api.DescribeReplaceRootVolumeTasksResult, error) {
	out := new(ec2api.DescribeReplaceRootVolumeTasksResult)
	err := s.viewList(ctx, c, "ec2:DescribeReplaceRootVolumeTasks", in.DryRun, func(tx store.Tx) error {
		var all []rootTask
		for r, err := range rootTaskTable.Scan(tx, c.Region, c.Account()) {
			if err != nil {
				return err
			}
			all = append(all, r.Value)
		}
		all, err := pick(all, in.ReplaceRootVolumeTaskIds, func(t rootTask) string { return t.ID }, func(id string) error {
			return apierr.Newf("InvalidReplaceRootVolumeTaskId.NotFound", "The replace root volume task '%s' does not exist.", id)
		})
		if err != nil {
			return err
		}
		passes, err := rootTaskFields.Filter(in.Filters)
		if err != nil {
			return err
		}
		tags, err := tagsOfAll(tx, c.Region, c.Account())
		if err != nil {
			return err
		}
		items := []ec2api.ReplaceRootVolumeTask{}
		for _, t := range all {
			if passes(t, tags[t.ID]) {
				items = append(items, t.wire(tags[t.ID]))
			}
		}
		out.ReplaceRootVolumeTasks, out.NextToken, err = paginate(c.Operation, items, func(t ec2api.ReplaceRootVolumeTask) string { return *t.ReplaceRootVolumeTaskId }, anyPage, in.MaxResults, in.NextToken)
		return err
	})
	return out, err
}

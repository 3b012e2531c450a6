package ec2_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/ec2"
	"github.com/kagimori/kagimori/internal/ec2/ec2test"
	"github.com/kagimori/kagimori/internal/ec2/hosts"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/guard/guardtest"
	"github.com/kagimori/kagimori/internal/kms"
	"github.com/kagimori/kagimori/internal/objects"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/store"
)

// exampleImage is one of the catalogue, for x86_64, with a plain root device.
const (
	exampleImage = "ami-12c6146b"
	rootDevice   = "/dev/xvda"
)

// A house is EC2 over the real KMS, with real volumes.
type house struct {
	*desk
	kms     *kms.Service
	ec2     *ec2.Service
	wire    *wiretap
	folder  *blockdev.Shelf
	objects objects.Store // its snapshots
	atOnce  int64         // Config.AtOnce
	// stopWait is Config.StopWait.
	stopWait time.Duration

	mu      sync.Mutex
	changes []string // instance ids, as the service tells; guarded by mu
}

func newHouse(t *testing.T) *house {
	t.Helper()
	w := guardtest.New(t)
	h := &house{desk: &desk{&ec2test.Desk{World: w}}}
	h.folder, h.objects = shelf(w)
	h.kms = kms.New(kms.Config{Guard: w.Guard, Module: w.Module, Clock: w.Clock, Logger: w.Logger, CustomIDs: true})
	w.Must(h.kms.Start(t.Context()))
	h.wire = &wiretap{guard: w.Guard, kms: h.kms}
	h.start()
	t.Cleanup(func() { h.ec2.Stop() })
	return h
}

// shelf has nothing on it.
func shelf(w *guardtest.World) (*blockdev.Shelf, objects.Store) {
	w.T.Helper()
	var roots [2]*os.Root
	for i := range roots {
		root, err := os.OpenRoot(w.T.TempDir())
		w.Must(err)
		w.T.Cleanup(func() { w.Must(root.Close()) })
		roots[i] = root
	}
	store := objects.NewFolder(roots[1])
	return blockdev.NewShelf(roots[0], store), store
}

// start makes the service anew over what is stored.
func (h *house) start() {
	h.T.Helper()
	h.ec2 = ec2.New(ec2.Config{
		Guard: h.Guard, Clock: h.Clock, Keys: h.wire, Volumes: h.folder, Logger: h.Logger, Profiles: profilesOfMine, Roles: rolesOfMine{h},
		ExportAddresses: []string{"unix:/run/nbd.sock"}, OpenFiles: 1, // so that files are opened again all the time
		AtOnce: h.atOnce, StopWait: h.stopWait,
		Changed: func(_ context.Context, _, _, instance string) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.changes = append(h.changes, instance)
		},
	})
	h.Ops = h.ec2.Operations()
	h.Must(h.ec2.Start(h.T.Context()))
}

func (h *house) restart() {
	h.T.Helper()
	h.ec2.Stop()
	h.wire.mend()
	h.folder = blockdev.NewShelf(h.folder.Root, h.objects)
	h.start()
}

// key makes a key of account mine with a policy; "" for the default one.
func (h *house) key(policy string) string {
	h.T.Helper()
	out, err := h.Invoke(h.T.Context(), h.owner(), kmsapi.Service(), h.kms.Operations(), "CreateKey",
		&kmsapi.CreateKeyRequest{Policy: api.Opt(policy)})
	h.Must(err)
	return *out.(*kmsapi.CreateKeyResponse).KeyMetadata.Arn
}

func (h *house) owner() guard.Caller { return h.root(mine) }

// sessionPolicy is one that limits nothing.
func (h *house) sessionPolicy() []*authz.Document {
	h.T.Helper()
	doc, err := policy.Parse([]byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`), policy.Identity)
	h.Must(err)
	return []*authz.Document{authz.Compile(doc, policy.Identity)}
}

// askKMS serves a request to KMS as the root user of account mine.
func (h *house) askKMS(op string, in any) any {
	h.T.Helper()
	out, err := h.Invoke(h.T.Context(), h.owner(), kmsapi.Service(), h.kms.Operations(), op, in)
	h.Must(err)
	return out
}

func (h *house) grants(key string) []kmsapi.GrantListEntry {
	h.T.Helper()
	return h.askKMS("ListGrants", &kmsapi.ListGrantsRequest{KeyId: &key}).(*kmsapi.ListGrantsResponse).Grants
}

// launcher is a user who may do anything in EC2 and nothing in KMS but by key policies.
func (h *house) launcher() guard.Caller {
	return h.allowed("launcher-"+fmt.Sprint(time.Now().UnixNano()), `"ec2:*"`, `"*"`, "")
}

// encrypted is a device under a key.
func encrypted(device, key string) ec2api.BlockDeviceMapping {
	return ec2api.BlockDeviceMapping{DeviceName: &device, Ebs: &ec2api.EbsBlockDevice{
		Encrypted: new(true), KmsKeyId: api.Opt(key), VolumeSize: new(int32(8)), DeleteOnTermination: new(true),
	}}
}

func runRequest(devices ...ec2api.BlockDeviceMapping) *ec2api.RunInstancesRequest {
	return &ec2api.RunInstancesRequest{
		ImageId: new(exampleImage), InstanceType: new("t3.micro"), MinCount: new(int32(1)), MaxCount: new(int32(1)),
		BlockDeviceMappings: devices,
	}
}

// run launches one instance and lets it come up, or not.
func (h *house) run(as guard.Caller, devices ...ec2api.BlockDeviceMapping) string {
	h.T.Helper()
	id := *ask[ec2api.Reservation](h.desk, as, runRequest(devices...)).Instances[0].InstanceId
	h.Advance(5 * time.Second)
	return id
}

func (h *house) instance(id string) ec2api.Instance {
	h.T.Helper()
	out := ask[ec2api.DescribeInstancesResult](h.desk, h.owner(), &ec2api.DescribeInstancesRequest{InstanceIds: []string{id}})
	return out.Reservations[0].Instances[0]
}

func (h *house) wantState(id, state string) {
	h.T.Helper()
	i := h.instance(id)
	if got := *i.State.Name; got != state {
		h.T.Errorf("instance is %s, want %s (reason %+v)", got, state, api.Val(i.StateReason))
	}
}

func (h *house) volumes(filters ...ec2api.Filter) []ec2api.Volume {
	h.T.Helper()
	return ask[ec2api.DescribeVolumesResult](h.desk, h.owner(), &ec2api.DescribeVolumesRequest{Filters: filters}).Volumes
}

// volumeOn is the volume of an instance's device.
func (h *house) volumeOn(instance, device string) ec2api.Volume {
	h.T.Helper()
	vols := h.volumes(filter("attachment.instance-id", instance), filter("attachment.device", device))
	if len(vols) != 1 {
		h.T.Fatalf("%d volumes at %s of %s", len(vols), device, instance)
	}
	return vols[0]
}

func (h *house) disk(volume string) hosts.Disk {
	h.T.Helper()
	d, err := h.ec2.Disk(h.T.Context(), mine, region, volume)
	h.Must(err)
	return d
}

// clean fails the test if anything of a volume is left: record, file, grant or job.
func (h *house) clean(keys ...string) {
	h.T.Helper()
	if vols := h.volumes(); len(vols) != 0 {
		h.T.Errorf("%d volumes are left", len(vols))
	}
	files, err := blockdev.List(h.folder)
	h.Must(err)
	if len(files) != 0 {
		h.T.Errorf("files are left: %v", files)
	}
	for _, k := range keys {
		if g := h.grants(k); len(g) != 0 {
			h.T.Errorf("%d grants are left on %s", len(g), k)
		}
	}
	h.noJobs()
}

// wantDenied fails the test unless the cause of what became of a resource is the denial of an
// action.
func (h *house) wantDenied(resource, action string) {
	h.T.Helper()
	var request string
	h.View(func(tx store.Tx) (err error) {
		request, _, err = h.Trail.Cause(tx, mine, region, resource)
		return err
	})
	records, err := h.Trail.Get(h.T.Context(), request)
	h.Must(err)
	for _, r := range records {
		if r.ErrorCode == "AccessDeniedException" && strings.Contains(r.ErrorMessage, action) {
			return
		}
	}
	h.T.Errorf("the cause of %s shows no denial of %s", resource, action)
}

func (h *house) noJobs() {
	h.T.Helper()
	h.View(func(tx store.Tx) error {
		for _, bucket := range []string{"ec2/job", "ec2/leftover"} {
			for p, err := range tx.Scan(bucket, store.Range{}) {
				if err != nil {
					return err
				}
				h.T.Errorf("%s still has %q", bucket, p.Key)
			}
		}
		return nil
	})
}

// A wiretap is KMS as EC2 calls it. It notes what is asked, and can be cut.
type wiretap struct {
	guard *guard.Guard
	kms   *kms.Service

	mu    sync.Mutex
	calls []string // guarded by mu
	// cut fails the calls for which it gives an error, before KMS sees them; late fails them after.
	cut, late func(call string, n int) error // guarded by mu
	forge     func(n int, out any)           // changes an answer; guarded by mu
}

func (w *wiretap) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls, w.cut, w.late, w.forge = nil, nil, nil, nil
}

func (w *wiretap) breakAt(cut, late func(call string, n int) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls, w.cut, w.late = nil, cut, late
}

func (w *wiretap) seen() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.calls)
}

// tap makes one call.
func tap[In, Out any](ctx context.Context, w *wiretap, parent *guard.Call, as guard.Caller, op string, in *In,
	fn func(context.Context, *guard.Call, *In) (*Out, error)) (*Out, error) {
	who := as.Principal.ARN
	if i := strings.LastIndexByte(who, '/'); i >= 0 && !strings.Contains(who, ":user/") {
		who = who[i+1:]
	}
	w.mu.Lock()
	n, cut, late, forge := len(w.calls), w.cut, w.late, w.forge
	w.calls = append(w.calls, op+" by "+who)
	w.mu.Unlock()
	if cut != nil {
		if err := cut(op, n); err != nil {
			return nil, err
		}
	}
	out, err := guard.InvokeOp(ctx, w.guard, parent.Child(as, "kms", op, in, false), in, fn)
	if late != nil {
		if err := late(op, n); err != nil {
			return nil, err
		}
	}
	if forge != nil && err == nil {
		forge(n, out)
	}
	return out, err
}

func (w *wiretap) DescribeKey(ctx context.Context, p *guard.Call, as guard.Caller, in *kmsapi.DescribeKeyRequest) (*kmsapi.DescribeKeyResponse, error) {
	return tap(ctx, w, p, as, "DescribeKey", in, w.kms.DescribeKey)
}

func (w *wiretap) GenerateDataKeyWithoutPlaintext(ctx context.Context, p *guard.Call, as guard.Caller, in *kmsapi.GenerateDataKeyWithoutPlaintextRequest) (*kmsapi.GenerateDataKeyWithoutPlaintextResponse, error) {
	return tap(ctx, w, p, as, "GenerateDataKeyWithoutPlaintext", in, w.kms.GenerateDataKeyWithoutPlaintext)
}

func (w *wiretap) CreateGrant(ctx context.Context, p *guard.Call, as guard.Caller, in *kmsapi.CreateGrantRequest) (*kmsapi.CreateGrantResponse, error) {
	return tap(ctx, w, p, as, "CreateGrant", in, w.kms.CreateGrant)
}

func (w *wiretap) RetireGrant(ctx context.Context, p *guard.Call, as guard.Caller, in *kmsapi.RetireGrantRequest) error {
	_, err := tap(ctx, w, p, as, "RetireGrant", in, func(ctx context.Context, c *guard.Call, in *kmsapi.RetireGrantRequest) (*struct{}, error) {
		return nil, w.kms.RetireGrant(ctx, c, in)
	})
	return err
}

func (w *wiretap) ReEncrypt(ctx context.Context, p *guard.Call, as guard.Caller, in *kmsapi.ReEncryptRequest) (*kmsapi.ReEncryptResponse, error) {
	return tap(ctx, w, p, as, "ReEncrypt", in, w.kms.ReEncrypt)
}

func (w *wiretap) ReEncryptHalf(ctx context.Context, p *guard.Call, as guard.Caller, in *kmsapi.ReEncryptRequest) (*kmsapi.ReEncryptResponse, error) {
	return tap(ctx, w, p, as, "ReEncrypt", in, w.kms.ReEncryptHalf)
}

func (w *wiretap) Decrypt(ctx context.Context, p *guard.Call, as guard.Caller, in *kmsapi.DecryptRequest) (*kmsapi.DecryptResponse, error) {
	return tap(ctx, w, p, as, "Decrypt", in, w.kms.Decrypt)
}

func (w *wiretap) ResolveKey(ctx context.Context, region, account, id string) (string, error) {
	return w.kms.ResolveKey(ctx, region, account, id)
}

func (w *wiretap) ManagedByAWS(ctx context.Context, keyARN string) (bool, error) {
	return w.kms.ManagedByAWS(ctx, keyARN)
}

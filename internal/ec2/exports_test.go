package ec2_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/blockdev/nbd"
	"github.com/kagimori/kagimori/internal/guard"
)

func (h *house) tryKagimori(as guard.Caller, op string, in any) (any, error) {
	h.T.Helper()
	return h.Invoke(h.T.Context(), as, kagimoriapi.Service(), h.ec2.ExportOperations(), op, in)
}

// export exports a volume, and checks that the name leads to it.
func (h *house) export(volume string, readOnly bool) (name string, e nbd.Export) {
	h.T.Helper()
	out, err := h.tryKagimori(h.owner(), "ExportVolume", &kagimoriapi.ExportVolumeRequest{VolumeId: &volume, ReadOnly: &readOnly})
	h.Must(err)
	r := out.(*kagimoriapi.ExportVolumeResponse)
	name = r.ExportName.Reveal()
	e, ok := h.ec2.Exported(name)
	if !ok || e.ReadOnly != readOnly || e.Device.Size() != *r.Size || len(r.Addresses) != 1 || *r.Export.VolumeId != volume {
		h.T.Fatalf("export %+v, %v", r, ok)
	}
	return name, e
}

func (h *house) wantNoExport(as guard.Caller, volume, code, text string) {
	h.T.Helper()
	_, err := h.tryKagimori(as, "ExportVolume", &kagimoriapi.ExportVolumeRequest{VolumeId: &volume})
	e, ok := errors.AsType[*apierr.Error](err)
	if !ok || e.Code != code || !strings.Contains(e.Message, text) {
		h.T.Errorf("exporting %s gives %v, want %s: %s", volume, err, code, text)
	}
}

func (h *house) wantEnded(name string, e nbd.Export) {
	h.T.Helper()
	select {
	case <-e.Done:
	default:
		h.T.Error("the export did not end")
	}
	if _, ok := h.ec2.Exported(name); ok {
		h.T.Error("the name still leads to the volume")
	}
	if _, err := e.Device.WriteAt([]byte("late"), 0); err == nil {
		h.T.Error("the volume is still open")
	}
}

func TestExportOfAnAttachedVolume(t *testing.T) {
	h := newHouse(t)
	key := h.key("")
	id := h.run(h.owner(), encrypted("/dev/sdf", key))
	volume := *h.volumeOn(id, "/dev/sdf").VolumeId
	name, e := h.export(volume, false)
	other, _ := h.export(volume, true)
	if name == other || !strings.HasPrefix(name, volume+".") || len(name) < len(volume)+30 {
		t.Errorf("names %q and %q", name, other)
	}
	if _, err := e.Device.WriteAt([]byte("by way of NBD"), 4000); err != nil {
		t.Error(err)
	}
	h.Must(e.Device.Flush())
	if h.onDisk("by way of NBD") {
		t.Error("it is on disk in the clear")
	}
	out, err := h.tryKagimori(h.owner(), "ListVolumeExports", &kagimoriapi.ListVolumeExportsRequest{})
	h.Must(err)
	if l := out.(*kagimoriapi.ListVolumeExportsResponse).Exports; len(l) != 2 || *l[0].VolumeId != volume || *l[0].Principal != h.owner().Principal.ARN {
		t.Errorf("listed are %+v", l)
	}
	// The data outlives a restart; the export does not.
	h.restart()
	h.wantEnded(name, e)
	again, e := h.export(volume, false)
	got := make([]byte, 13)
	if _, err := e.Device.ReadAt(got, 4000); err != nil || string(got) != "by way of NBD" {
		t.Errorf("read %q, %v", got, err)
	}
	ask[ec2api.VolumeAttachment](h.desk, h.owner(), &ec2api.DetachVolumeRequest{VolumeId: &volume})
	h.wantEnded(again, e)
	h.Advance(time.Second)
	h.wantNoExport(h.owner(), volume, "ConflictException", "is not attached")
}

func TestExportEndsWithTheInstance(t *testing.T) {
	h := newHouse(t)
	id := h.run(h.owner(), encrypted("/dev/sdf", h.key("")))
	volume := *h.volumeOn(id, "/dev/sdf").VolumeId
	name, e := h.export(volume, false)
	ask[ec2api.StopInstancesResult](h.desk, h.owner(), &ec2api.StopInstancesRequest{InstanceIds: []string{id}})
	h.Advance(time.Second)
	h.wantEnded(name, e)
	h.wantNoExport(h.owner(), volume, "ConflictException", "which does not run with it")
}

// A running instance keeps its keys; a host that starts anew has to ask KMS, who by now refuses.
func TestExportAfterTheGrantIsGone(t *testing.T) {
	h := newHouse(t)
	key := h.key("")
	id := h.run(h.owner(), encrypted("/dev/sdf", key))
	volume := *h.volumeOn(id, "/dev/sdf").VolumeId
	for _, g := range h.grants(key) {
		h.askKMS("RevokeGrant", &kmsapi.RevokeGrantRequest{KeyId: &key, GrantId: g.GrantId})
	}
	name, e := h.export(volume, false)
	if _, err := e.Device.WriteAt([]byte("x"), 0); err != nil {
		t.Error(err)
	}
	h.restart()
	h.Advance(time.Second)
	h.wantEnded(name, e)
	h.wantNoExport(h.owner(), volume, "ConflictException", "which does not run with it")
}

func TestWhoMayExport(t *testing.T) {
	h := newHouse(t)
	id := h.run(h.owner(), encrypted("/dev/sdf", h.key("")))
	volume := *h.volumeOn(id, "/dev/sdf").VolumeId
	h.wantNoExport(h.allowed("no", `"ec2:*"`, `"*"`, ""), volume, "AccessDeniedException", "is not authorized to perform: kagimori:ExportVolume on resource: arn:aws:ec2:"+region+":"+mine+":volume/"+volume)
	h.wantNoExport(h.allowed("tagged", `"kagimori:*"`, `"*"`, `{"StringEquals":{"aws:ResourceTag/export":"yes"}}`), volume, "AccessDeniedException", "")
	yes := h.allowed("yes", `"kagimori:ExportVolume"`, `"arn:aws:ec2:*:`+mine+`:volume/`+volume+`"`, "")
	if _, err := h.tryKagimori(yes, "ExportVolume", &kagimoriapi.ExportVolumeRequest{VolumeId: &volume}); err != nil {
		t.Error(err)
	}
	if _, err := h.tryKagimori(yes, "EndVolumeExports", &kagimoriapi.EndVolumeExportsRequest{VolumeId: &volume}); err == nil {
		t.Error("whoever may begin may end")
	}
	h.wantNoExport(h.root(theirs), volume, "ResourceNotFoundException", "does not exist")
	h.wantNoExport(h.owner(), "vol-00000000000000000", "ResourceNotFoundException", "does not exist")
}

func TestManyExportsAndTheirEnd(t *testing.T) {
	h := newHouse(t)
	id := h.run(h.owner(), encrypted("/dev/sdf", h.key("")))
	volume := *h.volumeOn(id, "/dev/sdf").VolumeId
	names := map[string]nbd.Export{}
	for range 16 {
		name, e := h.export(volume, false)
		names[name] = e
	}
	h.wantNoExport(h.owner(), volume, "LimitExceededException", "has 16 exports already")
	_, err := h.tryKagimori(h.owner(), "EndVolumeExports", &kagimoriapi.EndVolumeExportsRequest{VolumeId: &volume})
	h.Must(err)
	for name, e := range names {
		select {
		case <-e.Done:
		default:
			t.Error("an export did not end")
		}
		if _, ok := h.ec2.Exported(name); ok {
			t.Error("a name still leads to the volume")
		}
	}
	h.export(volume, false)
}

package ec2_test

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
)

// A modelDisk is what the model knows of a volume or snapshot: its size, its key, and what was written where.
type modelDisk struct {
	size    int32
	key     string
	content map[int64]byte
}

func (d modelDisk) copy() modelDisk {
	d.content = maps.Clone(d.content)
	return d
}

// A model runs random operations on the service, and on maps.
type model struct {
	*house
	rng       *rand.Rand
	keys      []string
	volumes   map[string]modelDisk
	snapshots map[string]modelDisk
}

func (m *model) pick(from map[string]modelDisk) (string, bool) {
	if len(from) == 0 {
		return "", false
	}
	ids := slices.Sorted(maps.Keys(from))
	return ids[m.rng.IntN(len(ids))], true
}

// wait lets everything come to rest.
func (m *model) wait() { m.Advance(20 * time.Second) }

func (m *model) createVolume() string {
	key := m.keys[m.rng.IntN(len(m.keys))]
	in := &ec2api.CreateVolumeRequest{AvailabilityZone: new(region + "a")}
	d := modelDisk{size: 1, content: map[int64]byte{}}
	if snap, ok := m.pick(m.snapshots); ok && m.rng.IntN(2) == 0 {
		d = m.snapshots[snap].copy()
		in.SnapshotId = &snap
		if m.rng.IntN(2) == 0 { // larger than the snapshot
			d.size++
			in.Size = &d.size
		}
	} else {
		in.Size = &d.size
	}
	if key != "" {
		in.Encrypted, in.KmsKeyId, d.key = new(true), &key, key
	}
	id := *ask[ec2api.Volume](m.desk, m.owner(), in).VolumeId
	m.volumes[id] = d
	return "create " + id
}

func (m *model) write() string {
	id, ok := m.pick(m.volumes)
	if !ok {
		return "nothing to write"
	}
	d := m.volumes[id]
	m.attached(m.owner(), id, func(w io.WriterAt) error {
		for range 1 + m.rng.IntN(3) {
			block, b := m.rng.Int64N(int64(d.size)<<11), byte(1+m.rng.IntN(255))
			if m.rng.IntN(4) == 0 {
				block = int64(d.size)<<11 - 1 // the last one
			}
			if _, err := w.WriteAt(bytes.Repeat([]byte{b}, 4096), block<<19); err != nil {
				return err
			}
			d.content[block] = b
		}
		return nil
	})
	return "write " + id
}

func (m *model) takeSnapshot() string {
	id, ok := m.pick(m.volumes)
	if !ok {
		return "nothing to take a snapshot of"
	}
	snap := *ask[ec2api.Snapshot](m.desk, m.owner(), &ec2api.CreateSnapshotRequest{VolumeId: &id}).SnapshotId
	m.snapshots[snap] = m.volumes[id].copy()
	return "snapshot " + id
}

func (m *model) copySnapshot() string {
	id, ok := m.pick(m.snapshots)
	if !ok {
		return "no snapshot to copy"
	}
	d := m.snapshots[id].copy()
	d.key = m.keys[1+m.rng.IntN(len(m.keys)-1)]
	out := ask[ec2api.CopySnapshotResult](m.desk, m.owner(), &ec2api.CopySnapshotRequest{
		SourceRegion: new(region), SourceSnapshotId: &id, Encrypted: new(true), KmsKeyId: &d.key,
	})
	m.snapshots[*out.SnapshotId] = d
	return "copy " + id
}

func (m *model) copyVolume() string {
	id, ok := m.pick(m.volumes)
	if !ok {
		return "no volume to copy"
	}
	out := ask[ec2api.CopyVolumesResult](m.desk, m.owner(), &ec2api.CopyVolumesRequest{SourceVolumeId: &id})
	m.volumes[*out.Volumes[0].VolumeId] = m.volumes[id].copy()
	return "copy " + id
}

func (m *model) modify() string {
	id, ok := m.pick(m.volumes)
	if !ok {
		return "nothing to modify"
	}
	m.Advance(7 * time.Hour) // or it may be too often
	d := m.volumes[id]
	d.size += 1 + int32(m.rng.IntN(40))
	ask[ec2api.ModifyVolumeResult](m.desk, m.owner(), &ec2api.ModifyVolumeRequest{VolumeId: &id, Size: &d.size})
	m.volumes[id] = d
	return fmt.Sprintf("modify %s to %d", id, d.size)
}

func (m *model) delete() string {
	if id, ok := m.pick(m.volumes); ok && m.rng.IntN(2) == 0 {
		_, err := m.try(m.owner(), &ec2api.DeleteVolumeRequest{VolumeId: &id})
		m.Must(err)
		delete(m.volumes, id)
		return "delete " + id
	}
	id, ok := m.pick(m.snapshots)
	if !ok {
		return "no snapshot to delete"
	}
	_, err := m.try(m.owner(), &ec2api.DeleteSnapshotRequest{SnapshotId: &id})
	m.Must(err)
	delete(m.snapshots, id)
	return "delete " + id
}

// check compares everything that the service tells with the model, and reads some volume.
func (m *model) check(what string) {
	m.T.Helper()
	seen := map[string]string{}
	for _, v := range m.house.volumes() {
		key := ""
		if v.KmsKeyId != nil {
			key = *v.KmsKeyId
		}
		seen[*v.VolumeId] = fmt.Sprint(*v.Size, key, *v.State)
	}
	want := map[string]string{}
	for id, d := range m.volumes {
		want[id] = fmt.Sprint(d.size, d.key, "available")
	}
	for _, s := range ask[ec2api.DescribeSnapshotsResult](m.desk, m.owner(), &ec2api.DescribeSnapshotsRequest{OwnerIds: []string{"self"}}).Snapshots {
		key := ""
		if s.KmsKeyId != nil {
			key = *s.KmsKeyId
		}
		seen[*s.SnapshotId] = fmt.Sprint(*s.VolumeSize, key, *s.State)
	}
	for id, d := range m.snapshots {
		want[id] = fmt.Sprint(d.size, d.key, "completed")
	}
	m.blocks()
	if !maps.Equal(seen, want) {
		m.T.Fatalf("after %s there are\n%v, want\n%v", what, seen, want)
	}
	if id, ok := m.pick(m.volumes); ok {
		m.read(what, id)
	}
}

// restore makes a volume of a snapshot.
func (m *model) restore(snap string) string {
	m.T.Helper()
	id := *ask[ec2api.Volume](m.desk, m.owner(), &ec2api.CreateVolumeRequest{AvailabilityZone: new(region + "a"), SnapshotId: &snap}).VolumeId
	m.volumes[id] = m.snapshots[snap].copy()
	m.wait()
	return id
}

func (m *model) read(what, id string) {
	m.T.Helper()
	d := m.volumes[id]
	m.attached(m.owner(), id, func(w io.WriterAt) error {
		got := make([]byte, 4096)
		at := slices.Collect(maps.Keys(d.content))
		for range 4 {
			at = append(at, m.rng.Int64N(int64(d.size)<<11))
		}
		for _, block := range at {
			if _, err := w.(io.ReaderAt).ReadAt(got, block<<19); err != nil {
				return err
			}
			if !bytes.Equal(got, bytes.Repeat([]byte{d.content[block]}, 4096)) {
				m.T.Fatalf("after %s block %d of %s reads %d, want %d", what, block, id, got[0], d.content[block])
			}
		}
		return nil
	})
}

// TestVolumesAndSnapshotsDoWhatAModelDoes: random sequences of operations, restarts among them, leave what
// a few maps say.
func TestVolumesAndSnapshotsDoWhatAModelDoes(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			h := newHouse(t)
			m := &model{
				house: h, rng: rand.New(rand.NewPCG(seed, 0)), keys: []string{"", h.key(""), h.key("")},
				volumes: map[string]modelDisk{}, snapshots: map[string]modelDisk{},
			}
			ops := []func() string{m.createVolume, m.createVolume, m.write, m.write, m.takeSnapshot, m.copySnapshot, m.copyVolume, m.modify, m.delete}
			for range 40 {
				what := ops[m.rng.IntN(len(ops))]()
				if m.rng.IntN(6) == 0 {
					h.restart()
					what += ", restart"
				}
				m.wait()
				m.check(what)
			}
			for id := range maps.Clone(m.snapshots) {
				m.restore(id)
			}
			for id := range maps.Clone(m.volumes) {
				m.read("everything", id)
				_, err := m.try(m.owner(), &ec2api.DeleteVolumeRequest{VolumeId: &id})
				m.Must(err)
			}
			for id, ok := m.pick(m.snapshots); ok; id, ok = m.pick(m.snapshots) { // in any order: the rest holds what it did
				m.deleteSnapshot(id)
				delete(m.snapshots, id)
				m.wait()
				m.blocks()
				if other, ok := m.pick(m.snapshots); ok {
					v := m.restore(other)
					m.read("a deletion", v)
					_, err := m.try(m.owner(), &ec2api.DeleteVolumeRequest{VolumeId: &v})
					m.Must(err)
					delete(m.volumes, v)
				}
			}
			if n := m.blocks(); n != 0 {
				t.Errorf("%d blocks are left", n)
			}
			m.wait()
			h.clean(m.keys[1:]...)
		})
	}
}

package blockdev_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/blockdev"
)

// spread writes n blocks over a volume, at equal distances.
func spread(t testing.TB, v *blockdev.Volume, n int64, seed uint64) {
	t.Helper()
	step := v.Size() / block / n
	for i := range n {
		write(t, v, random(seed+uint64(i), block), i*step*block)
	}
}

// A snapshot of an open volume reads the blocks that changed and nothing else.
func TestASnapshotReadsOnlyWhatChanged(t *testing.T) {
	dir, _ := folder(t)
	create(t, dir, "vol-1", 100*block, 1)
	v := open(t, dir, "vol-1", 1)
	spread(t, v, 100, 1)
	must(t, v.Snapshot(t.Context(), dir, "snap-1"))
	write(t, v, []byte("changed"), 37*block+5)
	n := v.CountReads()
	must(t, v.Snapshot(t.Context(), dir, "snap-2"))
	if got := n.Load(); got != block {
		t.Errorf("read %d bytes for one block of %d", got, block)
	}
}

// BenchmarkSnapshotOfChanges makes snapshots of a volume of which 1 % of the blocks changed. The metric
// read/changed has the limit 1.05: what was read, as a multiple of what changed.
func BenchmarkSnapshotOfChanges(b *testing.B) {
	const blocks = 1000
	dir, _ := folder(b)
	create(b, dir, "vol-1", blocks*block, 1)
	v := open(b, dir, "vol-1", 1)
	spread(b, v, blocks, 1)
	start := time.Now()
	must(b, v.Snapshot(b.Context(), dir, "snap-0"))
	full := time.Since(start)
	n := v.CountReads()
	i := 0
	var took time.Duration
	for b.Loop() {
		i++
		b.StopTimer()
		spread(b, v, blocks/100, uint64(i)<<20)
		n.Store(0)
		b.StartTimer()
		start := time.Now()
		must(b, v.Snapshot(b.Context(), dir, fmt.Sprint("snap-", i)))
		took += time.Since(start)
		if ratio := float64(n.Load()) / float64(blocks/100*block); ratio > 1.05 {
			b.Fatalf("it read %.2f times what changed", ratio)
		}
	}
	b.ReportMetric(float64(n.Load())/float64(blocks/100*block), "read/changed")
	b.ReportMetric(full.Seconds()/(took.Seconds()/float64(i)), "full/incremental")
}

// BenchmarkSparseVolume makes a snapshot of a volume and restores it: 1 GiB of data in 1 GiB, and the same in
// 100 GiB. What sparse/dense may be is a target of bench/report, which shows it as met or missed.
func BenchmarkSparseVolume(b *testing.B) {
	const blocks = int64(2048)
	took := map[int64]time.Duration{}
	for range b.N {
		for _, size := range []int64{gib, 100 * gib} {
			dir, _ := folder(b)
			create(b, dir, "vol-1", size, 1)
			v := open(b, dir, "vol-1", 1)
			spread(b, v, blocks, 1)
			must(b, v.Close())
			start := time.Now()
			must(b, blockdev.Snapshot(dir, "vol-1", "snap-1"))
			must(b, blockdev.CreateFromSnapshot(b.Context(), dir, blockdev.Copy{From: "snap-1", To: blockdev.Spec{ID: "vol-2", Encryption: encryption(1)}}))
			took[size] += time.Since(start)
		}
	}
	b.ReportMetric(took[100*gib].Seconds()/took[gib].Seconds(), "sparse/dense")
	b.ReportMetric(took[100*gib].Seconds()/float64(b.N), "s/GiB")
}

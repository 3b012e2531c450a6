package e2e_test

import (
	"fmt"
	"maps"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ebs"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/kagimori/kagimori/e2e/internal/seed"
	"github.com/kagimori/kagimori/e2e/internal/server"
)

// TestKill9KeepsBlocksThatWereAcknowledged: the server is killed while blocks are put; what it acknowledged is
// there afterwards, the snapshot is completed with the blocks that are known, and holds them.
func TestKill9KeepsBlocksThatWereAcknowledged(t *testing.T) {
	dir := t.TempDir() + "/data"
	s := server.Start(t, dir)
	account := seed.NewAccount()
	c := adminOf(s.URL, account)
	key := c.key(t, "")
	id := *must(c.ebs.StartSnapshot(t.Context(), &ebs.StartSnapshotInput{VolumeSize: new(int64(1)), Encrypted: new(true), KmsKeyArn: &key}))(t).SnapshotId
	acknowledged := map[int32]string{}
	for round := range int32(3) {
		killed := make(chan struct{})
		for n := int32(0); n < 20; n++ {
			if n == 5 {
				go func() {
					defer close(killed)
					s.Kill()
				}()
			}
			block, text := round*20+n, fmt.Sprintf("%d%03d", round, n)
			if _, err := c.ebs.PutSnapshotBlock(t.Context(), putInput(id, block, text)); err != nil {
				break // killed
			}
			acknowledged[block] = text
		}
		<-killed
		s = server.Start(t, dir)
		c = adminOf(s.URL, account)
		if got := c.snapshot(t, id); got.State != ec2types.SnapshotStatePending {
			t.Fatalf("round %d: the snapshot is %s", round, got.State)
		}
	}
	// The one that was under way when the server was killed may be there too: it is put again.
	for round := range int32(3) {
		for n := range int32(20) {
			if _, ok := acknowledged[round*20+n]; !ok {
				text := fmt.Sprintf("%d%03d", round, n)
				c.putBlock(t, id, round*20+n, text)
				acknowledged[round*20+n] = text
			}
		}
	}
	c.complete(t, id, int32(len(acknowledged)))
	if got := c.content(t, id); !maps.Equal(got, acknowledged) {
		t.Errorf("%d blocks are there, %d were acknowledged", len(got), len(acknowledged))
	}
}

package etcd

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// least is the oldest version of etcd that can be used: before it, a watch may tell of progress that it
// has not made. Source: etcd's CHANGELOG-3.5.md, v3.5.8.
var least = []int{3, 5, 8}

// recent asks all members for their version, and is content with the first that answers: the others may be
// down, or hang. clientv3's own check fails if any member does not answer, and refuses 3.5.
func recent(ctx context.Context, client *clientv3.Client) error {
	endpoints := client.Endpoints()
	ctx, cancel := context.WithTimeout(ctx, time.Duration(2*len(endpoints))*time.Second)
	defer cancel()
	answers := make(chan error, len(endpoints))
	for _, e := range endpoints {
		go func() {
			st, err := client.Status(ctx, e)
			if err != nil {
				answers <- reason(err)
				return
			}
			answers <- checkVersion(st.Version)
		}()
	}
	var err error
	for range endpoints {
		one := <-answers
		if one == nil {
			return nil
		}
		err = cmp.Or(err, one)
	}
	return err
}

func checkVersion(v string) error {
	have := make([]int, 3)
	if _, err := fmt.Sscanf(v, "%d.%d.%d", &have[0], &have[1], &have[2]); err != nil || slices.Compare(have, least) < 0 {
		return fmt.Errorf("store: etcd %q is too old: 3.5.8 or later is needed", v)
	}
	return nil
}

package etcd

import (
	"context"
	"slices"
	"sync"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A member is asked again and again whether it can answer through the quorum. Requests go to those that can:
// a member that hangs, because its disk or its host does, takes connections and answers to pings as ever, and
// so does one that is cut off from the others; without this every third request would wait for it in vain.
type member struct {
	endpoint string
	conn     *grpc.ClientConn // nil before the first question
	silent   bool             // it did not answer the last one
}

// several reports whether there is another member to ask.
func (s *Store) several() bool { return len(s.cfg.Endpoints) > 1 }

// attend keeps requests away from members that do not answer.
func (s *Store) attend() {
	all := make([]*member, 0, len(s.cfg.Endpoints))
	for _, e := range s.client.Endpoints() {
		all = append(all, &member{endpoint: e})
	}
	defer func() {
		for _, m := range all {
			if m.conn != nil {
				_ = m.conn.Close() // it was for questions
			}
		}
	}()
	if !s.several() {
		return
	}
	used := s.client.Endpoints()
	for s.run.Err() == nil {
		pause(s.run, s.cfg.Staleness/2)
		var asking sync.WaitGroup
		for _, m := range all {
			asking.Go(func() { m.silent = !s.answers(m) })
		}
		asking.Wait()
		var good []string
		for _, m := range all {
			if !m.silent {
				good = append(good, m.endpoint)
			}
		}
		if len(good) == 0 { // then it is not they
			for _, m := range all {
				good = append(good, m.endpoint)
			}
		}
		if s.run.Err() == nil && !slices.Equal(good, used) {
			s.log.Warn("other members of etcd answer now", "used", good)
			s.client.SetEndpoints(good...)
			s.fresh.told()
			used = good
		}
	}
}

// answers asks a member something that it cannot answer alone. What it answers does not matter: a refusal is
// an answer.
func (s *Store) answers(m *member) bool {
	if m.conn == nil {
		conn, err := s.client.Dial(m.endpoint)
		if err != nil {
			return false
		}
		m.conn = conn
	}
	ctx, cancel := context.WithTimeout(s.run, s.cfg.Staleness)
	defer cancel()
	_, err := etcdserverpb.NewKVClient(m.conn).Range(ctx, &etcdserverpb.RangeRequest{Key: []byte(s.space.own(floorKey)), CountOnly: true})
	switch status.Code(err) {
	case codes.DeadlineExceeded, codes.Unavailable, codes.Canceled:
		return false
	}
	return true
}

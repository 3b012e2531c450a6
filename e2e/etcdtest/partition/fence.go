package partition

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
)

// worker is the node that works, as the nodes' logs say; -1 if none does.
func (w *World) worker(but int) int {
	for i := range w.nodes {
		if i != but && w.works(i) {
			return i
		}
	}
	return -1
}

func (w *World) works(node int) bool {
	log := w.nodes[node].log.all()
	return bytes.LastIndex(log, []byte("this node works now")) > bytes.LastIndex(log, []byte("this node works no longer"))
}

// awaitWorker waits for a node that works, other than one.
func (w *World) awaitWorker(but int) (int, error) {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if i := w.worker(but); i >= 0 {
			return i, nil
		}
	}
	return -1, errors.New("no node works")
}

// advance moves the clock of one node.
func (w *World) advance(node int, by time.Duration) error {
	web, err := w.HTTP(node, 10*time.Second)
	if err != nil {
		return err
	}
	resp, err := web.Post(endpoint+"/_kagimori/clock", "application/json", strings.NewReader(`{"advance":"`+by.String()+`"}`))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the clock does not move: %s", resp.Status)
	}
	return nil
}

const week = 7 * 24 * time.Hour

// doomed makes a key that is to be deleted in a week of a node's clock.
func (w *World) doomed(people crowd, node int) (id string, err error) {
	c, err := w.newCaller(0, node, people, 0, 20*time.Second)
	if err != nil {
		return "", err
	}
	keys, err := c.keys(context.Background(), 1)
	if err != nil {
		return "", err
	}
	id = keys[0].id
	return id, c.kms[admin].Do(context.Background(), "ScheduleKeyDeletion", &kmsapi.ScheduleKeyDeletionRequest{KeyId: &id, PendingWindowInDays: new(int32(7))}, nil)
}

// deleted asks a node whether a key is gone.
func (w *World) deleted(people crowd, node int, id string) (bool, error) {
	c, err := w.newCaller(0, node, people, 0, 20*time.Second)
	if err != nil {
		return false, err
	}
	err = c.kms[admin].Do(context.Background(), "DescribeKey", &kmsapi.DescribeKeyRequest{KeyId: &id}, nil)
	if e, ok := errors.AsType[*apierr.Error](err); ok && e.Code == "NotFoundException" {
		return true, nil
	}
	return false, err
}

// ErrActed is the error of a node that acted under a lease that was over.
var ErrActed = errors.New("a node that was paused for longer than its lease acted when it went on")

// PausedController pauses the node that works until another one does, and has something fall due meanwhile
// that only its own clock says is due: it must not do it when it goes on. What falls due on a node that
// was not paused is done.
func (w *World) PausedController(people crowd) error {
	paused, err := w.awaitWorker(-1)
	if err != nil {
		return err
	}
	key, err := w.doomed(people, paused)
	if err != nil {
		return err
	}
	const left = 3 * time.Second // less than the lease
	if err := w.advance(paused, week-left); err != nil {
		return err
	}
	if err := w.nodes[paused].signal(syscall.SIGSTOP); err != nil {
		return err
	}
	began := time.Now()
	next, err := w.awaitWorker(paused)
	time.Sleep(max(0, 2*left-time.Since(began)))
	if err := errors.Join(err, w.nodes[paused].signal(syscall.SIGCONT)); err != nil {
		return err
	}
	for end := time.Now().Add(30 * time.Second); w.works(paused); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			return errors.New("the node that was paused believes that it works still")
		}
	}
	time.Sleep(2 * Bound)
	switch gone, err := w.deleted(people, next, key); {
	case err != nil:
		return err
	case gone:
		return ErrActed
	}
	// The same on the node that works: it acts.
	if key, err = w.doomed(people, next); err != nil {
		return err
	}
	if err := w.advance(next, week); err != nil {
		return err
	}
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if gone, err := w.deleted(people, (next+1)%size, key); gone || err != nil {
			return err
		}
	}
	return errors.New("the node that works does not delete a key that is due")
}

// DeafNode cuts a node off from etcd and sees that it answers 503 to everything once what it knows is
// older than the bound, and serves again when it hears of the others.
func (w *World) DeafNode(people crowd, node int) error {
	c, err := w.newCaller(0, node, people, 0, 30*time.Second)
	if err != nil {
		return err
	}
	keys, err := c.keys(context.Background(), 1)
	if err != nil {
		return err
	}
	for j := range size {
		if err := w.between(host("n", node), host("m", j)); err != nil {
			return err
		}
	}
	time.Sleep(Bound)
	answers := make(chan error, UseGrant+1)
	asked := 0
	for kind := range UseGrant + 1 {
		if who, do := c.request(keys[0], &Op{Kind: kind}); do != nil {
			asked++
			go func() {
				err := do(c.kms[who])
				if e, ok := errors.AsType[*apierr.Error](err); !ok || e.Code != "ServiceUnavailable" || e.Status != http.StatusServiceUnavailable {
					answers <- fmt.Errorf("%s on a node that is cut off: %w; want 503", kind, err)
					return
				}
				answers <- nil
			}()
		}
	}
	for range asked {
		err = errors.Join(err, <-answers)
	}
	code := w.health(node, 20*time.Second)
	if err := errors.Join(err, w.net.Mend()); err != nil {
		return err
	}
	if asked != int(UseGrant) || code != http.StatusServiceUnavailable { // there is no grant to revoke
		return fmt.Errorf("%d kinds were asked for, the health page says %d", asked, code)
	}
	return w.Healthy(time.Minute)
}

// HangingMember stops a member, which still takes connections and says nothing, and sees that every node
// reads and writes on. worst is the longest that an operation took once the cluster had a leader again.
func (w *World) HangingMember(people crowd, member int) (worst time.Duration, err error) {
	if err := w.members[member].signal(syscall.SIGSTOP); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, w.members[member].signal(syscall.SIGCONT)) }()
	time.Sleep(4 * time.Second)
	for n := range size {
		c, err := w.newCaller(0, n, people, 0, 30*time.Second)
		if err != nil {
			return 0, err
		}
		var made kmsapi.CreateKeyResponse
		for range 6 { // the members are asked in turn
			began := time.Now()
			if err := c.kms[admin].Do(context.Background(), "CreateKey", &kmsapi.CreateKeyRequest{}, &made); err != nil {
				return worst, fmt.Errorf("node %d, while member %d hangs: %w", n, member, err)
			}
			if err := c.kms[admin].Do(context.Background(), "DescribeKey", &kmsapi.DescribeKeyRequest{KeyId: made.KeyMetadata.KeyId}, nil); err != nil {
				return worst, fmt.Errorf("node %d, while member %d hangs: %w", n, member, err)
			}
			worst = max(worst, time.Since(began))
		}
	}
	return worst, nil
}

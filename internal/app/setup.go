package app

import (
	"context"
	"crypto/rand"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/trail"
)

// setupRecord remembers the first account of a production server.
type setupRecord struct {
	Account string    `json:"account"`
	Created time.Time `json:"created"`
	// Handed: the credentials of its root user are in their file. They are made once; a server
	// that died before it wrote the file makes them anew.
	Handed bool `json:"handed"`
}

var setupTable = store.Table[setupRecord]{Bucket: "app/setup", Version: 1}

const setupKey = "management account"

// setUpOnce is setUp, one node after the other.
func (s *server) setUpOnce(ctx context.Context, cfg Config, dir *os.Root, d *directory.Directory) error {
	if s.store.node != nil {
		lease, err := s.store.node.etcd.Acquire(ctx, "setup", s.store.node.id)
		if err != nil {
			return err
		}
		defer lease.Release(context.WithoutCancel(ctx))
	}
	return s.setUp(ctx, cfg, dir, d)
}

// setUp makes the management account and the credentials of its root user, unless that was done.
// The credentials go to a file that only the owner of the process may read, and nowhere else.
func (s *server) setUp(ctx context.Context, cfg Config, dir *os.Root, d *directory.Directory) error {
	fresh, err := newAccountID()
	if err != nil {
		return err
	}
	var (
		rec setupRecord
		id  string
		sec secret.String
	)
	event := setupEvent(guard.NewRequestID(), s.clock.Now())
	err = s.store.Update(ctx, func(tx store.Tx) (err error) {
		if rec, err = managementAccount(tx, fresh); err != nil || rec.Handed {
			return err
		}
		if id, sec, err = newRootKey(tx, d, rec.Account); err != nil {
			return err
		}
		event.RecipientAccountID = rec.Account
		return s.trail.PutTx(tx, event)
	})
	if err != nil || rec.Handed {
		return err
	}
	s.trail.Kick()
	path := filepath.Join(cfg.Data, rootFile)
	text := fmt.Sprintf("# Root user of account %s. Take this file away and keep it safe; kagimori does not read it.\n"+
		"[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", rec.Account, id, sec.Reveal())
	if err := replaceFile(dir, rootFile+".new", rootFile, []byte(text)); err != nil {
		return fmt.Errorf("%s cannot be written: %w", path, cause(err))
	}
	cfg.Logger.Info("made the management account; the credentials of its root user are in a file", "account", rec.Account, "file", path)
	return s.store.Update(ctx, func(tx store.Tx) error {
		done := rec
		done.Handed = true
		return setupTable.Put(tx, done, setupKey)
	})
}

// managementAccount reads what is known of the account, which it makes under the given id if
// there is none.
func managementAccount(tx store.Tx, fresh string) (setupRecord, error) {
	rec, found, err := setupTable.Get(tx, setupKey)
	if err != nil || found {
		return rec, err
	}
	rec = setupRecord{Account: fresh, Created: time.Now().UTC()}
	if err := directory.Accounts.Put(tx, directory.Account{ID: fresh, Name: "management", Created: rec.Created}, fresh); err != nil {
		return rec, err
	}
	return rec, setupTable.Put(tx, rec, setupKey)
}

// newRootKey makes an access key of the root user, in place of those that nobody got.
func newRootKey(tx store.Tx, d *directory.Directory, account string) (string, secret.String, error) {
	old, err := d.UserAccessKeys(tx, account, "")
	if err != nil {
		return "", "", err
	}
	for _, k := range old {
		if err := d.DeleteAccessKey(tx, k); err != nil {
			return "", "", err
		}
	}
	key, sec, err := d.NewAccessKey(tx, account, "", "")
	return key.ID, sec, err
}

// setupEvent records that the server made the first credentials by itself.
func setupEvent(eventID string, now time.Time) *trail.Record {
	return &trail.Record{
		EventVersion: "1.11", EventTime: now, EventSource: "kagimori.amazonaws.com", EventName: "CreateManagementAccount",
		AWSRegion: "us-east-1", SourceIPAddress: "kagimori.amazonaws.com", UserAgent: "kagimori.amazonaws.com",
		UserIdentity: trail.UserIdentity{Type: "AWSService", InvokedBy: "kagimori.amazonaws.com"},
		RequestID:    eventID, EventID: eventID, EventType: "AwsServiceEvent", ManagementEvent: true,
		EventCategory: "Management",
	}
}

// newAccountID is a random account id of 12 digits that does not begin with 0.
func newAccountID() (string, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(900_000_000_000))
	if err != nil {
		return "", err
	}
	return n.Add(n, big.NewInt(100_000_000_000)).String(), nil
}

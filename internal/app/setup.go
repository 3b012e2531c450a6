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

// setUp makes the management account and the credentials of its root user, unless that was done.
// The credentials go to a file that only the owner of the process may read, and nowhere else.
func (s *server) setUp(ctx context.Context, cfg Config, dir *os.Root, d *directory.Directory) error {
	var (
		rec  setupRecord
		done bool
		id   string
		sec  secret.String
	)
	fresh, err := newAccountID()
	if err != nil {
		return err
	}
	eventID := guard.NewRequestID()
	err = s.store.Update(ctx, func(tx store.Tx) error {
		var found bool
		var err error
		if rec, found, err = setupTable.Get(tx, setupKey); err != nil {
			return err
		}
		if done = rec.Handed; done {
			return nil
		}
		if !found {
			rec = setupRecord{Account: fresh, Created: time.Now().UTC()}
			if err := directory.Accounts.Put(tx, directory.Account{ID: fresh, Name: "management", Created: rec.Created}, fresh); err != nil {
				return err
			}
		}
		old, err := d.UserAccessKeys(tx, rec.Account, "")
		if err != nil {
			return err
		}
		for _, k := range old {
			if err := d.DeleteAccessKey(tx, k); err != nil {
				return err
			}
		}
		key, made, err := d.NewAccessKey(tx, rec.Account, "", "")
		if err != nil {
			return err
		}
		id, sec = key.ID, made
		if err := s.trail.PutTx(tx, setupEvent(rec.Account, eventID, s.clock.Now())); err != nil {
			return err
		}
		return setupTable.Put(tx, rec, setupKey)
	})
	if err != nil || done {
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
		rec.Handed = true
		return setupTable.Put(tx, rec, setupKey)
	})
}

// setupEvent records that the server made the first credentials by itself.
func setupEvent(account, eventID string, now time.Time) *trail.Record {
	return &trail.Record{
		EventVersion: "1.11", EventTime: now, EventSource: "kagimori.amazonaws.com", EventName: "CreateManagementAccount",
		AWSRegion: "us-east-1", SourceIPAddress: "kagimori.amazonaws.com", UserAgent: "kagimori.amazonaws.com",
		UserIdentity: trail.UserIdentity{Type: "AWSService", InvokedBy: "kagimori.amazonaws.com"},
		RequestID:    eventID, EventID: eventID, EventType: "AwsServiceEvent", ManagementEvent: true,
		RecipientAccountID: account, EventCategory: "Management",
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

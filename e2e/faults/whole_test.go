//go:build linux

package faults_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/klauspost/compress/s2"
)

// promised checks that what was acknowledged by a mark is there, and nothing that nobody asked for: all registers, or
// those since the first and some of the others.
func (w *world) promised(at, first, some int) error {
	var errs []error
	for i, r := range w.ledger.all() {
		if i < first && rand.IntN(first) >= some {
			continue
		}
		if err := r.check(w, at); err != nil {
			if errs = append(errs, err); len(errs) > 10 {
				return errors.Join(errs...)
			}
		}
	}
	return errors.Join(errs...)
}

// disks checks the busy volume. The instance has it again after a start of the server.
func (w *world) disks(at int) error {
	if _, err := w.running(ctx2); err != nil {
		return err
	}
	b, err := w.attach(w.things.busy)
	if err != nil {
		return err
	}
	defer b.Close()
	return w.sectors.check(b, at)
}

// consistent checks that nothing is there in part: every key that is listed has all that a key has.
func (w *world) consistent() error {
	var errs []error
	pages := kms.NewListKeysPaginator(w.kms, &kms.ListKeysInput{Limit: new(int32(1000))})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx2)
		if err != nil {
			return errors.Join(append(errs, err)...)
		}
		for i, k := range page.Keys {
			if len(page.Keys) > 40 && rand.IntN(len(page.Keys)) > 40 && i < len(page.Keys)-1 {
				continue
			}
			errs = append(errs, w.wholeKey(k.KeyId))
		}
	}
	return errors.Join(errs...)
}

func (w *world) wholeKey(id *string) error {
	d, err := w.kms.DescribeKey(ctx2, &kms.DescribeKeyInput{KeyId: id})
	if err != nil {
		return fmt.Errorf("key %s is listed: %w", *id, err)
	}
	if d.KeyMetadata.KeyManager != kmstypes.KeyManagerTypeCustomer {
		return nil
	}
	if _, err := w.kms.GetKeyPolicy(ctx2, &kms.GetKeyPolicyInput{KeyId: id}); err != nil {
		return fmt.Errorf("key %s has no policy: %w", *id, err)
	}
	if d.KeyMetadata.KeyState != kmstypes.KeyStateEnabled {
		return nil
	}
	enc, err := w.kms.Encrypt(ctx2, &kms.EncryptInput{KeyId: id, Plaintext: []byte("x")})
	if err != nil {
		return fmt.Errorf("key %s is enabled: %w", *id, err)
	}
	dec, err := w.kms.Decrypt(ctx2, &kms.DecryptInput{CiphertextBlob: enc.CiphertextBlob})
	if err != nil || string(dec.Plaintext) != "x" {
		return fmt.Errorf("key %s gives %q back: %w", *id, dec.Plaintext, err)
	}
	return nil
}

// offline checks the data directory of a server that has ended.
func (w *world) offline() error {
	_, storeErr := w.kagimori("store", "check", "--data", w.dir)
	_, volumeErr := w.kagimori("volume", "check", "--data", w.dir)
	_, trailErr := w.kagimori("trail", "verify", "--data", w.dir, "--seal", "plain-file")
	made, err := recorded(w.dir)
	if made < int(w.things.creates.Load()) {
		err = errors.Join(err, fmt.Errorf("%d keys were made, the audit log has %d", w.things.creates.Load(), made))
	}
	return errors.Join(storeErr, volumeErr, trailErr, err)
}

// recorded is how many keys were made according to the audit log, which has each event once.
func recorded(dir string) (made int, err error) {
	names, err := filepath.Glob(filepath.Join(dir, "trail", "*.jsonl*"))
	if err != nil || len(names) == 0 {
		return 0, fmt.Errorf("no audit log: %w", err)
	}
	events := map[string]bool{}
	for _, name := range names {
		data, err := segment(name)
		if err != nil {
			return 0, err
		}
		for line := range bytes.Lines(data) {
			var rec struct {
				EventID, EventName string
				ErrorCode          string
			}
			if err := json.Unmarshal(line, &rec); err != nil {
				return 0, fmt.Errorf("%s: %w", name, err)
			}
			if rec.EventID == "" {
				continue
			}
			if events[rec.EventID] {
				return 0, fmt.Errorf("%s %s is recorded twice", rec.EventName, rec.EventID)
			}
			events[rec.EventID] = true
			if rec.EventName == "CreateKey" && rec.ErrorCode == "" {
				made++
			}
		}
	}
	return made, nil
}

// segment is what a segment of the audit log has, packed or not; nothing, if its packing was not over.
func segment(name string) ([]byte, error) {
	data, err := os.ReadFile(name)
	switch {
	case err != nil || strings.HasSuffix(name, ".jsonl"):
		return data, err
	case !strings.HasSuffix(name, ".jsonl.s2"):
		return nil, nil
	}
	if data, err = io.ReadAll(s2.NewReader(bytes.NewReader(data))); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return data, nil
}

// trouble are the lines of the server's log that no fault explains.
func (w *world) trouble() error {
	if lines := w.srv.Trouble(); len(lines) > 0 {
		return fmt.Errorf("server: %s", strings.Join(lines, "\n"))
	}
	return nil
}

// settled waits until the groups have what they are to have.
func (w *world) settled() error {
	var last string
	for until := time.Now().Add(time.Minute); time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
		var err error
		if last, err = w.unsettled(); err != nil || last == "" {
			return err
		}
	}
	return fmt.Errorf("after a minute: %s", last)
}

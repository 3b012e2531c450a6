package ebs

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ebsapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/blockdev/image"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/store"
)

const (
	gibibyte = 1 << 30
	// maxSizeGiB is the largest snapshot. Source: EBS direct APIs Reference, StartSnapshot, VolumeSize.
	maxSizeGiB = 65536
	// defaultTimeout is how long a snapshot waits for a write. Source: the same page, Timeout.
	defaultTimeout = 60 * time.Minute
	// maxTags of a resource. Source: EC2 User Guide, "Tag your Amazon EC2 resources", tag restrictions.
	maxTags = 50
)

// A start is a request for a snapshot, checked.
type start struct {
	description, parent, token, hash, keyARN string
	encrypted                                *bool
	sizeGiB                                  int64
	timeout                                  time.Duration
	tags                                     map[string]string
	list                                     []ebsapi.Tag
}

// A tokenRecord is what a client token was used for.
type tokenRecord struct {
	Hash     string    `json:"hash"`
	Snapshot string    `json:"snapshot"`
	Made     time.Time `json:"made"`
}

// tokenTable is keyed by (region, account, token).
var tokenTable = store.Table[tokenRecord]{Bucket: "ebs/token", Version: 1}

// tokenLife is how long a client token is remembered.
const tokenLife = 24 * time.Hour

func readStart(in *ebsapi.StartSnapshotRequest) (*start, error) {
	out := &start{
		description: api.Val(in.Description), parent: api.Val(in.ParentSnapshotId), token: api.Val(in.ClientToken), encrypted: in.Encrypted,
		sizeGiB: api.Val(in.VolumeSize), timeout: defaultTimeout, tags: map[string]string{}, list: in.Tags,
	}
	if in.KmsKeyArn != nil {
		out.keyARN = in.KmsKeyArn.Reveal()
	}
	if in.Timeout != nil {
		out.timeout = time.Duration(*in.Timeout) * time.Minute
	}
	switch {
	case out.sizeGiB > maxSizeGiB:
		return nil, invalid("INVALID_VOLUME_SIZE", "The volume size of %d GiB is larger than %d GiB.", out.sizeGiB, maxSizeGiB)
	case len(in.Tags) > maxTags:
		return nil, invalid("INVALID_TAG", "A snapshot has up to %d tags.", maxTags)
	case out.parent != "" && in.Encrypted != nil:
		return nil, invalid("INVALID_PARAMETER_VALUE", "Encrypted and ParentSnapshotId cannot both be specified.")
	case out.keyARN != "" && !api.Val(in.Encrypted):
		return nil, invalid("INVALID_PARAMETER_VALUE", "KmsKeyArn can be specified only with Encrypted set to true.")
	}
	for _, t := range in.Tags {
		k := api.Val(t.Key)
		_, twice := out.tags[k]
		if k == "" || twice || strings.HasPrefix(strings.ToLower(k), "aws:") {
			return nil, invalid("INVALID_TAG", "The tag key '%s' is not valid, or is given twice.", k)
		}
		out.tags[k] = api.Val(t.Value)
	}
	plain := *in
	plain.ClientToken, plain.KmsKeyArn = nil, nil
	data, err := json.Marshal([]any{plain, out.keyARN})
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	out.hash = hex.EncodeToString(sum[:])
	return out, nil
}

// StartSnapshot makes a pending snapshot, empty or as its parent is. It is encrypted as its parent, or as
// asked, or by default. Source: EBS direct APIs Reference, StartSnapshot; Amazon EBS User Guide, "Encryption
// outcomes for EBS direct APIs".
func (s *Service) StartSnapshot(ctx context.Context, c *guard.Call, req *ebsapi.StartSnapshotRequest) (*ebsapi.StartSnapshotResponse, error) {
	in, err := readStart(req)
	if err != nil {
		return nil, err
	}
	var (
		parent, known Snapshot
		encrypt       bool
		key           string
	)
	err = s.g.View(ctx, c, func(tx store.Tx) (err error) {
		parent, known = Snapshot{}, Snapshot{}
		if _, err := s.g.Allow(tx, c, startPart(c, in)); err != nil {
			return err
		}
		if known, err = s.known(tx, c, in); err != nil || known.ID != "" {
			return err
		}
		encrypt, key, err = s.choose(tx, c, in, &parent)
		return err
	})
	if err != nil {
		return nil, err
	}
	if known.ID != "" {
		return answer(known, in), nil
	}
	snap := Snapshot{
		ID: newID(), Owner: c.Account(), Region: c.Region, Description: in.description, SizeGiB: in.sizeGiB, State: pending,
		Encrypted: encrypt, Created: s.g.Now(), Direct: true, Parent: in.parent, Timeout: in.timeout,
	}
	if err := s.wrap(ctx, c, &snap, &parent, key); err != nil {
		return nil, err
	}
	if err := s.make(ctx, &snap, &parent); err != nil {
		return nil, err
	}
	return s.record(ctx, c, in, snap)
}

// record writes a new snapshot's record, and removes its file if that fails or an equal request was faster.
func (s *Service) record(ctx context.Context, c *guard.Call, in *start, snap Snapshot) (*ebsapi.StartSnapshotResponse, error) {
	var known Snapshot
	var out *ebsapi.StartSnapshotResponse
	err := s.g.Update(ctx, c, func(tx store.Tx) (err error) {
		if known, err = s.known(tx, c, in); err != nil {
			return err
		}
		if known.ID != "" {
			out = answer(known, in)
			c.Respond(out)
			return nil
		}
		out = answer(snap, in)
		c.Respond(out)
		if in.token != "" {
			if err := tokenTable.Put(tx, tokenRecord{in.hash, snap.ID, s.g.Now()}, c.Region, c.Account(), in.token); err != nil {
				return err
			}
		}
		return s.snapshots.Add(tx, c, snap, in.tags)
	})
	if err != nil || known.ID != "" {
		if rmErr := blockdev.Remove(s.volumes, snap.ID); rmErr != nil {
			s.log.Error("the file of a snapshot that was not started stays until the next start", "snapshot", snap.ID, "error", rmErr)
		}
		return out, err
	}
	snap.Touched = snap.Created
	s.expireLater(snap)
	return out, nil
}

// known is the snapshot of an earlier request with the same client token.
func (s *Service) known(tx store.Tx, c *guard.Call, in *start) (Snapshot, error) {
	if in.token == "" {
		return Snapshot{}, nil
	}
	t, ok, err := tokenTable.Get(tx, c.Region, c.Account(), in.token)
	if err != nil || !ok || s.g.Now().Sub(t.Made) > tokenLife {
		return Snapshot{}, err
	}
	if t.Hash != in.hash {
		return Snapshot{}, apierr.New("ConflictException", "The request uses the same client token as a previous, but non-identical request.")
	}
	snap, _, ok, err := s.snapshots.Find(tx, c.Region, c.Account(), t.Snapshot)
	if err == nil && !ok {
		err = apierr.New("ConflictException", "The snapshot of the previous request with this client token was deleted.")
	}
	return snap, err
}

// choose says whether a new snapshot is encrypted, and under which key if it has no encrypted parent.
func (s *Service) choose(tx store.Tx, c *guard.Call, in *start, parent *Snapshot) (encrypt bool, key string, err error) {
	byDefault, key, err := s.snapshots.Defaults(tx, c.Region, c.Account())
	if err != nil {
		return false, "", err
	}
	if in.keyARN != "" {
		key = in.keyARN
	}
	if in.parent == "" {
		if in.encrypted != nil && !*in.encrypted && byDefault {
			return false, "", invalid("INVALID_PARAMETER_VALUE", "Encryption by default is enabled: the snapshot cannot be unencrypted.")
		}
		return byDefault || api.Val(in.encrypted), key, nil
	}
	found, _, ok, err := s.snapshots.Find(tx, c.Region, c.Account(), in.parent)
	switch {
	case err != nil:
		return false, "", err
	case !ok:
		return false, "", errNoSnapshot(in.parent)
	case found.State != completed:
		return false, "", invalid("INVALID_SNAPSHOT_ID", "The parent snapshot '%s' is not in the completed state.", in.parent)
	case found.SizeGiB > in.sizeGiB:
		return false, "", invalid("INVALID_VOLUME_SIZE", "The volume size of %d GiB is smaller than that of the parent snapshot, %d GiB.", in.sizeGiB, found.SizeGiB)
	case !found.Encrypted && byDefault:
		return false, "", invalid("INVALID_PARAMETER_VALUE", "Encryption by default is enabled: the parent snapshot must be encrypted. Copy it first.")
	}
	*parent = found
	return found.Encrypted, found.KeyARN, nil
}

// wrap gives an encrypted snapshot its data key: that of its parent, wrapped anew, or a fresh one.
func (s *Service) wrap(ctx context.Context, c *guard.Call, snap, parent *Snapshot, key string) error {
	if !snap.Encrypted {
		return nil
	}
	snap.ContextID = snap.ID
	as := via(c)
	if parent.Encrypted {
		out, err := s.keys.ReEncrypt(ctx, c, as, &kmsapi.ReEncryptRequest{
			CiphertextBlob: parent.WrappedKey, SourceKeyId: &parent.KeyARN, SourceEncryptionContext: parent.context(),
			DestinationKeyId: &parent.KeyARN, DestinationEncryptionContext: snap.context(),
		})
		if err != nil {
			return dependency(err)
		}
		snap.KeyARN, snap.WrappedKey, snap.DataKeyID = parent.KeyARN, out.CiphertextBlob, parent.DataKeyID
		return nil
	}
	found, err := s.keys.ResolveKey(ctx, c.Region, c.Account(), key)
	if err != nil {
		return dependency(err)
	}
	out, err := s.keys.GenerateDataKeyWithoutPlaintext(ctx, c, as, &kmsapi.GenerateDataKeyWithoutPlaintextRequest{
		KeyId: &found, NumberOfBytes: new(int32(64)), EncryptionContext: snap.context(),
	})
	if err != nil {
		return dependency(err)
	}
	snap.KeyARN, snap.WrappedKey, snap.DataKeyID = found, out.CiphertextBlob, guard.NewRequestID()
	return nil
}

// context is the encryption context of a snapshot's data key.
func (s *Snapshot) context() map[string]string { return map[string]string{"aws:ebs:id": s.ContextID} }

// via is the caller as EBS forwards it: KMS sees EC2. Source: KMS Developer Guide, kms:ViaService.
func via(c *guard.Call) guard.Caller {
	as := c.Caller.Via("ec2.amazonaws.com")
	as.Secure, as.UserAgent, as.SourceIP = true, "", ""
	return as
}

// make makes the file of a snapshot.
func (s *Service) make(ctx context.Context, snap, parent *Snapshot) error {
	spec := blockdev.Spec{ID: snap.ID, Size: snap.SizeGiB * gibibyte}
	if snap.Encrypted {
		spec.Encryption = &blockdev.Encryption{
			KeyARN: snap.KeyARN, DataKeyID: snap.DataKeyID, ContextID: snap.ContextID, WrappedKey: snap.WrappedKey,
		}
	}
	switch {
	case parent.ID == "":
		return blockdev.Create(s.volumes, spec)
	case parent.Catalogue:
		src, err := image.Open(parent.ID)
		if err != nil {
			return err
		}
		return blockdev.CreateFrom(ctx, s.volumes, spec, src, nil)
	}
	err := blockdev.CreateFromSnapshot(ctx, s.volumes, blockdev.Copy{From: parent.ID, To: spec})
	if errors.Is(err, fs.ErrNotExist) {
		return errNoSnapshot(parent.ID)
	}
	return err
}

// decrypt asks KMS, as the caller, for the data key of a snapshot; nil for a plain one.
func (s *Service) decrypt(ctx context.Context, c *guard.Call, snap *Snapshot) (secret.Bytes, error) {
	if !snap.Encrypted {
		return nil, nil
	}
	out, err := s.keys.Decrypt(ctx, c, via(c), &kmsapi.DecryptRequest{
		CiphertextBlob: snap.WrappedKey, EncryptionContext: snap.context(),
		EncryptionAlgorithm: new(kmsapi.EncryptionAlgorithmSpecSYMMETRIC_DEFAULT),
	})
	if err != nil {
		return nil, dependency(err)
	}
	return out.Plaintext, nil
}

func answer(snap Snapshot, in *start) *ebsapi.StartSnapshotResponse {
	out := &ebsapi.StartSnapshotResponse{
		SnapshotId: &snap.ID, OwnerId: &snap.Owner, Status: new(snap.State), StartTime: &snap.Created, VolumeSize: &snap.SizeGiB,
		BlockSize: new(int32(blockdev.BlockSize)), Description: api.Opt(snap.Description), ParentSnapshotId: api.Opt(snap.Parent),
		SseType: new(ebsapi.SSETypeNone),
	}
	for _, k := range slices.Sorted(maps.Keys(in.tags)) {
		out.Tags = append(out.Tags, ebsapi.Tag{Key: new(k), Value: new(in.tags[k])})
	}
	if snap.Encrypted {
		out.KmsKeyArn, out.SseType = new(secret.String(snap.KeyARN)), new(ebsapi.SSETypeSseKms)
	}
	return out
}

func newID() string {
	b := make([]byte, 9)
	_, _ = rand.Read(b) // never fails
	return "snap-" + hex.EncodeToString(b)[:17]
}

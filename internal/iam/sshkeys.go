package iam

import (
	"bytes"
	"context"
	"crypto/md5" // how AWS shows the fingerprint of an SSH key
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// sshKey is a public key of a user for CodeCommit.
type sshKey struct {
	ID       string    `json:"id"`
	Blob     []byte    `json:"blob"` // SSH wire format
	Comment  string    `json:"comment,omitempty"`
	Uploaded time.Time `json:"uploaded"`
	Inactive bool      `json:"inactive,omitempty"`
}

const (
	maxSSHKeys = 5 // of a user. Source: IAM User Guide, "IAM and AWS STS quotas".
	sshRSA     = "ssh-rsa"
)

func activeText(inactive bool) *string {
	if inactive {
		return new(iamapi.StatusTypeInactive)
	}
	return new(iamapi.StatusTypeActive)
}

var rsaEncryption = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}

// spki is a SubjectPublicKeyInfo of an RSA key.
type spki struct {
	Algorithm struct {
		Algorithm  asn1.ObjectIdentifier
		Parameters asn1.RawValue
	}
	Key asn1.BitString
}

type rsaKey struct {
	N *big.Int
	E int
}

// parseSSH reads an RSA key in SSH or PEM form.
// Source: IAM API Reference, UploadSSHPublicKey.
func parseSSH(body string) (blob []byte, comment string, err error) {
	invalid := apierr.New("InvalidPublicKey", "The public key is malformed or otherwise invalid.")
	if block, _ := pem.Decode([]byte(body)); block != nil {
		var info spki
		var key rsaKey
		if _, err := asn1.Unmarshal(block.Bytes, &info); err != nil || !info.Algorithm.Algorithm.Equal(rsaEncryption) {
			return nil, "", invalid
		}
		if _, err := asn1.Unmarshal(info.Key.RightAlign(), &key); err != nil || key.N.Sign() <= 0 || key.E <= 0 {
			return nil, "", invalid
		}
		for _, part := range [][]byte{[]byte(sshRSA), mpint(big.NewInt(int64(key.E))), mpint(key.N)} {
			blob = append(binary.BigEndian.AppendUint32(blob, uint32(len(part))), part...)
		}
		return blob, "", checkRSA(blob)
	}
	fields := strings.Fields(body)
	if len(fields) < 2 || fields[0] != sshRSA {
		return nil, "", invalid
	}
	if blob, err = base64.StdEncoding.DecodeString(fields[1]); err != nil {
		return nil, "", invalid
	}
	return blob, strings.Join(fields[2:], " "), checkRSA(blob)
}

func mpint(n *big.Int) []byte {
	b := n.Bytes()
	if len(b) > 0 && b[0]&0x80 != 0 {
		b = append([]byte{0}, b...)
	}
	return b
}

// sshParts splits SSH wire format into its strings; nil if it is not three.
func sshParts(blob []byte) [][]byte {
	var parts [][]byte
	for len(blob) >= 4 {
		n := binary.BigEndian.Uint32(blob)
		if uint64(n) > uint64(len(blob)-4) {
			return nil
		}
		parts, blob = append(parts, blob[4:4+n]), blob[4+n:]
	}
	if len(blob) > 0 || len(parts) != 3 || string(parts[0]) != sshRSA {
		return nil
	}
	return parts
}

func checkRSA(blob []byte) error {
	parts := sshParts(blob)
	if parts == nil || new(big.Int).SetBytes(parts[2]).BitLen() < 2048 {
		return apierr.New("InvalidPublicKey", "The public key is malformed or otherwise invalid.")
	}
	return nil
}

func (k *sshKey) fingerprint() *string {
	sum := md5.Sum(k.Blob)
	return new(strings.ReplaceAll(fmt.Sprintf("% x", sum), " ", ":"))
}

// encoded is the key in one of the two encodings.
func (k *sshKey) encoded(encoding string) (string, error) {
	if encoding != "PEM" {
		return strings.TrimSpace(sshRSA + " " + base64.StdEncoding.EncodeToString(k.Blob) + " " + k.Comment), nil
	}
	parts := sshParts(k.Blob)
	key, err := asn1.Marshal(rsaKey{new(big.Int).SetBytes(parts[2]), int(new(big.Int).SetBytes(parts[1]).Int64())})
	if err != nil {
		return "", err
	}
	info := spki{Key: asn1.BitString{Bytes: key, BitLength: 8 * len(key)}}
	info.Algorithm.Algorithm, info.Algorithm.Parameters = rsaEncryption, asn1.NullRawValue
	der, err := asn1.Marshal(info)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), err
}

func (k *sshKey) show(o owner, encoding string) (*iamapi.SSHPublicKey, error) {
	body, err := k.encoded(encoding)
	return &iamapi.SSHPublicKey{
		UserName: &o.name, SSHPublicKeyId: &k.ID, Fingerprint: k.fingerprint(), SSHPublicKeyBody: &body, Status: activeText(k.Inactive), UploadDate: &k.Uploaded,
	}, err
}

// sshKeyOf is a key of a user by id.
func (b *belongings) sshKeyOf(id *string) (*sshKey, error) {
	for i := range b.SSH {
		if b.SSH[i].ID == api.Val(id) {
			return &b.SSH[i], nil
		}
	}
	return nil, noSuchEntity("The Public Key with id %s cannot be found.", api.Val(id))
}

// UploadSSHPublicKey adds an RSA public key to a user.
func (s *Service) UploadSSHPublicKey(ctx context.Context, c *guard.Call, in *iamapi.UploadSSHPublicKeyRequest) (*iamapi.UploadSSHPublicKeyResponse, error) {
	out := &iamapi.UploadSSHPublicKeyResponse{}
	err := s.changeOwned(ctx, c, in.UserName, func(_ store.Tx, o owner, b *belongings) error {
		blob, comment, err := parseSSH(api.Val(in.SSHPublicKeyBody))
		if err != nil {
			return err
		}
		for _, k := range b.SSH {
			if bytes.Equal(k.Blob, blob) {
				return apierr.New("DuplicateSSHPublicKey", "The SSH public key is already associated with the user.")
			}
		}
		if len(b.SSH) >= maxSSHKeys {
			return exceeded("Cannot exceed quota for SSHPublicKeysPerUser: %d", maxSSHKeys)
		}
		k := sshKey{ID: directory.NewID("APKA"), Blob: blob, Comment: comment, Uploaded: s.now()}
		b.SSH = append(b.SSH, k)
		out.SSHPublicKey, err = k.show(o, "SSH")
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// GetSSHPublicKey shows a key.
func (s *Service) GetSSHPublicKey(ctx context.Context, c *guard.Call, in *iamapi.GetSSHPublicKeyRequest) (*iamapi.GetSSHPublicKeyResponse, error) {
	out := &iamapi.GetSSHPublicKeyResponse{}
	err := s.readOwned(ctx, c, in.UserName, func(o owner, b belongings) error {
		k, err := b.sshKeyOf(in.SSHPublicKeyId)
		if err != nil {
			return err
		}
		out.SSHPublicKey, err = k.show(o, api.Val(in.Encoding))
		return err
	})
	return out, err
}

// ListSSHPublicKeys lists the keys of a user, or of the caller.
func (s *Service) ListSSHPublicKeys(ctx context.Context, c *guard.Call, in *iamapi.ListSSHPublicKeysRequest) (*iamapi.ListSSHPublicKeysResponse, error) {
	out := &iamapi.ListSSHPublicKeysResponse{}
	err := s.readOwned(ctx, c, in.UserName, func(o owner, b belongings) (err error) {
		out.SSHPublicKeys = []iamapi.SSHPublicKeyMetadata{}
		var shown []sshKey
		shown, out.IsTruncated, out.Marker, err = pageOwned(s, c, o, b.SSH, func(k sshKey) string { return k.ID }, in.Marker, in.MaxItems)
		for _, k := range shown {
			out.SSHPublicKeys = append(out.SSHPublicKeys, iamapi.SSHPublicKeyMetadata{
				UserName: &o.name, SSHPublicKeyId: &k.ID, Status: activeText(k.Inactive), UploadDate: &k.Uploaded,
			})
		}
		return err
	})
	return out, err
}

// UpdateSSHPublicKey makes a key active or inactive.
func (s *Service) UpdateSSHPublicKey(ctx context.Context, c *guard.Call, in *iamapi.UpdateSSHPublicKeyRequest) error {
	return s.changeOwned(ctx, c, in.UserName, func(_ store.Tx, _ owner, b *belongings) error {
		k, err := b.sshKeyOf(in.SSHPublicKeyId)
		if err != nil {
			return err
		}
		k.Inactive = api.Val(in.Status) == iamapi.StatusTypeInactive
		return checkStatus(in.Status)
	})
}

// DeleteSSHPublicKey removes a key.
func (s *Service) DeleteSSHPublicKey(ctx context.Context, c *guard.Call, in *iamapi.DeleteSSHPublicKeyRequest) error {
	return s.changeOwned(ctx, c, in.UserName, func(_ store.Tx, _ owner, b *belongings) error {
		k, err := b.sshKeyOf(in.SSHPublicKeyId)
		if err != nil {
			return err
		}
		b.SSH = drop(b.SSH, func(x sshKey) bool { return x.ID == k.ID })
		return nil
	})
}

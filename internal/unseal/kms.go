package unseal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/hsm/soft"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/wire/client"
)

// KMS is the kind of a slot whose seal key another KMS encrypted.
const KMS soft.Kind = "kms"

// sealContext is the encryption context of seal keys: a key policy can ask for it, and nothing else
// that the key encrypts can be given out for one.
var sealContext = map[string]string{"kagimori:purpose": "seal key"}

// kmsLock asks another KMS to encrypt and decrypt the seal key.
type kmsLock struct {
	key, endpoint string
	cfg           Config
	region        string
}

// newKMS takes KEY-ARN[@URL].
func (c Config) newKMS(spec string) (soft.Lock, error) {
	key, endpoint, _ := strings.Cut(spec, "@")
	a, err := arn.Parse(key)
	if err != nil || a.Service != "kms" || a.Region == "" || !strings.HasPrefix(a.Resource, "key/") && !strings.HasPrefix(a.Resource, "alias/") {
		return nil, UsageError(fmt.Sprintf("kms:%s does not name a KMS key by its ARN", spec))
	}
	l := &kmsLock{key: key, region: a.Region, cfg: c}
	l.endpoint = strings.TrimSuffix(cmp.Or(endpoint, c.Endpoint, "https://kms."+a.Region+".amazonaws.com"), "/")
	u, err := url.Parse(l.endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, UsageError(fmt.Sprintf("kms:%s does not name an endpoint such as https://kms.example.org", spec))
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) { // the seal key goes there in plaintext
		return nil, UsageError(fmt.Sprintf("kms:%s would send the seal key over the network without TLS", spec))
	}
	return l, nil
}

// Kind is [KMS].
func (*kmsLock) Kind() soft.Kind { return KMS }

func (l *kmsLock) do(ctx context.Context, op string, in, out any) error {
	if l.cfg.Credentials == nil {
		return errors.New("there are no credentials for another KMS")
	}
	creds, err := l.cfg.Credentials()
	if err != nil {
		return err
	}
	c, err := client.New(l.endpoint, l.region, creds, kmsapi.Service())
	if err != nil {
		return err
	}
	c.HTTP = l.cfg.HTTP
	err = c.Do(ctx, op, in, out)
	if e, ok := errors.AsType[*apierr.Error](err); ok {
		switch e.Code {
		case "InvalidCiphertextException", "IncorrectKeyException":
			return hsm.ErrWrongSeal
		}
		return fmt.Errorf("%s at %s answered %s: %s", op, l.endpoint, e.Code, e.Message)
	}
	if err != nil {
		return fmt.Errorf("%s at %s: %w", op, l.endpoint, err)
	}
	return nil
}

// Wrap is kms:Encrypt.
func (l *kmsLock) Wrap(ctx context.Context, key secret.Bytes) (soft.Slot, error) {
	var out kmsapi.EncryptResponse
	err := l.do(ctx, "Encrypt", &kmsapi.EncryptRequest{KeyId: &l.key, Plaintext: key, EncryptionContext: sealContext}, &out)
	if err != nil {
		return soft.Slot{}, err
	}
	return soft.Slot{Kind: KMS, Params: map[string]string{"key": l.key, "endpoint": l.endpoint}, Sealed: out.CiphertextBlob}, nil
}

// Unwrap is kms:Decrypt, with the key that the operator named and no other.
func (l *kmsLock) Unwrap(ctx context.Context, s soft.Slot) (secret.Bytes, error) {
	var out kmsapi.DecryptResponse
	err := l.do(ctx, "Decrypt", &kmsapi.DecryptRequest{KeyId: &l.key, CiphertextBlob: s.Sealed, EncryptionContext: sealContext}, &out)
	if err != nil {
		return nil, err
	}
	return out.Plaintext, nil
}

// loopback reports whether a host is this machine.
func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

package soft

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"filippo.io/age"
	"filippo.io/age/plugin"

	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/secret"
)

// A Kind is how a slot of a seal holds the seal key.
type Kind string

// Kinds of slots that this package opens. Others come with the [Lock] that the caller brings.
const (
	// PlainFile: the file holds the seal key as it is; whoever reads the file has all keys.
	PlainFile Kind = "plain-file"
	// Passphrase: the seal key is encrypted by age with scrypt. Whoever has the file can try
	// passphrases, each at the cost of the work factor.
	Passphrase Kind = "passphrase"
	// Age: the seal key is encrypted by age to recipients: key files, or hardware tokens by plugins.
	Age Kind = "age"
)

// A Slot is one way to open a seal.
type Slot struct {
	Kind Kind `json:"kind"`
	// Params are public and tell which key opens the slot: the recipients, a key ARN.
	Params map[string]string `json:"params,omitempty"`
	// Sealed is the seal key, in what form is up to the kind.
	Sealed []byte `json:"sealed"`
}

// A Lock seals the seal key into a slot and opens it again.
type Lock interface {
	Kind() Kind
	// Wrap makes a slot of a key of 32 bytes, which it does not keep.
	Wrap(ctx context.Context, key secret.Bytes) (Slot, error)
	// Unwrap opens a slot of its kind. hsm.ErrWrongSeal: this lock is not that slot's. Its other
	// errors are sentences.
	Unwrap(ctx context.Context, s Slot) (secret.Bytes, error)
}

// A PlainLock is no protection. Its zero value is ready.
type PlainLock struct{}

// Kind is [PlainFile].
func (PlainLock) Kind() Kind { return PlainFile }

// Wrap copies the key.
func (PlainLock) Wrap(_ context.Context, key secret.Bytes) (Slot, error) {
	return Slot{Kind: PlainFile, Sealed: bytes.Clone(key)}, nil
}

// Unwrap copies the key.
func (PlainLock) Unwrap(_ context.Context, s Slot) (secret.Bytes, error) {
	return bytes.Clone(s.Sealed), nil
}

// DefaultWorkFactor makes one try cost 2^18 steps of scrypt: about a second and 256 MiB.
const DefaultWorkFactor = 18

// maxWorkFactor bounds what a seal file can make Unseal spend.
const maxWorkFactor = 22

// A PassphraseLock seals with age and scrypt.
type PassphraseLock struct {
	Passphrase secret.Bytes // not empty
	// WorkFactor is the logarithm of the scrypt work of a new slot, 1 to 22; 0 is
	// [DefaultWorkFactor]. Only tests want less.
	WorkFactor int
}

// Kind is [Passphrase].
func (PassphraseLock) Kind() Kind { return Passphrase }

func (l PassphraseLock) check() error {
	switch {
	case len(l.Passphrase) == 0:
		return errors.New("soft: the passphrase is empty")
	case l.WorkFactor < 0 || l.WorkFactor > maxWorkFactor:
		return fmt.Errorf("soft: the work factor is between 1 and %d", maxWorkFactor)
	}
	return nil
}

// Wrap encrypts the key under the passphrase.
func (l PassphraseLock) Wrap(_ context.Context, key secret.Bytes) (Slot, error) {
	if err := l.check(); err != nil {
		return Slot{}, err
	}
	to, err := age.NewScryptRecipient(string(l.Passphrase))
	if err != nil {
		return Slot{}, fmt.Errorf("soft: seal: %w", err)
	}
	to.SetWorkFactor(DefaultWorkFactor)
	if l.WorkFactor != 0 {
		to.SetWorkFactor(l.WorkFactor)
	}
	sealed, err := ageEncrypt(key, to)
	return Slot{Kind: Passphrase, Sealed: sealed}, err
}

// Unwrap decrypts the key. The digest of the file was right, so what age cannot open with this
// passphrase was sealed with another one.
func (l PassphraseLock) Unwrap(_ context.Context, s Slot) (secret.Bytes, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	by, err := age.NewScryptIdentity(string(l.Passphrase))
	if err != nil {
		return nil, fmt.Errorf("soft: unseal: %w", err)
	}
	by.SetMaxWorkFactor(maxWorkFactor)
	return ageDecrypt(s.Sealed, by)
}

const paramRecipients = "recipients" // of an Age slot: separated by spaces

// An AgeLock seals to age recipients and opens with age identities. Made for sealing only, it has
// no identities; then it opens nothing.
type AgeLock struct {
	recipients []age.Recipient
	names      []string
	identities []age.Identity
}

// ParseAgeRecipients makes a lock that seals to the recipients in a text, one a line as in age's
// files: native ones, or those of plugins.
func ParseAgeRecipients(text string) (*AgeLock, error) {
	l := &AgeLock{}
	for n, line := range ageLines(text) {
		if err := l.add(line); err != nil {
			return nil, fmt.Errorf("line %d is not an age recipient: %w", n, err)
		}
	}
	if len(l.recipients) == 0 {
		return nil, errors.New("there is no age recipient")
	}
	return l, nil
}

// ParseAgeIdentities makes a lock that opens with the identities in a text, one a line as in age's
// files, and seals to their recipients. The lines stay out of the errors.
func ParseAgeIdentities(text string) (*AgeLock, error) {
	l := &AgeLock{}
	for n, line := range ageLines(text) {
		id, to, err := parseAgeIdentity(line)
		if err != nil {
			return nil, fmt.Errorf("line %d is not an age identity", n)
		}
		l.identities = append(l.identities, id)
		l.recipients, l.names = append(l.recipients, to), append(l.names, to.String())
	}
	if len(l.identities) == 0 {
		return nil, errors.New("there is no age identity")
	}
	return l, nil
}

type namedRecipient interface {
	age.Recipient
	fmt.Stringer
}

func parseAgeIdentity(line string) (age.Identity, namedRecipient, error) {
	switch {
	case strings.HasPrefix(line, "AGE-SECRET-KEY-1"):
		id, err := age.ParseX25519Identity(line)
		if err != nil {
			return nil, nil, err
		}
		return id, id.Recipient(), nil
	case strings.HasPrefix(line, "AGE-SECRET-KEY-PQ-1"):
		id, err := age.ParseHybridIdentity(line)
		if err != nil {
			return nil, nil, err
		}
		return id, id.Recipient(), nil
	}
	id, err := plugin.NewIdentity(line, ageUI())
	if err != nil {
		return nil, nil, err
	}
	return id, pluginIdentity{id.Recipient(), id.Name()}, nil
}

// pluginIdentity names the recipient of a plugin's identity, whose own name would be the identity.
type pluginIdentity struct {
	age.Recipient
	name string
}

func (p pluginIdentity) String() string { return "plugin:" + p.name }

// add takes a recipient.
func (l *AgeLock) add(name string) error {
	var to age.Recipient
	if x, err := age.ParseX25519Recipient(name); err == nil {
		to = x
	} else if h, err := age.ParseHybridRecipient(name); err == nil {
		to = h
	} else if p, err := plugin.NewRecipient(name, ageUI()); err == nil {
		to = p
	} else {
		return err
	}
	l.recipients, l.names = append(l.recipients, to), append(l.names, name)
	return nil
}

// ageLines are the lines that say something, with their numbers.
func ageLines(text string) func(func(int, string) bool) {
	return func(yield func(int, string) bool) {
		n := 0
		for line := range strings.Lines(text) {
			n++
			line = strings.TrimSpace(line)
			if line != "" && line[0] != '#' && !yield(n, line) {
				return
			}
		}
	}
}

// ageUI lets plugins say what they want (touch the token) on standard error. Nobody sits there to
// type a PIN: a plugin that asks for one is refused.
func ageUI() *plugin.ClientUI {
	refuse := errors.New("soft: a plugin asks a question, but nobody is there to answer")
	return &plugin.ClientUI{
		DisplayMessage: func(name, message string) error {
			_, err := fmt.Fprintf(os.Stderr, "age-plugin-%s: %s\n", name, message)
			return err
		},
		RequestValue: func(string, string, bool) (string, error) { return "", refuse },
		Confirm:      func(string, string, string, string) (bool, error) { return false, refuse },
		WaitTimer:    func(string) {},
	}
}

// Kind is [Age].
func (*AgeLock) Kind() Kind { return Age }

// Wrap encrypts the key to all recipients.
func (l *AgeLock) Wrap(_ context.Context, key secret.Bytes) (Slot, error) {
	sealed, err := ageEncrypt(key, l.recipients...)
	return Slot{Kind: Age, Params: map[string]string{paramRecipients: strings.Join(l.names, " ")}, Sealed: sealed}, err
}

// Unwrap tries all identities.
func (l *AgeLock) Unwrap(_ context.Context, s Slot) (secret.Bytes, error) {
	if len(l.identities) == 0 {
		return nil, hsm.ErrWrongSeal
	}
	return ageDecrypt(s.Sealed, l.identities...)
}

// Again is a lock for the same recipients as an Age slot names; only plugin identities have none.
func Again(s Slot) (*AgeLock, bool) {
	l := &AgeLock{}
	for name := range strings.FieldsSeq(s.Params[paramRecipients]) {
		if err := l.add(name); err != nil {
			return nil, false
		}
	}
	return l, s.Kind == Age && len(l.recipients) > 0
}

func ageEncrypt(key secret.Bytes, to ...age.Recipient) ([]byte, error) {
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to...)
	if err != nil {
		return nil, fmt.Errorf("soft: seal: %w", err)
	}
	if _, err := w.Write(key); err != nil {
		return nil, fmt.Errorf("soft: seal: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("soft: seal: %w", err)
	}
	return out.Bytes(), nil
}

func ageDecrypt(sealed []byte, by ...age.Identity) (secret.Bytes, error) {
	r, err := age.Decrypt(bytes.NewReader(sealed), by...)
	if missing, ok := errors.AsType[*plugin.NotFoundError](err); ok {
		return nil, fmt.Errorf("the plugin age-plugin-%s is not installed", missing.Name)
	}
	if _, none := errors.AsType[*age.NoIdentityMatchError](err); none || errors.Is(err, age.ErrIncorrectIdentity) {
		return nil, hsm.ErrWrongSeal
	}
	if err != nil { // it is damaged, or a plugin failed
		return nil, fmt.Errorf("age does not decrypt it: %w", err)
	}
	key, err := io.ReadAll(io.LimitReader(r, keySize+1))
	if err != nil {
		return nil, fmt.Errorf("it is damaged: %w", err)
	}
	return key, nil
}

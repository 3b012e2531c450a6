package soft

import (
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"

	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/secret"
)

// PBKDF2 is a passphrase for who needs approved algorithms: scrypt is not one.
const PBKDF2 Kind = "pbkdf2"

const (
	// defaultIterations of HMAC-SHA-256. Source: OWASP Password Storage Cheat Sheet, PBKDF2 (600,000).
	defaultIterations = 600_000
	maxIterations     = 100_000_000
	saltSize          = 32
	paramIterations   = "iterations"
)

// A PBKDF2Lock seals under a passphrase with PBKDF2-HMAC-SHA-256 (SP 800-132) and AES-256-GCM. A try
// costs less memory than with a [PassphraseLock]; take a passphrase of high entropy.
type PBKDF2Lock struct {
	Passphrase secret.Bytes // not empty
	Iterations int          // of a new slot; 0 is 600,000. Only tests want less.
}

// Kind is [PBKDF2].
func (PBKDF2Lock) Kind() Kind { return PBKDF2 }

func (l PBKDF2Lock) cipher(salt []byte, iterations int) (*xaes, error) {
	if len(l.Passphrase) == 0 {
		return nil, errors.New("soft: the passphrase is empty")
	}
	key, err := pbkdf2.Key(sha256.New, string(l.Passphrase), salt, iterations, keySize)
	if err != nil {
		return nil, fmt.Errorf("soft: seal: %w", err)
	}
	defer clear(key)
	return newXAES(key)
}

// Wrap encrypts the key: salt, then what xaes makes.
func (l PBKDF2Lock) Wrap(_ context.Context, key secret.Bytes) (Slot, error) {
	n := l.Iterations
	if n == 0 {
		n = defaultIterations
	}
	salt := make([]byte, saltSize)
	rand.Read(salt)
	x, err := l.cipher(salt, n)
	if err != nil {
		return Slot{}, err
	}
	return Slot{Kind: PBKDF2, Params: map[string]string{paramIterations: strconv.Itoa(n)}, Sealed: x.seal(salt, key, nil)}, nil
}

// Unwrap decrypts the key.
func (l PBKDF2Lock) Unwrap(_ context.Context, s Slot) (secret.Bytes, error) {
	n, err := strconv.Atoi(s.Params[paramIterations])
	if err != nil || n < 1 || n > maxIterations || len(s.Sealed) < saltSize {
		return nil, errors.New("it is damaged: its parameters make no sense")
	}
	x, err := l.cipher(s.Sealed[:saltSize], n)
	if err != nil {
		return nil, err
	}
	key, err := x.open(s.Sealed[saltSize:], nil)
	if err != nil {
		return nil, hsm.ErrWrongSeal
	}
	return key, nil
}

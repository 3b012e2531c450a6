package soft

import (
	"context"
	"crypto/mlkem"
	"crypto/rand"

	lowkem "github.com/emmansun/gmsm/mlkem"

	"github.com/kagimori/kagimori/internal/guard/permit"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/secret"
)

// kemSeed is the size of the private key of every ML-KEM spec: the seeds d and z of FIPS 203.
const kemSeed = mlkem.SeedSize

// A kem is a key for key encapsulation.
type kem interface {
	public() []byte
	size() int // of a ciphertext
	encapsulate() (shared, ciphertext []byte, err error)
	decapsulate(ciphertext []byte) ([]byte, error)
}

// kems make the key of a seed. The standard library has no ML-KEM-512.
var kems = map[hsm.Spec]func(seed []byte) (kem, error){
	"ML_KEM_512": func(seed []byte) (kem, error) {
		k, err := lowkem.NewDecapsulationKeyFromSeed512(seed)
		return kem512{k}, err
	},
	"ML_KEM_768": func(seed []byte) (kem, error) {
		k, err := mlkem.NewDecapsulationKey768(seed)
		return kem768{k}, err
	},
	"ML_KEM_1024": func(seed []byte) (kem, error) {
		k, err := mlkem.NewDecapsulationKey1024(seed)
		return kem1024{k}, err
	},
}

type (
	kem512  struct{ k *lowkem.DecapsulationKey512 }
	kem768  struct{ k *mlkem.DecapsulationKey768 }
	kem1024 struct{ k *mlkem.DecapsulationKey1024 }
)

func (k kem512) public() []byte  { return k.k.EncapsulationKey().Bytes() }
func (k kem768) public() []byte  { return k.k.EncapsulationKey().Bytes() }
func (k kem1024) public() []byte { return k.k.EncapsulationKey().Bytes() }

func (kem512) size() int  { return lowkem.CiphertextSize512 }
func (kem768) size() int  { return mlkem.CiphertextSize768 }
func (kem1024) size() int { return mlkem.CiphertextSize1024 }

func (k kem512) encapsulate() (shared, ciphertext []byte, err error) {
	return k.k.EncapsulationKey().Encapsulate(rand.Reader)
}

func (k kem768) encapsulate() (shared, ciphertext []byte, err error) {
	shared, ciphertext = k.k.EncapsulationKey().Encapsulate()
	return shared, ciphertext, nil
}

func (k kem1024) encapsulate() (shared, ciphertext []byte, err error) {
	shared, ciphertext = k.k.EncapsulationKey().Encapsulate()
	return shared, ciphertext, nil
}

func (k kem512) decapsulate(ciphertext []byte) ([]byte, error)  { return k.k.Decapsulate(ciphertext) }
func (k kem768) decapsulate(ciphertext []byte) ([]byte, error)  { return k.k.Decapsulate(ciphertext) }
func (k kem1024) decapsulate(ciphertext []byte) ([]byte, error) { return k.k.Decapsulate(ciphertext) }

// Encapsulate makes a shared secret and the ciphertext that carries it.
func (m *Module) Encapsulate(_ context.Context, p permit.Permit, use hsm.Use, mat hsm.Material) (secret.Bytes, []byte, error) {
	if err := spend(p, use, "kms:Encapsulate"); err != nil {
		return nil, nil, err
	}
	k, err := m.kem(use.KeyARN, mat)
	if err != nil {
		return nil, nil, err
	}
	return k.encapsulate()
}

// Decapsulate undoes Encapsulate.
func (m *Module) Decapsulate(_ context.Context, p permit.Permit, use hsm.Use, mat hsm.Material, ciphertext []byte) (secret.Bytes, error) {
	if err := spend(p, use, "kms:Decapsulate"); err != nil {
		return nil, err
	}
	k, err := m.kem(use.KeyARN, mat)
	if err != nil {
		return nil, err
	}
	if len(ciphertext) != k.size() {
		return nil, hsm.ErrCiphertext
	}
	return k.decapsulate(ciphertext)
}

func (m *Module) kem(arn string, mat hsm.Material) (kem, error) {
	if kems[mat.Spec] == nil {
		return nil, hsm.ErrUnsupported
	}
	k, err := m.use(arn, mat)
	if err != nil {
		return nil, err
	}
	return k.kem, nil
}

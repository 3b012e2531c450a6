//go:build !purego

package crypt

import (
	"unsafe"

	"golang.org/x/sys/cpu"

	"github.com/kagimori/kagimori/internal/secret"
)

// A schedule is the round keys of AES-256.
type schedule = [240]byte

// sectorFunc encrypts or decrypts one sector.
type sectorFunc func(data, tweak *schedule, dst, src *byte, sector uint64)

// A kind is a way to use the AES instructions of amd64.
type kind struct {
	name             string
	encrypt, decrypt sectorFunc
}

// kinds are those for which this processor has the instructions, best first.
func kinds() (all []kind) {
	x := &cpu.X86
	if !x.HasAES || !x.HasSSE2 {
		return nil
	}
	if x.HasAVX512F && x.HasAVX512BW && x.HasAVX512VL && x.HasAVX512VAES && x.HasAVX512VPCLMULQDQ {
		all = append(all, kind{"VAES", encryptVAES, decryptVAES})
	}
	return append(all, kind{"AES-NI", encryptAESNI, decryptAESNI})
}

// Where the schedules are in the memory of a fast engine.
const (
	encryptAt = iota * len(schedule{})
	decryptAt
	tweakAt
	unusedAt // tweaks are never decrypted; the schedule is made all the same
	schedulesLen
)

// fast is an engine over the AES instructions of amd64. Its round keys are in locked memory outside the
// Go heap until they are wiped.
type fast struct {
	kind
	keys *secret.Locked
}

func newFast(k kind, key secret.Bytes) (engine, error) {
	l, err := secret.NewLocked(schedulesLen)
	if err != nil {
		return nil, err
	}
	err = l.Use(func(b secret.Bytes) error {
		expandAESNI((*[32]byte)(key[:halfSize]), at(b, encryptAt), at(b, decryptAt))
		expandAESNI((*[32]byte)(key[halfSize:]), at(b, tweakAt), at(b, unusedAt))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &fast{kind: k, keys: l}, nil
}

func at(b secret.Bytes, i int) *schedule { return (*schedule)(b[i:]) }

func (f *fast) encrypt(dst, src []byte, sector uint64) error {
	return f.each(f.kind.encrypt, encryptAt, dst, src, sector)
}

func (f *fast) decrypt(dst, src []byte, sector uint64) error {
	return f.each(f.kind.decrypt, decryptAt, dst, src, sector)
}

func (f *fast) each(fn sectorFunc, schedule int, dst, src []byte, sector uint64) error {
	err := f.keys.Use(func(keys secret.Bytes) error {
		data, tweak := at(keys, schedule), at(keys, tweakAt)
		for i := 0; i < len(src); i += SectorSize {
			fn(data, tweak, unsafe.SliceData(dst[i:i+SectorSize]), unsafe.SliceData(src[i:i+SectorSize]), sector)
			sector++
		}
		return nil
	})
	if err != nil {
		return ErrWiped
	}
	return nil
}

func (f *fast) wipe() { _ = f.keys.Close() } // what is left is not the key

// newEngine is the best engine for the key on this processor.
func newEngine(key secret.Bytes) (engine, error) {
	if all := kinds(); len(all) > 0 {
		return newFast(all[0], key)
	}
	return newPortable(key)
}

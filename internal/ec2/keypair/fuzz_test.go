package keypair_test

import (
	"errors"
	"math/big"
	"testing"

	"github.com/kagimori/kagimori/internal/ec2/keypair"
)

// bigOdd is a number of that many bits.
func bigOdd(bits uint) *big.Int {
	n := new(big.Int).Lsh(big.NewInt(1), bits-1)
	return n.SetBit(n, 0, 1)
}

// FuzzParse: what is read can be read again, and is the same key.
func FuzzParse(f *testing.F) {
	f.Add([]byte(vector))
	f.Add([]byte("---- BEGIN SSH2 PUBLIC KEY ----\nComment: x\nAAAA\n---- END SSH2 PUBLIC KEY ----"))
	f.Add([]byte("-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := keypair.Parse(text)
		if err != nil {
			if !errors.Is(err, keypair.ErrFormat) {
				t.Fatalf("error %v", err)
			}
			return
		}
		if again, err := keypair.Parse([]byte(p.OpenSSH)); err != nil || again != p {
			t.Fatalf("%+v becomes %+v, %v", p, again, err)
		}
	})
}

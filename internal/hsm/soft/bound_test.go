package soft_test

import (
	"testing"

	"github.com/kagimori/kagimori/internal/guard/permittest"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/hsm/hsmtest"
	"github.com/kagimori/kagimori/internal/hsm/soft"
	"github.com/kagimori/kagimori/internal/secret"
)

// However many keys are used, no more than the bound are ready in memory, and all of them work.
func TestReadyKeysAreBounded(t *testing.T) {
	root, err := soft.NewRootKey()
	check(t, err)
	m, err := soft.Open(soft.Config{Root: root, CacheSize: 3})
	check(t, err)
	t.Cleanup(func() { check(t, m.Close()) })
	var mats []hsm.Material
	for _, spec := range []hsm.Spec{"SYMMETRIC_DEFAULT", "HMAC_512", "SYMMETRIC_DEFAULT", "HMAC_224", "SYMMETRIC_DEFAULT", "SYMMETRIC_DEFAULT", "HMAC_256", "RSA_2048"} {
		mats = append(mats, hsmtest.Generate(t, m, resealARN, spec))
	}
	most := 0
	for range 3 {
		for _, mat := range mats {
			switch mat.Spec {
			case "SYMMETRIC_DEFAULT":
				check(t, encryptWith(t, m, mat))
			case "RSA_2048":
				use := hsm.Use{Action: "kms:Encrypt", KeyARN: resealARN}
				_, err := m.Encrypt(t.Context(), permittest.New(use.Action, resealARN), use, mat, "RSAES_OAEP_SHA_256", secret.Bytes("x"), nil)
				check(t, err)
			default:
				use := hsm.Use{Action: "kms:GenerateMac", KeyARN: resealARN}
				_, err := m.GenerateMAC(t.Context(), permittest.New(use.Action, resealARN), use, mat, "HMAC_SHA_"+string(mat.Spec[5:]), secret.Bytes("x"))
				check(t, err)
			}
			n, bound := m.Ready()
			if bound != 3 || n > bound || m.Cached() > bound {
				t.Fatalf("%d of %d keys are in the arena, %d in the cache", n, bound, m.Cached())
			}
			most = max(most, n)
		}
	}
	if most != 3 {
		t.Errorf("at most %d were ready: the bound is not used", most)
	}
	for _, mat := range mats {
		m.Forget(resealARN, mat)
	}
	if n, _ := m.Ready(); n != 0 || m.Cached() != 0 {
		t.Errorf("%d of the forgotten are ready", n)
	}
}

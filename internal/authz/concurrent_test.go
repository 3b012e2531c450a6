package authz_test

import (
	"sync"
	"testing"

	"github.com/kagimori/kagimori/internal/authz"
)

func TestRequestsMayBeDecidedConcurrently(t *testing.T) {
	req := fullRequest(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if authz.Decide(req).Outcome != authz.Allowed || authz.Explain(req).Outcome != authz.Allowed {
					t.Error("denied")
				}
			}
		})
	}
	wg.Wait()
}

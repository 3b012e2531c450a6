package sieve_test

import (
	"math/rand/v2"
	"testing"

	"github.com/kagimori/kagimori/internal/sieve"
)

func TestAgain(t *testing.T) {
	const places = 1000
	s := sieve.New(places)
	r := rand.New(rand.NewPCG(1, 2))
	often := []uint64{r.Uint64(), r.Uint64(), r.Uint64()}
	for _, h := range often {
		if s.Again(h) {
			t.Errorf("%x was seen before", h)
		}
	}
	missed := 0
	for _, h := range often {
		if !s.Again(h) {
			missed++
		}
	}
	if missed > 0 {
		t.Errorf("%d of 3 were forgotten at once", missed)
	}
	again := 0
	for range 100 * places {
		if s.Again(r.Uint64()) {
			again++
		}
	}
	if again > 1 {
		t.Errorf("%d values that are new were taken for others", again)
	}
	missed = 0
	for _, h := range often {
		if !s.Again(h) {
			missed++
		}
	}
	if missed == 0 {
		t.Error("nothing is ever forgotten")
	}
	one := sieve.New(0)
	if one.Again(7) || !one.Again(7) {
		t.Error("a sieve has at least one place")
	}
}

// Package hsmtest has a key module for tests, and the tests that every key module must pass.
package hsmtest

import (
	"testing"

	"github.com/kagimori/kagimori/internal/guard/permittest"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/hsm/soft"
)

// New returns a software module on a random root key that is stored nowhere. It is closed when
// the test ends.
func New(t testing.TB) hsm.Module {
	t.Helper()
	root, err := soft.NewRootKey()
	if err != nil {
		t.Fatal(err)
	}
	m, err := soft.Open(soft.Config{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Errorf("close the key module: %v", err)
		}
	})
	return m
}

// Generate makes material with a permit for it.
func Generate(t testing.TB, m hsm.Module, keyARN string, spec hsm.Spec) hsm.Material {
	t.Helper()
	mat, err := m.Generate(t.Context(), permittest.New("kms:CreateKey", "*"), keyARN, spec)
	if err != nil {
		t.Fatalf("generate %s: %v", spec, err)
	}
	return mat
}

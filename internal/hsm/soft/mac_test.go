package soft_test

import (
	"bytes"
	"testing"

	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/hsm/soft"
)

func openModule(t *testing.T) *soft.Module {
	t.Helper()
	root, err := soft.NewRootKey()
	if err != nil {
		t.Fatal(err)
	}
	m, err := soft.Open(soft.Config{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

func code(t *testing.T, m *soft.Module, purpose, data string) []byte {
	t.Helper()
	mac, err := m.MAC(purpose)
	if err != nil {
		t.Fatal(err)
	}
	return mac([]byte(data))
}

func TestMACDependsOnRootPurposeAndData(t *testing.T) {
	m := openModule(t)
	want := code(t, m, "trail", "line")
	if len(want) != 32 || !bytes.Equal(want, code(t, m, "trail", "line")) {
		t.Fatalf("not one code of 32 bytes for the same data: %d bytes", len(want))
	}
	for name, got := range map[string][]byte{
		"data": code(t, m, "trail", "other"), "purpose": code(t, m, "other", "line"), "root key": code(t, openModule(t), "trail", "line"),
	} {
		if bytes.Equal(want, got) {
			t.Errorf("the code does not depend on the %s", name)
		}
	}
}

func TestMACOfAClosedModuleIsNil(t *testing.T) {
	m := openModule(t)
	mac, err := m.MAC("trail")
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if got := mac([]byte("line")); got != nil {
		t.Errorf("got %x", got)
	}
	if _, err := m.MAC("trail"); err != hsm.ErrSealed {
		t.Errorf("got %v, want %v", err, hsm.ErrSealed)
	}
}

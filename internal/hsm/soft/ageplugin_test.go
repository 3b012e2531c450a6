package soft_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/plugin"

	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/hsm/soft"
)

// pluginName is that of a plugin of age that this test binary is when it is called by that name.
const pluginName = "kagitest"

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "age-plugin-"+pluginName {
		os.Exit(agePlugin())
	}
	os.Exit(m.Run())
}

// agePlugin is a token in software: what it encrypts, only it decrypts. An identity is the text of a
// native one after a word that says how the token behaves.
func agePlugin() int {
	p, err := plugin.New(pluginName)
	if err != nil {
		return 1
	}
	p.HandleRecipient(func(data []byte) (age.Recipient, error) {
		to, err := age.ParseX25519Recipient(string(data))
		return tokenRecipient{to}, err
	})
	identity := func(data []byte) (*age.X25519Identity, string, error) {
		how, text, _ := strings.Cut(string(data), " ")
		id, err := age.ParseX25519Identity(text)
		return id, how, err
	}
	p.HandleIdentityAsRecipient(func(data []byte) (age.Recipient, error) {
		id, _, err := identity(data)
		if err != nil {
			return nil, err
		}
		return tokenRecipient{id.Recipient()}, nil
	})
	p.HandleIdentity(func(data []byte) (age.Identity, error) {
		id, how, err := identity(data)
		return tokenIdentity{id, p, how}, err
	})
	return p.Main()
}

type tokenRecipient struct{ to *age.X25519Recipient }

func (r tokenRecipient) Wrap(key []byte) ([]*age.Stanza, error) {
	stanzas, err := r.to.Wrap(key)
	for _, s := range stanzas {
		s.Type = pluginName
	}
	return stanzas, err
}

type tokenIdentity struct {
	*age.X25519Identity
	p   *plugin.Plugin
	how string
}

func (t tokenIdentity) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	for _, s := range stanzas {
		if s.Type == pluginName {
			s.Type = "X25519"
		}
	}
	switch t.how {
	case "touch":
		if err := t.p.DisplayMessage("touch the token"); err != nil {
			return nil, err
		}
	case "pin":
		if pin, err := t.p.RequestValue("PIN", true); err != nil || pin != "1234" {
			return nil, fmt.Errorf("no PIN: %w", err)
		}
	}
	return t.X25519Identity.Unwrap(stanzas)
}

// installPlugin puts the plugin where age looks for plugins.
func installPlugin(t *testing.T) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(self, filepath.Join(dir, "age-plugin-"+pluginName)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// A seal to a hardware token opens through age's plugin protocol, with the plugin as a process.
func TestAgePlugins(t *testing.T) {
	installPlugin(t)
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	identity := func(how string, id *age.X25519Identity) soft.Lock {
		l, err := soft.ParseAgeIdentities(plugin.EncodeIdentity(pluginName, []byte(how+" "+id.String())))
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	recipient := plugin.EncodeRecipient(pluginName, []byte(id.Recipient().String()))
	to, err := soft.ParseAgeRecipients("# the token in the safe\n" + recipient + "\n")
	if err != nil {
		t.Fatal(err)
	}
	for name, seal := range map[string]soft.Lock{"to its recipient": to, "to its identity": identity("plain", id), "to one that wants a touch": identity("touch", id)} {
		t.Run(name, func(t *testing.T) {
			s := soft.Seal{Dir: dataDir(t)}
			root, err := soft.Create(t.Context(), s, seal)
			module(t, root, err)
			for how, want := range map[string]string{"plain": "", "touch": "", "pin": "an error"} {
				root, err := soft.Unseal(t.Context(), s, identity(how, id))
				if (err != nil) != (want != "") {
					t.Errorf("a token that is %s: %v", how, err)
				}
				if err == nil {
					check(t, root.Close())
				}
			}
			if _, err := soft.Unseal(t.Context(), s, identity("plain", other)); !errors.Is(err, hsm.ErrWrongSeal) {
				t.Errorf("another token: %v", err)
			}
			if _, err := soft.Unseal(t.Context(), s, to); !errors.Is(err, hsm.ErrWrongSeal) {
				t.Errorf("a recipient: %v", err)
			}
		})
	}
	// A slot that names its recipient can be made again without the token; the identity is no secret
	// that the file would keep.
	s := soft.Seal{Dir: dataDir(t)}
	root, err := soft.Create(t.Context(), s, passphrase("p"), to)
	module(t, root, err)
	check(t, root.AddLock(t.Context(), passphrase("q")))
	check(t, root.RemoveSlot(t.Context(), 0, passphrase("q")))
	root, err = soft.Unseal(t.Context(), s, identity("plain", id))
	check(t, err)
	check(t, root.Reseal(t.Context(), identity("plain", id)))
	data, err := s.Dir.ReadFile("seal.json")
	check(t, err)
	if strings.Contains(strings.ToUpper(string(data)), "AGE-PLUGIN") || strings.Contains(string(data), id.String()) {
		t.Error("the identity is in the seal file")
	}
	check(t, root.Close())
	t.Setenv("PATH", t.TempDir())
	if _, err := soft.Unseal(t.Context(), s, identity("plain", id)); err == nil || !strings.Contains(err.Error(), "the plugin age-plugin-kagitest is not installed") {
		t.Errorf("without the plugin: %v", err)
	}
	if _, err := soft.Create(t.Context(), soft.Seal{Dir: dataDir(t)}, to); err == nil || !strings.Contains(err.Error(), pluginName) {
		t.Errorf("sealing without the plugin: %v", err)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

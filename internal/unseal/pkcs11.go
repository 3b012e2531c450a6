package unseal

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/hsm/soft"
	"github.com/kagimori/kagimori/internal/secret"
)

// PKCS11 is the kind of a slot whose seal key a PKCS#11 token encrypted.
const PKCS11 soft.Kind = "pkcs11"

const helperName = "kagimori-pkcs11"

// pkcs11Lock lets a helper program, in a process and module of its own, ask a token. What a vendor's
// library does to its process it does not do to the server.
//
// The protocol: one JSON request in a line on the helper's standard input, one JSON answer in a line
// on its standard output. The helper ends after it.
type pkcs11Lock struct {
	uri, helper string
}

// A helperRequest asks the helper. Bytes are base64.
type helperRequest struct {
	Op   string `json:"op"`  // "wrap" or "unwrap"
	URI  string `json:"uri"` // RFC 7512, without a PIN in it
	Data []byte `json:"data"`
}

// A helperAnswer has data, or an error; wrong says that the token's key did not make the data.
type helperAnswer struct {
	Data  []byte `json:"data,omitempty"`
	Error string `json:"error,omitempty"`
	Wrong bool   `json:"wrong,omitempty"`
}

// newPKCS11 takes a URI as RFC 7512 has it.
func (c Config) newPKCS11(uri string) (soft.Lock, error) {
	if !strings.Contains(uri, "object=") || !strings.Contains(uri, "module-path=") || !strings.Contains(uri, "pin-source=") {
		return nil, UsageError("the PKCS#11 URI does not name object, module-path and pin-source")
	}
	if strings.Contains(uri, "pin-value=") {
		return nil, UsageError("the PIN of a token comes from a file (pin-source): everybody can read command lines")
	}
	l := &pkcs11Lock{uri: uri, helper: c.PKCS11}
	if l.helper != "" {
		return l, nil
	}
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), helperName)
		if _, err := os.Stat(beside); err == nil {
			l.helper = beside
			return l, nil
		}
	}
	l.helper = helperName
	return l, nil
}

// Kind is [PKCS11].
func (*pkcs11Lock) Kind() soft.Kind { return PKCS11 }

// Wrap encrypts the key under the token's.
func (l *pkcs11Lock) Wrap(ctx context.Context, key secret.Bytes) (soft.Slot, error) {
	sealed, err := l.ask(ctx, "wrap", key)
	path, _, _ := strings.Cut(l.uri, "?")
	return soft.Slot{Kind: PKCS11, Params: map[string]string{"object": path}, Sealed: sealed}, err
}

// Unwrap decrypts it.
func (l *pkcs11Lock) Unwrap(ctx context.Context, s soft.Slot) (secret.Bytes, error) {
	return l.ask(ctx, "unwrap", s.Sealed)
}

func (l *pkcs11Lock) ask(ctx context.Context, op string, data []byte) ([]byte, error) {
	request, err := json.Marshal(helperRequest{op, l.uri, data})
	if err != nil {
		return nil, err
	}
	defer clear(request)
	cmd := exec.CommandContext(ctx, l.helper)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return nil, fmt.Errorf("the program %s, which opens PKCS#11 tokens, is not installed", helperName)
		}
		return nil, fmt.Errorf("%s: %w", helperName, err)
	}
	_, werr := in.Write(append(request, '\n'))
	werr = errors.Join(werr, in.Close())
	line, rerr := bufio.NewReaderSize(out, 64<<10).ReadSlice('\n')
	defer clear(line)
	var a helperAnswer
	jerr := json.Unmarshal(line, &a)
	if err := cmd.Wait(); jerr != nil {
		return nil, fmt.Errorf("%s gave no answer: %w", helperName, errors.Join(werr, rerr, err))
	}
	switch {
	case a.Wrong:
		return nil, hsm.ErrWrongSeal
	case a.Error != "":
		return nil, fmt.Errorf("%s: %s", helperName, a.Error)
	}
	return a.Data, nil
}

// Package secret holds bytes that must not be printed.
package secret

import (
	"crypto/subtle"
	"log/slog"
)

const redacted = "[redacted]"

// Bytes is a secret byte string. It prints as "[redacted]" in fmt, slog, JSON and text.
// The zero value is absent; an empty secret is non-nil.
type Bytes []byte

// String is "[redacted]".
func (Bytes) String() string { return redacted }

// GoString is "[redacted]".
func (Bytes) GoString() string { return redacted }

// LogValue is "[redacted]".
func (Bytes) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText gives "[redacted]"; the wire codecs read the bytes directly instead.
func (Bytes) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON gives "[redacted]"; the wire codecs read the bytes directly instead.
func (Bytes) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// Equal compares in time that depends on the lengths only.
func (b Bytes) Equal(o Bytes) bool { return subtle.ConstantTimeCompare(b, o) == 1 }

// Wipe overwrites the bytes with zeros.
func (b Bytes) Wipe() { clear(b) }

// String is a secret text, with the same printing rule as [Bytes].
type String string

// String is "[redacted]".
func (String) String() string { return redacted }

// GoString is "[redacted]".
func (String) GoString() string { return redacted }

// LogValue is "[redacted]".
func (String) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText gives "[redacted]".
func (String) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON gives "[redacted]".
func (String) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// Reveal returns the text.
func (s String) Reveal() string { return string(s) }

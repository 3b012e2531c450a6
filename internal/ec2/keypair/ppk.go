package keypair

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/kagimori/kagimori/internal/secret"
)

// ppk is an unencrypted PuTTY key file. Version 2 is the one that every PuTTY reads.
func ppk(key ssh.PublicKey, comment string, private []byte) secret.String {
	public := key.Marshal()
	// The MAC detects damage; without a passphrase anybody can compute it.
	macKey := sha1.Sum([]byte("putty-private-key-file-mac-key"))
	mac := hmac.New(sha1.New, macKey[:])
	for _, part := range [][]byte{[]byte(key.Type()), []byte("none"), []byte(comment), public, private} {
		mac.Write(field(part))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "PuTTY-User-Key-File-2: %s\nEncryption: none\nComment: %s\n", key.Type(), comment)
	lines(&b, "Public", public)
	lines(&b, "Private", private)
	fmt.Fprintf(&b, "Private-MAC: %s", hex.EncodeToString(mac.Sum(nil)))
	return secret.String(b.String())
}

func lines(b *strings.Builder, name string, data []byte) {
	text := slices.Collect(slices.Chunk([]byte(base64.StdEncoding.EncodeToString(data)), 64))
	fmt.Fprintf(b, "%s-Lines: %d\n", name, len(text))
	for _, l := range text {
		fmt.Fprintf(b, "%s\n", l)
	}
}

// field is a string of the SSH protocol: its length and its bytes. Source: RFC 4251, section 5.
func field(data []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), data...)
}

// mpint is a positive number of the SSH protocol. Source: as above.
func mpint(n []byte) []byte {
	if len(n) > 0 && n[0] >= 0x80 {
		n = append([]byte{0}, n...)
	}
	return field(n)
}

package directory

import (
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"sync"
	"time"
)

// Session tokens are sealed under a key of a version, which the token names. Versions change with
// the wall clock, so that nodes agree without talking: a version seals for sessionPeriod, and what it
// sealed is opened until the longest session has ended after that. Later its tokens are refused,
// whatever they say of themselves.
const (
	sessionPeriod = 7 * 24 * time.Hour
	// longestSession is that of GetSessionToken and GetFederationToken. Source: their API Reference.
	longestSession = 36 * time.Hour
	// sessionSkew is how far clocks of nodes may be apart.
	sessionSkew = 5 * time.Minute
)

// SessionBoxes are the boxes of the versions of the session key, of what makes a box for a purpose.
func SessionBoxes[B Box](box func(purpose string) B) func(version uint32) Box {
	return func(version uint32) Box { return box("session token " + strconv.FormatUint(uint64(version), 10)) }
}

// sessionKeys seals and opens session tokens.
type sessionKeys struct {
	wall  func() time.Time
	make  func(version uint32) Box
	boxes sync.Map // version to Box: those in use and before
}

func versionAt(now time.Time) uint32 { return uint32(now.Unix() / int64(sessionPeriod/time.Second)) }

func (k *sessionKeys) box(version uint32) Box {
	if b, ok := k.boxes.Load(version); ok {
		return b.(Box)
	}
	b, _ := k.boxes.LoadOrStore(version, k.make(version))
	return b.(Box)
}

// seal makes a token: the version of the key, then what it sealed.
func (k *sessionKeys) seal(plain []byte) string {
	version := versionAt(k.wall())
	head := binary.BigEndian.AppendUint32(nil, version)
	return base64.StdEncoding.EncodeToString(append(head, k.box(version).Seal(plain, head)...))
}

// open is what a token holds; ErrInvalidToken if no version that is good now sealed it.
func (k *sessionKeys) open(token string) ([]byte, error) {
	raw, err := base64.StdEncoding.DecodeString(token)
	if err != nil || len(raw) < 4 {
		return nil, ErrInvalidToken
	}
	version, now := binary.BigEndian.Uint32(raw), k.wall()
	if version > versionAt(now.Add(sessionSkew)) || version < versionAt(now.Add(-longestSession-sessionSkew)) {
		return nil, ErrInvalidToken
	}
	plain, err := k.box(version).Open(raw[4:], raw[:4])
	if err != nil {
		return nil, ErrInvalidToken
	}
	return plain, nil
}

package envelope

import (
	"encoding/binary"
	"maps"
	"slices"
)

// MaxContext is the most bytes that [CanonicalContext] may have in a request.
const MaxContext = 8192

// CanonicalContext encodes an encryption context, so that equal contexts and only those give
// equal bytes: the pairs sorted by key (as bytes), and of each pair the length of the key, the
// key, the length of the value, the value. Lengths are unsigned varints.
//
// It does not depend on the order of the map, because keys are unique and sorted. It is
// injective: each length says where its text ends, so the bytes read back as one sequence of
// pairs, and a sequence of pairs in sorted order is one map. Nothing is escaped or normalized:
// AWS compares contexts exactly, with case. An empty context is the same as none and gives nil.
//
// Source: KMS Developer Guide, "Encryption context".
func CanonicalContext(context map[string]string) []byte {
	if len(context) == 0 {
		return nil
	}
	n := 0
	for k, v := range context {
		n += len(k) + len(v) + 2*2
	}
	out := make([]byte, 0, n)
	for _, k := range slices.Sorted(maps.Keys(context)) {
		out = appendText(out, k)
		out = appendText(out, context[k])
	}
	return out
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

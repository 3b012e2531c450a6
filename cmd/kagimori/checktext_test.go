package main

import (
	"slices"
	"testing"
	"unicode/utf16"
)

// Shells and editors of Windows write files with a mark, or in UTF-16.
func TestPlainText(t *testing.T) {
	const text = `{"a": "鍵 🔑"}`
	units := utf16.Encode([]rune(text))
	little, big := []byte{0xff, 0xfe}, []byte{0xfe, 0xff}
	for _, u := range units {
		little, big = append(little, byte(u), byte(u>>8)), append(big, byte(u>>8), byte(u))
	}
	for name, data := range map[string][]byte{
		"plain": []byte(text), "UTF-8 with a mark": []byte("\ufeff" + text), "UTF-16": little, "UTF-16, the other way round": big,
	} {
		if got := plainText(slices.Clone(data)); string(got) != text {
			t.Errorf("%s is %q", name, got)
		}
	}
	if got := plainText(nil); len(got) != 0 {
		t.Errorf("nothing is %q", got)
	}
}

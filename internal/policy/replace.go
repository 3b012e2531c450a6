package policy

import "bytes"

// ReplacePrincipals returns the document with each AWS principal that is a key of replace changed
// to its value, in Principal and NotPrincipal of every statement; every other byte stays. It
// serves to show the unique id of a deleted principal instead of its ARN. Text that does not parse
// comes back as it is. The result shares no memory with src.
func ReplacePrincipals(src []byte, replace map[string]string) []byte {
	d, _, err := parse(src, Resource)
	if err != nil {
		return bytes.Clone(src)
	}
	var out []byte
	done := 0
	for t := range d.awsPrincipals() { // positions grow: the pairs of elements exclude each other
		if value, ok := replace[t.Value]; ok {
			out = append(out, src[done:t.Pos.Start]...)
			out = append(out, quoted(value)...)
			done = t.Pos.End
		}
	}
	return append(out, src[done:]...)
}

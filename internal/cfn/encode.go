package cfn

import (
	"bytes"
	"encoding/json"
)

// encode is a value as JSON, members in their order. In policies numbers are texts, as IAM has them.
func encode(n *node, policy bool) []byte {
	var buf bytes.Buffer
	write(&buf, n, policy)
	return buf.Bytes()
}

func write(buf *bytes.Buffer, n *node, policy bool) {
	str := func(s string) {
		enc := json.NewEncoder(buf)
		enc.SetEscapeHTML(false)
		_ = enc.Encode(s) // a string has no error
		buf.Truncate(buf.Len() - 1)
	}
	switch {
	case n == nil || n.kind == null || n.kind == unknown:
		buf.WriteString("null")
	case n.kind == truth:
		if n.isTrue() {
			buf.WriteString("true")
		} else {
			buf.WriteString("false")
		}
	case n.kind == number && !policy && json.Valid([]byte(n.s)):
		buf.WriteString(n.s)
	case n.kind == text || n.kind == number:
		str(n.s)
	case n.kind == list:
		buf.WriteByte('[')
		for i, item := range n.items {
			if i > 0 {
				buf.WriteByte(',')
			}
			write(buf, item, policy)
		}
		buf.WriteByte(']')
	default:
		buf.WriteByte('{')
		for i, m := range n.members {
			if i > 0 {
				buf.WriteByte(',')
			}
			str(m.name)
			buf.WriteByte(':')
			write(buf, m.value, policy)
		}
		buf.WriteByte('}')
	}
}

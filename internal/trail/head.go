package trail

import (
	"bytes"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// A headReader reads the heads of many lines: what decodeHead reads, in a third of the time, of lines as
// encode and checkpoints write them. Others it leaves to decodeHead.
type headReader struct {
	dec *jsontext.Decoder
	buf bytes.Buffer
}

func newHeadReader() *headReader {
	r := &headReader{}
	r.dec = jsontext.NewDecoder(&r.buf, jsontext.AllowDuplicateNames(true))
	return r
}

// read is decodeHead.
func (r *headReader) read(line []byte) (h head, ok bool) {
	if !bytes.HasPrefix(line, []byte(`{"eventVersion":`)) {
		return decodeHead(line)
	}
	r.buf = *bytes.NewBuffer(line)
	r.dec.Reset(&r.buf, jsontext.AllowDuplicateNames(true))
	if !r.object(func(name string) bool { return r.member(&h, name) }) || h.Kagimori == nil || len(bytes.TrimSpace(line[r.dec.InputOffset():])) > 0 {
		return decodeHead(line)
	}
	return h, true
}

// object reads an object, the value of each member with fn; false: something else is there than expected.
func (r *headReader) object(fn func(name string) bool) bool {
	if t, err := r.dec.ReadToken(); err != nil || t.Kind() != '{' {
		return false
	}
	for r.dec.PeekKind() == '"' {
		name, err := r.dec.ReadToken()
		if err != nil || !fn(name.String()) {
			return false
		}
	}
	t, err := r.dec.ReadToken()
	return err == nil && t.Kind() == '}'
}

func (r *headReader) skip() bool { return r.dec.SkipValue() == nil }

func (r *headReader) text(into *string) bool {
	t, err := r.dec.ReadToken()
	if err != nil || t.Kind() != '"' {
		return false
	}
	*into = t.String()
	return true
}

func (r *headReader) member(h *head, name string) bool {
	switch name {
	case "userIdentity":
		return r.object(func(name string) bool {
			if name == "arn" {
				return r.text(&h.UserIdentity.ARN)
			}
			return r.skip()
		})
	case "eventTime":
		var s string
		if !r.text(&s) {
			return false
		}
		return h.EventTime.UnmarshalText([]byte(s)) == nil
	case "eventName":
		return r.text(&h.EventName)
	case "awsRegion":
		return r.text(&h.AWSRegion)
	case "errorCode":
		return r.text(&h.ErrorCode)
	case "requestID":
		return r.text(&h.RequestID)
	case "eventID":
		return r.text(&h.EventID)
	case "recipientAccountId":
		return r.text(&h.RecipientAccountID)
	case "resources":
		return r.resources(h)
	case "kagimori":
		h.Kagimori = new(place)
		return r.object(func(name string) bool { return r.place(h.Kagimori, name) })
	case "checkpoint":
		return false
	}
	return r.skip()
}

func (r *headReader) resources(h *head) bool {
	if t, err := r.dec.ReadToken(); err != nil || t.Kind() != '[' {
		return false
	}
	for r.dec.PeekKind() == '{' {
		var x Resource
		ok := r.object(func(name string) bool {
			switch name {
			case "accountId":
				return r.text(&x.AccountID)
			case "type":
				return r.text(&x.Type)
			case "ARN":
				return r.text(&x.ARN)
			}
			return r.skip()
		})
		if !ok {
			return false
		}
		h.Resources = append(h.Resources, x)
	}
	t, err := r.dec.ReadToken()
	return err == nil && t.Kind() == ']'
}

func (r *headReader) place(p *place, name string) bool {
	switch name {
	case "sequence":
		raw, err := r.dec.ReadValue()
		if err != nil {
			return false
		}
		p.Sequence, err = strconv.ParseUint(string(raw), 10, 64)
		return err == nil
	case "previous":
		return r.text(&p.Previous)
	}
	return r.skip()
}

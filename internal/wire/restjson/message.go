package restjson

import (
	"net/http"
	"net/url"
	"reflect"
	"time"

	"github.com/kagimori/kagimori/internal/wire"
	"github.com/kagimori/kagimori/internal/wire/jsonbody"
)

// A message is one that is being written.
type message struct {
	header http.Header
	query  url.Values // nil in answers
	body   []byte
}

// write puts a structure's members, but for labels, where they belong.
func (m *message) write(s *wire.Struct, v reflect.Value) {
	payload := false
	for i := range s.Fields {
		f := &s.Fields[i]
		fv := v.Field(f.Index)
		if f.Place == wire.Payload {
			payload = true
			m.header["Content-Type"] = []string{BlobType}
		}
		if f.Absent(fv) {
			continue
		}
		switch f.Place {
		case wire.Payload:
			m.body = append([]byte{}, f.Get(fv).Bytes()...)
		case wire.Header:
			m.header.Set(f.Name, text(f, f.Node, fv))
		case wire.Query:
			m.parameter(f, fv)
		}
	}
	if !payload {
		m.header["Content-Type"] = []string{MediaType}
		m.body = jsonbody.Append(make([]byte, 0, 1024), s, v)
	}
}

func (m *message) parameter(f *wire.Field, v reflect.Value) {
	if f.Kind != wire.List {
		m.query.Set(f.Name, text(f, f.Node, v))
		return
	}
	for i := range v.Len() {
		m.query.Add(f.Name, text(f, f.Elem, v.Index(i)))
	}
}

// text is a scalar outside the body. Timestamps there have formats of their own: that of HTTP in
// headers, ISO 8601 elsewhere.
func text(f *wire.Field, n *wire.Node, v reflect.Value) string {
	v = n.Get(v)
	if n.Kind == wire.Time {
		t := v.Interface().(time.Time).UTC()
		if f.Place == wire.Header {
			return t.Format(http.TimeFormat)
		}
		return t.Format(time.RFC3339Nano)
	}
	return string(f.Format(nil, n, v, false))
}

// parse undoes text.
func parse(f *wire.Field, n *wire.Node, v reflect.Value, s string) error {
	place := n.Make(v)
	if n.Kind == wire.Time {
		t, err := time.Parse(time.RFC3339Nano, s)
		if f.Place == wire.Header {
			t, err = http.ParseTime(s)
		}
		if err != nil {
			return jsonbody.Mismatch("STRING_VALUE", n)
		}
		place.Set(reflect.ValueOf(t.UTC()))
		return nil
	}
	if f.Parse(n, place, s) != nil {
		return jsonbody.Mismatch("STRING_VALUE", n)
	}
	return nil
}

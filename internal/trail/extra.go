package trail

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Extra is the additional event data of a record: an object of JSON, in the order in which it was noted.
type Extra []Datum

// A Datum is a member of it.
type Datum struct {
	Key   string
	Value any // what encoding/json writes
}

// Set is the data with a member more, or with another value of one. What e is of others stays as it is.
func (e Extra) Set(key string, value any) Extra {
	if i := slices.IndexFunc(e, func(d Datum) bool { return d.Key == key }); i >= 0 {
		e = slices.Clone(e)
		e[i].Value = value
		return e
	}
	return append(e, Datum{key, value})
}

// Get is the value of a member, nil if there is none.
func (e Extra) Get(key string) any {
	for _, d := range e {
		if d.Key == key {
			return d.Value
		}
	}
	return nil
}

// MarshalJSON is the object.
func (e Extra) MarshalJSON() ([]byte, error) {
	o := object{}
	o.begin()
	e.members(&o)
	o.end()
	return o.b, o.err
}

func (e Extra) members(o *object) {
	for _, d := range e {
		if text, ok := d.Value.(string); ok {
			o.text(d.Key, text)
			continue
		}
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(d.Value); err != nil {
			o.err = fmt.Errorf("trail: %w", err)
			return
		}
		o.raw(d.Key, bytes.TrimSuffix(b.Bytes(), []byte("\n")))
	}
}

// UnmarshalJSON reads an object; its members are in the order of their names then.
func (e *Extra) UnmarshalJSON(b []byte) error {
	var all map[string]any
	if err := json.Unmarshal(b, &all); err != nil {
		return err
	}
	*e = nil
	for _, k := range slices.Sorted(maps.Keys(all)) {
		*e = append(*e, Datum{k, all[k]})
	}
	return nil
}

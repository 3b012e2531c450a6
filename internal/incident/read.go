package incident

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// maxSize bounds what is read of a file, after it was uncompressed.
const maxSize = 512 << 20

// ErrFormat says that there is no CloudTrail record in a file.
var ErrFormat = errors.New("incident: these are no CloudTrail records")

// Is reports whether a file looks like one of CloudTrail: it is compressed, or its first value has
// members that records have, or what records come in.
func Is(data []byte) bool {
	if compressed(data) {
		return true
	}
	marks := []string{`"Records"`, `"Events"`, `"events"`, "CloudTrailEvent", "eventSource", `"detail-type"`}
	if !mentions(data, marks) { // most files are not, and can be large
		return false
	}
	var first json.RawMessage
	if json.NewDecoder(bytes.NewReader(data)).Decode(&first) != nil {
		return false
	}
	var list []json.RawMessage
	if json.Unmarshal(first, &list) == nil && len(list) > 0 {
		first = list[0]
	}
	var text string
	if json.Unmarshal(first, &text) == nil {
		first = json.RawMessage(text)
	}
	var m envelope
	if json.Unmarshal(first, &m) != nil {
		return false
	}
	return m.Records != nil || m.Lookup != "" || m.EventVersion != "" && m.EventSource != "" || looked(m.Events) || m.Detail != nil
}

// mentions reports whether one of several texts is in a file.
func mentions(data []byte, marks []string) bool {
	return slices.ContainsFunc(marks, func(m string) bool { return bytes.Contains(data, []byte(m)) })
}

func compressed(data []byte) bool { return bytes.HasPrefix(data, []byte{0x1f, 0x8b}) }

// looked reports whether a list is one of events as LookupEvents or a log group has them.
func looked(list []json.RawMessage) bool {
	if len(list) == 0 {
		return list != nil
	}
	var m envelope
	return json.Unmarshal(list[0], &m) == nil && (m.Lookup != "" || m.Message != "")
}

// An envelope is what records come in. Names of members are told apart by case, which encoding/json
// does not: what is of another type is left out.
type envelope struct {
	Records      []json.RawMessage // a log file in S3
	Events       []json.RawMessage // LookupEvents: Events; a log group: events
	Lookup       string            // of LookupEvents: the record as text
	Message      string            // of a log group: the record as text
	Detail       json.RawMessage   // EventBridge
	EventVersion string
	EventSource  string
}

// UnmarshalJSON takes the members of those types.
func (m *envelope) UnmarshalJSON(data []byte) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return err
	}
	take := func(to any, names ...string) {
		for _, name := range names {
			if v, ok := members[name]; ok && json.Unmarshal(v, to) == nil {
				return
			}
		}
	}
	take(&m.Records, "Records")
	take(&m.Events, "Events", "events")
	take(&m.Lookup, "CloudTrailEvent")
	take(&m.Message, "message")
	take(&m.EventVersion, "eventVersion")
	take(&m.EventSource, "eventSource")
	if _, bridge := members["detail-type"]; bridge {
		take(&m.Detail, "detail")
	}
	return nil
}

// Read finds the calls to KMS that failed. seen is how many records there were of anything.
func Read(data []byte) (failed []Event, seen int, _ error) {
	if compressed(data) {
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, 0, fmt.Errorf("%w: %w", ErrFormat, err)
		}
		plain, err := io.ReadAll(io.LimitReader(z, maxSize+1))
		if err != nil {
			return nil, 0, fmt.Errorf("%w: %w", ErrFormat, err)
		}
		data = plain
	}
	if len(data) > maxSize {
		return nil, 0, fmt.Errorf("%w: more than %d bytes", ErrFormat, maxSize)
	}
	r := &records{}
	dec := json.NewDecoder(bufio.NewReader(bytes.NewReader(data)))
	for {
		var value json.RawMessage
		if err := dec.Decode(&value); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, r.seen, fmt.Errorf("%w: after %d of them: %w", ErrFormat, r.seen, err)
		}
		r.value(value, 0)
	}
	if r.seen == 0 && !r.empty {
		return nil, 0, ErrFormat
	}
	return r.failed, r.seen, nil
}

// records collects what is found.
type records struct {
	failed []Event
	seen   int
	empty  bool // a list of records that has none
}

// maxDepth bounds envelopes in envelopes.
const maxDepth = 4

// value looks at a record, or at what records come in.
func (r *records) value(data json.RawMessage, depth int) {
	if depth > maxDepth {
		return
	}
	var list []json.RawMessage
	if json.Unmarshal(data, &list) == nil {
		r.list(list, depth)
		return
	}
	var text string
	if json.Unmarshal(data, &text) == nil { // of lookup-events --query 'Events[].CloudTrailEvent'
		r.value(json.RawMessage(text), depth+1)
		return
	}
	var m envelope
	if json.Unmarshal(data, &m) != nil {
		return
	}
	switch {
	case m.Records != nil:
		r.list(m.Records, depth)
	case looked(m.Events):
		r.list(m.Events, depth)
	case m.Lookup != "":
		r.value(json.RawMessage(m.Lookup), depth+1)
	case m.EventSource != "":
		r.event(data)
	case m.Detail != nil:
		r.value(m.Detail, depth+1)
	case m.Message != "":
		r.value(json.RawMessage(m.Message), depth+1)
	}
}

func (r *records) list(list []json.RawMessage, depth int) {
	r.empty = r.empty || len(list) == 0
	for _, v := range list {
		r.value(v, depth+1)
	}
}

func (r *records) event(data json.RawMessage) {
	r.seen++
	if !bytes.Contains(data, []byte("kms.amazonaws.com")) {
		return
	}
	var e Event
	if json.Unmarshal(data, &e) == nil && e.failed() {
		r.failed = append(r.failed, e)
	}
}

package trail

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// format is the version of records and checkpoints.
const format = 1

// maxLine bounds a line, in bytes.
const maxLine = 16 << 20

// ErrTooLong is a record that does not fit a line.
var ErrTooLong = errors.New("trail: record too long")

type hash = [sha256.Size]byte

// unnumbered is how a record ends before it has its place in the log.
const unnumbered = `0,"previous":""}}`

// encode writes the record into buf up to where its sequence number goes. This is done before the
// record has its place, so that appends wait for each other's writes only.
func (p *pending) encode() error {
	p.buf.Reset()
	line, err := p.rec.appendUnnumbered(p.buf.AvailableBuffer())
	_, _ = p.buf.Write(line) // in place, as long as there was room
	return err
}

// appendUnnumbered appends the record up to where its sequence number goes.
func (r *Record) appendUnnumbered(b []byte) ([]byte, error) {
	c := *r
	c.bound()
	c.EventTime = stamp(c.EventTime)
	c.Kagimori.Version, c.Kagimori.Sequence, c.Kagimori.Previous = format, 0, ""
	from := len(b)
	b, err := c.append(b)
	if err != nil {
		return nil, err
	}
	end, ok := bytes.CutSuffix(b[from:], []byte(unnumbered))
	if !ok {
		return nil, errors.New("trail: a record does not end with its place in the log")
	}
	if len(b)-from > maxLine-128 {
		return nil, ErrTooLong
	}
	return b[:from+len(end)], nil
}

// maxParameters bounds what a record repeats of a request, and of its answer, in bytes: whoever may
// ask for something could otherwise fill the log, and push out what is in it. Source: CloudTrail
// User Guide, "CloudTrail record contents" (a field that is too large is omitted).
const maxParameters = 100 << 10

// bound leaves out what is too large.
func (r *Record) bound() {
	r.RequestParameters = bounded("requestParameters", r.RequestParameters)
	r.ResponseElements = bounded("responseElements", r.ResponseElements)
}

func bounded(name string, p json.RawMessage) json.RawMessage {
	if len(p) <= maxParameters {
		return p
	}
	return fmt.Appendf(nil, `{"omitted":true,"originalSize":%d,"reason":"%s too large"}`, len(p), name)
}

// stamp is a time as CloudTrail writes it.
func stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// appendLine completes a record that encode began.
func appendLine(b, encoded []byte, seq uint64, previous hash) []byte {
	b = append(b, encoded...)
	b = strconv.AppendUint(b, seq, 10)
	b = append(b, `,"previous":"`...)
	b = hex.AppendEncode(b, previous[:])
	return append(b, `"}}`+"\n"...)
}

// decode reads a record's line.
func decode(line []byte) (Record, error) {
	var r Record
	if err := json.Unmarshal(line, &r); err != nil {
		return r, fmt.Errorf("%w: a line is no record", ErrBroken)
	}
	r.Clean()
	return r, nil
}

// Clean makes a record that was read as JSON the one that was written: what is null there is nil.
func (r *Record) Clean() {
	for _, m := range []*json.RawMessage{&r.RequestParameters, &r.ResponseElements} {
		if string(*m) == "null" {
			*m = nil
		}
	}
}

// A head is what look-ups and checks need of a line; the rest is skipped. Exactly one of Kagimori
// and Checkpoint is there.
type head struct {
	UserIdentity struct {
		ARN string `json:"arn"`
	} `json:"userIdentity"`
	EventTime          time.Time   `json:"eventTime"`
	EventName          string      `json:"eventName"`
	AWSRegion          string      `json:"awsRegion"`
	ErrorCode          string      `json:"errorCode"`
	RequestID          string      `json:"requestID"`
	EventID            string      `json:"eventID"`
	Resources          []Resource  `json:"resources"`
	RecipientAccountID string      `json:"recipientAccountId"`
	Kagimori           *place      `json:"kagimori"`
	Checkpoint         *checkpoint `json:"checkpoint"`
}

type place struct {
	Sequence uint64 `json:"sequence"`
	Previous string `json:"previous"`
}

// decodeHead reads a line; ok is false if it is neither a record nor a checkpoint.
func decodeHead(line []byte) (h head, ok bool) {
	err := json.Unmarshal(line, &h)
	return h, err == nil && (h.Kagimori == nil) != (h.Checkpoint == nil)
}

// headOf is the head of a record that is about to be written.
func headOf(r *Record) head {
	h := head{
		EventTime: stamp(r.EventTime), EventName: r.EventName, AWSRegion: r.AWSRegion, ErrorCode: r.ErrorCode, RequestID: r.RequestID,
		EventID: r.EventID, Resources: r.Resources, RecipientAccountID: r.RecipientAccountID,
	}
	h.UserIdentity.ARN = r.UserIdentity.ARN
	return h
}

// A checkpoint vouches for the lines before it. It is a line of its own and has no sequence number.
type checkpoint struct {
	Version  int       `json:"version"`
	Time     time.Time `json:"time"`
	Segment  int       `json:"segment"`
	Sequence uint64    `json:"sequence"` // of the last record before
	Previous string    `json:"previous"` // SHA-256 of the line before, in hex
	MAC      string    `json:"mac,omitempty"`
}

// signature is what Config.Key makes of a checkpoint, in hex; "" without a key.
func (c checkpoint) signature(key func([]byte) []byte) (string, error) {
	if key == nil {
		return "", nil
	}
	c.MAC = ""
	data, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("trail: %w", err)
	}
	return hex.EncodeToString(key(append([]byte("kagimori trail checkpoint\x00"), data...))), nil
}

func (c checkpoint) line() ([]byte, error) {
	data, err := json.Marshal(map[string]checkpoint{"checkpoint": c})
	if err != nil {
		return nil, fmt.Errorf("trail: %w", err)
	}
	return append(data, '\n'), nil
}

// lineHash is the hash of a line, with or without its end.
func lineHash(line []byte) hash { return sha256.Sum256(bytes.TrimSuffix(line, []byte("\n"))) }

package nbd

import (
	"encoding/binary"
	"errors"
)

// Magic numbers.
const (
	magicServer  uint64 = 0x4e42444d41474943 // "NBDMAGIC"
	magicOption  uint64 = 0x49484156454f5054 // "IHAVEOPT"
	magicAnswer  uint64 = 0x0003e889045565a9
	magicRequest uint32 = 0x25609513
	magicSimple  uint32 = 0x67446698
	magicChunk   uint32 = 0x668e33ef
)

// Flags of the handshake, of server and client alike.
const (
	handshakeFixedNewstyle = 1 << 0
	handshakeNoZeroes      = 1 << 1
)

// Options.
const (
	optExportName      uint32 = 1
	optAbort           uint32 = 2
	optList            uint32 = 3
	optStartTLS        uint32 = 5
	optInfo            uint32 = 6
	optGo              uint32 = 7
	optStructuredReply uint32 = 8
	optListMeta        uint32 = 9
	optSetMeta         uint32 = 10
)

// Replies to options.
const (
	repAck         uint32 = 1
	repServer      uint32 = 2
	repInfo        uint32 = 3
	repMetaContext uint32 = 4

	repErrUnsupported uint32 = 1<<31 + 1
	repErrPolicy      uint32 = 1<<31 + 2
	repErrInvalid     uint32 = 1<<31 + 3
	repErrTLSRequired uint32 = 1<<31 + 5
	repErrUnknown     uint32 = 1<<31 + 6
	repErrTooBig      uint32 = 1<<31 + 9
)

// Kinds of information about an export.
const (
	infoExport      uint16 = 0
	infoName        uint16 = 1
	infoDescription uint16 = 2
	infoBlockSize   uint16 = 3
)

// Transmission flags.
const (
	flagHasFlags    uint16 = 1 << 0
	flagReadOnly    uint16 = 1 << 1
	flagFlush       uint16 = 1 << 2
	flagFUA         uint16 = 1 << 3
	flagTrim        uint16 = 1 << 5
	flagWriteZeroes uint16 = 1 << 6
	flagDF          uint16 = 1 << 7
	flagMultiConn   uint16 = 1 << 8
	flagFastZero    uint16 = 1 << 11
)

// Commands.
const (
	cmdRead        uint16 = 0
	cmdWrite       uint16 = 1
	cmdDisconnect  uint16 = 2
	cmdFlush       uint16 = 3
	cmdTrim        uint16 = 4
	cmdWriteZeroes uint16 = 6
	cmdBlockStatus uint16 = 7
)

// Flags of commands.
const (
	cmdFUA      uint16 = 1 << 0
	cmdNoHole   uint16 = 1 << 1
	cmdDF       uint16 = 1 << 2
	cmdReqOne   uint16 = 1 << 3
	cmdFastZero uint16 = 1 << 4
)

// Chunks of structured replies.
const (
	chunkDone uint16 = 1 // the only flag

	chunkNone        uint16 = 0
	chunkData        uint16 = 1
	chunkHole        uint16 = 2
	chunkBlockStatus uint16 = 5
	chunkError       uint16 = 1<<15 + 1
)

// Flags of an extent in base:allocation.
const (
	stateHole uint32 = 1 << 0
	stateZero uint32 = 1 << 1
)

// metaAllocation is the only metadata context, and metaID its number.
const (
	metaAllocation        = "base:allocation"
	metaBase              = "base:"
	metaID         uint32 = 1
)

const (
	maxString  = 4096     // of names and queries, as the protocol has it
	maxOption  = 16 << 10 // bytes of an option's data that are read
	maxSkip    = 1 << 20  // bytes of an option's data that are skipped
	maxOptions = 128      // of one connection
	maxQueries = 64       // metadata contexts in one option
	maxPayload = 32 << 20 // bytes of one READ or WRITE
	requestLen = 28
)

// errMalformed: data of an option does not have the form of the option.
var errMalformed = errors.New("nbd: malformed option")

// An optionHeader begins each option.
type optionHeader struct {
	option, length uint32
}

const optionHeaderLen = 16

func parseOption(b [optionHeaderLen]byte) (optionHeader, bool) {
	if binary.BigEndian.Uint64(b[:]) != magicOption {
		return optionHeader{}, false
	}
	return optionHeader{binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint32(b[12:])}, true
}

// A request begins each command.
type request struct {
	flags, command uint16
	cookie, offset uint64
	length         uint32
}

func parseRequest(b [requestLen]byte) (request, bool) {
	if binary.BigEndian.Uint32(b[:]) != magicRequest {
		return request{}, false
	}
	return request{
		flags: binary.BigEndian.Uint16(b[4:]), command: binary.BigEndian.Uint16(b[6:]),
		cookie: binary.BigEndian.Uint64(b[8:]), offset: binary.BigEndian.Uint64(b[16:]), length: binary.BigEndian.Uint32(b[24:]),
	}, true
}

// A reader takes numbers and strings from the data of an option. After the first that is not there,
// bad is set and all are zero.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n uint32) []byte {
	if r.bad || uint64(n) > uint64(len(r.b)) {
		r.bad = true
		return nil
	}
	p := r.b[:n]
	r.b = r.b[n:]
	return p
}

func (r *reader) uint16() uint16 {
	if p := r.take(2); p != nil {
		return binary.BigEndian.Uint16(p)
	}
	return 0
}

func (r *reader) uint32() uint32 {
	if p := r.take(4); p != nil {
		return binary.BigEndian.Uint32(p)
	}
	return 0
}

func (r *reader) string() string {
	n := r.uint32()
	if n > maxString {
		r.bad = true
		return ""
	}
	return string(r.take(n))
}

// end reports whether all was there, and nothing more.
func (r *reader) end() error {
	if r.bad || len(r.b) != 0 {
		return errMalformed
	}
	return nil
}

// infoRequest is the data of INFO and GO.
type infoRequest struct {
	name  string
	kinds []uint16
}

func parseInfo(b []byte) (infoRequest, error) {
	r := reader{b: b}
	q := infoRequest{name: r.string()}
	for range r.uint16() {
		q.kinds = append(q.kinds, r.uint16())
		if r.bad {
			break
		}
	}
	return q, r.end()
}

// metaRequest is the data of LIST_META_CONTEXT and SET_META_CONTEXT.
type metaRequest struct {
	name    string
	queries []string
}

func parseMeta(b []byte) (metaRequest, error) {
	r := reader{b: b}
	q := metaRequest{name: r.string()}
	n := r.uint32()
	if n > maxQueries {
		return q, errMalformed
	}
	for range n {
		q.queries = append(q.queries, r.string())
	}
	return q, r.end()
}

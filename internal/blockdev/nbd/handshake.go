package nbd

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
)

// Errors that end a connection.
var (
	errProtocol = errors.New("nbd: the client does not speak the protocol")
	errTooMany  = errors.New("nbd: the client does not come to an end")
)

// A handshake is the negotiation of one connection.
type handshake struct {
	cfg  *Config
	conn net.Conn
	in   *bufio.Reader

	secure     bool   // TLS
	noZeroes   bool   // no padding after EXPORT_NAME
	structured bool   // structured replies
	metaFor    string // the export for which allocation was chosen
	allocation bool   // base:allocation was chosen
}

// negotiate ends with the export that the client chose, or with nil when it left instead.
func (h *handshake) negotiate(ctx context.Context) (*Export, error) {
	var hello [18]byte
	binary.BigEndian.PutUint64(hello[:], magicServer)
	binary.BigEndian.PutUint64(hello[8:], magicOption)
	binary.BigEndian.PutUint16(hello[16:], handshakeFixedNewstyle|handshakeNoZeroes)
	if _, err := h.conn.Write(hello[:]); err != nil {
		return nil, fmt.Errorf("nbd: %w", err)
	}
	var flags [4]byte
	if _, err := io.ReadFull(h.in, flags[:]); err != nil {
		return nil, fmt.Errorf("nbd: %w", err)
	}
	f := binary.BigEndian.Uint32(flags[:])
	if f&handshakeFixedNewstyle == 0 || f&^(handshakeFixedNewstyle|handshakeNoZeroes) != 0 {
		return nil, errProtocol
	}
	h.noZeroes = f&handshakeNoZeroes != 0
	for range maxOptions {
		e, end, err := h.option(ctx)
		if err != nil || end {
			return e, err
		}
	}
	return nil, errTooMany
}

// option answers one option. end tells that the negotiation is over, with an export or without.
func (h *handshake) option(ctx context.Context) (e *Export, end bool, err error) {
	var b [optionHeaderLen]byte
	if _, err := io.ReadFull(h.in, b[:]); err != nil {
		return nil, true, fmt.Errorf("nbd: %w", err)
	}
	o, ok := parseOption(b)
	if !ok {
		return nil, true, errProtocol
	}
	if o.length > maxOption {
		if o.length > maxSkip || o.option == optExportName {
			return nil, true, errProtocol
		}
		if _, err := io.CopyN(io.Discard, h.in, int64(o.length)); err != nil {
			return nil, true, fmt.Errorf("nbd: %w", err)
		}
		return nil, false, h.refuse(o.option, repErrTooBig, "the option is too long")
	}
	data := make([]byte, o.length)
	if _, err := io.ReadFull(h.in, data); err != nil {
		return nil, true, fmt.Errorf("nbd: %w", err)
	}
	if o.option == optAbort {
		return nil, true, h.reply(optAbort, repAck)
	}
	if h.cfg.RequireTLS && !h.secure && o.option != optStartTLS {
		if o.option == optExportName {
			return nil, true, errors.New("nbd: the client does not take TLS") // there is no other answer
		}
		return nil, false, h.refuse(o.option, repErrTLSRequired, "TLS comes first")
	}
	switch o.option {
	case optExportName:
		e, err := h.exportName(string(data))
		return e, true, err
	case optGo:
		e, err := h.info(o.option, data)
		return e, e != nil, err
	case optInfo:
		_, err := h.info(o.option, data)
		return nil, false, err
	case optStartTLS:
		return nil, false, h.startTLS(ctx, data)
	}
	return nil, false, h.plainOption(o.option, data)
}

// plainOption answers options after which the negotiation goes on as before.
func (h *handshake) plainOption(option uint32, data []byte) error {
	switch option {
	case optList:
		return h.list(data)
	case optStructuredReply:
		if len(data) != 0 {
			return h.refuse(option, repErrInvalid, "the option has no data")
		}
		h.structured = true
		return h.reply(option, repAck)
	case optListMeta, optSetMeta:
		return h.meta(option, data)
	}
	return h.refuse(option, repErrUnsupported, "")
}

// reply sends one reply to an option.
func (h *handshake) reply(option, kind uint32, parts ...[]byte) error {
	data := slices.Concat(parts...)
	b := make([]byte, 0, 20+len(data))
	b = binary.BigEndian.AppendUint64(b, magicAnswer)
	b = binary.BigEndian.AppendUint32(b, option)
	b = binary.BigEndian.AppendUint32(b, kind)
	b = binary.BigEndian.AppendUint32(b, uint32(len(data)))
	if _, err := h.conn.Write(append(b, data...)); err != nil {
		return fmt.Errorf("nbd: %w", err)
	}
	return nil
}

func (h *handshake) refuse(option, kind uint32, text string) error {
	return h.reply(option, kind, []byte(text))
}

// startTLS goes on inside TLS, and forgets what was negotiated outside. What the client sent ahead of
// the handshake could come from somebody on the way, so it ends the connection.
func (h *handshake) startTLS(ctx context.Context, data []byte) error {
	switch {
	case len(data) != 0:
		return h.refuse(optStartTLS, repErrInvalid, "the option has no data")
	case h.secure:
		return h.refuse(optStartTLS, repErrInvalid, "this is TLS already")
	case h.cfg.TLS == nil:
		return h.refuse(optStartTLS, repErrPolicy, "no TLS here")
	case h.in.Buffered() > 0:
		return errProtocol
	}
	if err := h.reply(optStartTLS, repAck); err != nil {
		return err
	}
	c := tls.Server(h.conn, h.cfg.TLS)
	if err := c.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("nbd: %w", err)
	}
	h.conn, h.in = c, bufio.NewReaderSize(c, 4096)
	h.secure, h.structured, h.allocation, h.metaFor = true, false, false, ""
	return nil
}

func (h *handshake) list(data []byte) error {
	if len(data) != 0 {
		return h.refuse(optList, repErrInvalid, "the option has no data")
	}
	if h.cfg.Names == nil {
		return h.refuse(optList, repErrPolicy, "exports are not listed")
	}
	for _, name := range h.cfg.Names() {
		if err := h.reply(optList, repServer, binary.BigEndian.AppendUint32(nil, uint32(len(name))), []byte(name)); err != nil {
			return err
		}
	}
	return h.reply(optList, repAck)
}

// find is the export of a name, unless it ended.
func (h *handshake) find(name string) (*Export, bool) {
	e, ok := h.cfg.Find(name)
	if !ok {
		return nil, false
	}
	select {
	case <-e.Done:
		return nil, false
	default:
		return &e, true
	}
}

// flags are the transmission flags of an export.
func (h *handshake) flags(e *Export) uint16 {
	f := flagHasFlags | flagFlush | flagFUA | flagTrim | flagWriteZeroes | flagFastZero | flagMultiConn
	if e.ReadOnly {
		f = flagHasFlags | flagReadOnly | flagFlush | flagMultiConn
	}
	if h.structured {
		f |= flagDF
	}
	return f
}

// exportName is the old way to begin; it has no refusal but to disconnect.
func (h *handshake) exportName(name string) (*Export, error) {
	e, ok := h.find(name)
	if !ok {
		return nil, errors.New("nbd: no such export")
	}
	b := binary.BigEndian.AppendUint64(nil, uint64(e.Device.Size()))
	b = binary.BigEndian.AppendUint16(b, h.flags(e))
	if !h.noZeroes {
		b = append(b, make([]byte, 124)...)
	}
	h.allocation = h.allocation && h.metaFor == name
	if _, err := h.conn.Write(b); err != nil {
		return nil, fmt.Errorf("nbd: %w", err)
	}
	return e, nil
}

// info answers INFO and GO; the export is nil if it was refused.
func (h *handshake) info(option uint32, data []byte) (*Export, error) {
	q, err := parseInfo(data)
	if err != nil {
		return nil, h.refuse(option, repErrInvalid, "malformed")
	}
	e, ok := h.find(q.name)
	if !ok {
		return nil, h.refuse(option, repErrUnknown, "no such export")
	}
	kind := func(k uint16) []byte { return binary.BigEndian.AppendUint16(nil, k) }
	if slices.Contains(q.kinds, infoName) {
		if err := h.reply(option, repInfo, kind(infoName), []byte(q.name)); err != nil {
			return nil, err
		}
	}
	if slices.Contains(q.kinds, infoDescription) && e.Description != "" {
		if err := h.reply(option, repInfo, kind(infoDescription), []byte(e.Description)); err != nil {
			return nil, err
		}
	}
	size := kind(infoBlockSize)
	for _, n := range []uint32{1, 4096, maxPayload} { // least, preferred, most
		size = binary.BigEndian.AppendUint32(size, n)
	}
	if err := h.reply(option, repInfo, size); err != nil {
		return nil, err
	}
	export := binary.BigEndian.AppendUint64(kind(infoExport), uint64(e.Device.Size()))
	export = binary.BigEndian.AppendUint16(export, h.flags(e))
	if err := h.reply(option, repInfo, export); err != nil {
		return nil, err
	}
	if option == optGo {
		h.allocation = h.allocation && h.metaFor == q.name
	}
	return e, h.reply(option, repAck)
}

// meta answers which metadata contexts there are, or chooses.
func (h *handshake) meta(option uint32, data []byte) error {
	q, err := parseMeta(data)
	if err != nil {
		return h.refuse(option, repErrInvalid, "malformed")
	}
	if !h.structured {
		return h.refuse(option, repErrInvalid, "structured replies come first")
	}
	if option == optSetMeta {
		h.allocation = false
	}
	if _, ok := h.find(q.name); !ok {
		return h.refuse(option, repErrUnknown, "no such export")
	}
	matches := slices.Contains(q.queries, metaAllocation)
	if option == optListMeta {
		matches = matches || len(q.queries) == 0 || slices.Contains(q.queries, metaBase)
	}
	if matches {
		id := metaID
		if option == optListMeta {
			id = 0
		}
		if err := h.reply(option, repMetaContext, binary.BigEndian.AppendUint32(nil, id), []byte(metaAllocation)); err != nil {
			return err
		}
	}
	if option == optSetMeta {
		h.allocation, h.metaFor = matches, q.name
	}
	return h.reply(option, repAck)
}

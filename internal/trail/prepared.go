package trail

import (
	"bytes"
	"slices"
	"strconv"
	"sync"

	"github.com/kagimori/kagimori/internal/store"
)

// preparedKept bounds the records of changes that are kept as they were made, until they are moved to the log.
const preparedKept = 1024

// prepared are records of changes as PutTx made them, so that what a transaction has just put into the store need
// not be read as JSON and written as JSON again. It is a memory only: what it lacks is read from the store. Safe for
// concurrent use.
type prepared struct {
	mu    sync.Mutex
	byKey map[string]preparedRecord
}

type preparedRecord struct {
	data []byte // what is in the store, if the transaction was committed
	*pending
}

func (p *prepared) add(key string, r preparedRecord) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byKey == nil || len(p.byKey) >= preparedKept { // of transactions that were not committed, mostly
		p.byKey = map[string]preparedRecord{}
	}
	p.byKey[key] = r
}

// take is the record of an entry of the outbox, if it is the one that was put there; it is forgotten.
func (p *prepared) take(key string, data []byte) *pending {
	p.mu.Lock()
	r, ok := p.byKey[key]
	delete(p.byKey, key)
	p.mu.Unlock()
	if !ok || !bytes.Equal(r.data, data) {
		return nil
	}
	return r.pending
}

// prepare encodes a record once, for the outbox and for the log, and returns what the outbox gets: what encoding/json
// makes of an outboxEntry.
func (t *Trail) prepare(rec Record) (preparedRecord, error) {
	after := t.seq.Load()
	const usual = 2 << 10
	const head = `{"record":`
	data := append(append(make([]byte, 0, usual), outboxVersion), head...)
	data, err := rec.appendUnnumbered(data)
	if err != nil {
		return preparedRecord{}, err
	}
	p := &pending{rec: &rec, buf: *bytes.NewBuffer(data[1+len(head) : len(data) : len(data)])}
	data = append(data, unnumbered...)
	data = append(strconv.AppendUint(append(data, `,"after":`...), after, 10), '}')
	// What is encoded is not needed again, and the rest may be in memory of the request, which ends before this does.
	rec.RequestParameters, rec.ResponseElements, rec.ServiceEventDetails, rec.AdditionalEventData, rec.Kagimori.Decisions = nil, nil, nil, nil, nil
	rec.Resources = slices.Clone(rec.Resources)
	return preparedRecord{data, p}, nil
}

// outgoing is an entry of the outbox on its way into the log.
func (t *Trail) outgoing(p store.Pair) (outgoing, error) {
	if ready := t.prepared.take(p.Key, p.Data); ready != nil {
		return outgoing{p.Rev, ready}, nil
	}
	e, err := t.outbox.Decode(p)
	return outgoing{p.Rev, &pending{rec: &e.Value.Record}}, err
}

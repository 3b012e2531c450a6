package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/cloudtrail"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/trail"
)

// A peerRecord is a node that has an audit log.
type peerRecord struct {
	ID   string    `json:"id"`
	URL  string    `json:"url"`
	Seen time.Time `json:"seen"` // when it last said so
}

var peerTable = store.Table[peerRecord]{Bucket: "app/peer", Version: 1}

const (
	// peerAgain is how often a node says that it is there.
	peerAgain = time.Hour
	// peerGone is how long after that nobody asks for its log any more: no event of it can be looked up.
	peerGone = 90 * 24 * time.Hour
	// peerPath answers other nodes.
	peerPath = "/_kagimori/peer/trail"
	peerBox  = "peer trail"
	// peerWait is how long another node may take for a part of its log, of so many records and bytes.
	peerWait    = 5 * time.Second
	peerPart    = 500
	peerBytes   = 256 << 20
	peerQuery   = 64 << 10
	queryAD     = "kagimori trail query"
	answeringAD = "kagimori trail answer "
)

// peers are the other nodes, whose logs this one asks.
type peers struct {
	s    *server
	box  hsm.Box
	http *http.Client
}

// eventSources are the logs that events are looked up in; nil is this server's alone.
func (s *server) eventSources(module hsm.Module) func(context.Context) ([]cloudtrail.Source, error) {
	if s.store.node == nil {
		return nil
	}
	s.peers = &peers{s: s, box: module.Box(peerBox), http: peerClient(s.store.node.cfg.PeerTLS)}
	return s.peers.sources
}

// stay says that this node is there until ctx ends, and forgets nodes that are gone.
func (p *peers) stay(ctx context.Context) {
	n := p.s.store.node
	for ctx.Err() == nil {
		wait := peerAgain
		err := p.s.seen.Update(ctx, func(tx store.Tx) error {
			for rec, err := range peerTable.Scan(tx) {
				if err != nil {
					return err
				}
				if time.Since(rec.Value.Seen) > peerGone {
					if err := peerTable.Delete(tx, rec.Value.ID); err != nil {
						return err
					}
				}
			}
			return peerTable.Put(tx, peerRecord{n.id, n.cfg.URL, time.Now().UTC()}, n.id)
		})
		if err != nil {
			wait = time.Second
		}
		if p.s.clock.Sleep(ctx, wait) != nil {
			return
		}
	}
}

// sources are the logs of all nodes, this one's first.
func (p *peers) sources(ctx context.Context) ([]cloudtrail.Source, error) {
	self := p.s.store.node.id
	out := []cloudtrail.Source{{Node: self, Each: p.s.trail.Each}}
	err := p.s.seen.View(ctx, func(tx store.Tx) error {
		out = out[:1]
		for rec, err := range peerTable.Scan(tx) {
			if err != nil {
				return err
			}
			if rec.Value.ID != self {
				out = append(out, cloudtrail.Source{Node: rec.Value.ID, Each: p.each(rec.Value)})
			}
		}
		return nil
	})
	return out, err
}

// each reads the log of another node, part by part.
func (p *peers) each(peer peerRecord) func(context.Context, trail.Filter) iter.Seq2[trail.Record, error] {
	return func(ctx context.Context, f trail.Filter) iter.Seq2[trail.Record, error] {
		return func(yield func(trail.Record, error) bool) {
			for {
				recs, err := p.ask(ctx, peer.URL, peerAsked{time.Now(), f})
				if err != nil {
					if ctx.Err() == nil {
						p.s.keeper.log.Warn("the audit log of another node cannot be asked", "node", peer.ID, "error", err)
						err = fmt.Errorf("%w: %w", cloudtrail.ErrUnavailable, err)
					}
					yield(trail.Record{}, err)
					return
				}
				for i := range recs {
					if !yield(recs[i], nil) {
						return
					}
				}
				if len(recs) < peerPart {
					return
				}
				f.Before = recs[len(recs)-1].Kagimori.Sequence
			}
		}
	}
}

// peerAsked is what a node asks another one, sealed: only nodes have the key.
type peerAsked struct {
	At     time.Time    `json:"at"`
	Filter trail.Filter `json:"filter"`
}

// answerAD ties an answer to what was asked.
func answerAD(asked []byte) []byte {
	sum := sha256.Sum256(asked)
	return append([]byte(answeringAD), sum[:]...)
}

// ask has another node look into its log.
func (p *peers) ask(ctx context.Context, base string, q peerAsked) ([]trail.Record, error) {
	plain, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	sealed := p.box.Seal(plain, []byte(queryAD))
	ctx, cancel := context.WithTimeout(ctx, peerWait)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(base, "/")+peerPath, bytes.NewReader(sealed))
	if err != nil {
		return nil, err
	}
	resp, err := p.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, peerBytes))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answered %d", resp.StatusCode)
	}
	if plain, err = p.box.Open(body, answerAD(sealed)); err != nil {
		return nil, errors.New("its answer is not one of a node")
	}
	var recs []trail.Record
	if err := json.Unmarshal(plain, &recs); err != nil {
		return nil, err
	}
	for i := range recs {
		recs[i].Clean()
	}
	return recs, nil
}

// ServeHTTP answers another node.
func (p *peers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	sealed, err := io.ReadAll(http.MaxBytesReader(w, r.Body, peerQuery))
	if err != nil {
		problem(w, http.StatusBadRequest, "that is too long")
		return
	}
	plain, err := p.box.Open(sealed, []byte(queryAD))
	var q peerAsked
	if err != nil || json.Unmarshal(plain, &q) != nil || time.Since(q.At).Abs() > forwardFresh {
		problem(w, http.StatusForbidden, "only nodes are answered")
		return
	}
	q.Filter.Limit = peerPart
	recs, err := p.s.trail.Find(r.Context(), q.Filter)
	if err == nil {
		plain, err = json.Marshal(recs)
	}
	if err != nil {
		problem(w, http.StatusInternalServerError, "the log cannot be read")
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(p.box.Seal(plain, answerAD(sealed))) // who asked sees whether it is whole
}

package ec2

import (
	"context"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// A batchRecord is a launch of more instances than one transaction of the store carries, while they
// are being stored. It goes with the last of them: as long as it is there, the launch did not happen,
// no job of it runs, and whoever finds it takes back what is stored of it.
type batchRecord struct {
	Region      string   `json:"region"`
	Account     string   `json:"account"`
	Reservation string   `json:"reservation"`
	Host        string   `json:"host"`
	Token       string   `json:"token,omitempty"` // client token
	Instances   []string `json:"instances"`
}

// batchTable is keyed by (region, account, reservation id).
var batchTable = store.Table[batchRecord]{Bucket: "ec2/batch", Version: 1}

func (b *batchRecord) key() []string { return []string{b.Region, b.Account, b.Reservation} }

// runMany is run for more instances than one transaction carries: all are launched or, if that
// fails half-way or the process ends, none.
func (s *Service) runMany(ctx context.Context, c *guard.Call, in *ec2api.RunInstancesRequest, spot string, direct bool) (*ec2api.Reservation, error) {
	if !s.life.enter() {
		return nil, store.ErrClosed
	}
	defer s.life.leave()
	var (
		pl    *launchPlan
		known idiom.TokenRecord
		again bool
	)
	err := s.g.Begin(ctx, c, func(tx store.Tx) (err error) {
		if pl, err = s.decideRun(tx, c, in, spot, direct); err != nil {
			return err
		}
		if known, again, err = s.knownLaunch(tx, c, pl); err != nil || again {
			return err
		}
		return s.fit(tx, c, pl)
	})
	if err != nil {
		return nil, err
	}
	ctx = context.WithoutCancel(ctx) // who is gone gets the instances that it asked for
	var made []draftLaunch
	if !again {
		if made, err = s.draftAll(c, pl); err != nil {
			return nil, err
		}
		err = s.g.Change(ctx, func(tx store.Tx) (err error) {
			if known, again, err = s.knownLaunch(tx, c, pl); err != nil || again {
				return err
			}
			return s.openBatch(tx, c, pl, made)
		})
		if err != nil {
			return nil, err
		}
	}
	if again {
		var out *ec2api.Reservation
		err := s.g.View(ctx, c, func(tx store.Tx) (err error) {
			out, err = s.sameLaunch(tx, c, known.IDs)
			return err
		})
		return out, err
	}
	return s.fillBatch(ctx, c, pl, in, made)
}

// knownLaunch is knownToken for a launch that may be under way in another process.
func (s *Service) knownLaunch(tx store.Tx, c *guard.Call, pl *launchPlan) (idiom.TokenRecord, bool, error) {
	known, ok, err := knownToken(tx, c, "RunInstances", pl.ClientToken, pl.requested)
	if err != nil || !ok || known.Batch == "" {
		return known, ok, err
	}
	_, open, err := batchTable.Get(tx, c.Region, c.Account(), known.Batch)
	if err == nil && open {
		err = (&apierr.Error{Code: "Unavailable", Server: true, Message: "A request with this client token is in progress. Try again."}).WithStatus(503)
	}
	return known, ok, err
}

// openBatch begins a launch: its record, its client token, and its addresses.
func (s *Service) openBatch(tx store.Tx, c *guard.Call, pl *launchPlan, made []draftLaunch) error {
	if err := s.takeAddresses(tx, c, pl, made); err != nil {
		return err
	}
	b := batchRecord{
		Region: c.Region, Account: c.Account(), Reservation: made[0].instance.Reservation, Host: s.name, Token: api.Val(pl.ClientToken), Instances: idsOf(made),
	}
	if err := batchTable.Put(tx, b, b.key()...); err != nil {
		return err
	}
	return s.rememberLaunch(tx, c, pl, made)
}

// fillBatch stores the instances of a launch that was begun, and starts their jobs.
func (s *Service) fillBatch(ctx context.Context, c *guard.Call, pl *launchPlan, in *ec2api.RunInstancesRequest, made []draftLaunch) (*ec2api.Reservation, error) {
	key := []string{c.Region, c.Account(), made[0].instance.Reservation}
	for part := range slices.Chunk(made, togetherInstances) {
		err := s.g.Change(ctx, func(tx store.Tx) error { return s.putLaunches(tx, c, pl, in, part) })
		if err != nil {
			s.takeBack(ctx, key)
			return nil, err
		}
	}
	var (
		out  *ec2api.Reservation
		jobs []*job
	)
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		if err := s.findReserved(tx, c, made); err != nil {
			return err
		}
		out, jobs = launched(c, made)
		return batchTable.Delete(tx, key...)
	})
	if err != nil {
		s.takeBack(ctx, key)
		return nil, err
	}
	s.begin(ctx, jobs)
	return out, nil
}

// takeBack undoes a launch that was begun; if the store does not let it, later.
func (s *Service) takeBack(ctx context.Context, key []string) {
	err := s.dropBatch(ctx, key)
	if err == nil || interrupted(err) { // the next start does it
		return
	}
	store.Report(ctx, s.log, "a launch that failed was not taken back", err, "reservation", key[2])
	s.clock.AfterFunc(retryJob, func() {
		if s.life.enter() {
			defer s.life.leave()
			s.takeBack(context.Background(), key)
		}
	})
}

// takenTogether is how many instances of a launch one transaction removes, with all that is theirs.
const takenTogether = 15

// dropBatch removes all that is stored of a launch that was begun, and its record last.
func (s *Service) dropBatch(ctx context.Context, key []string) error {
	var b batchRecord
	found := false
	err := s.g.Read(ctx, func(tx store.Tx) (err error) {
		b, found, err = batchTable.Get(tx, key...)
		return err
	})
	if err != nil || !found {
		return err
	}
	for part := range slices.Chunk(b.Instances, takenTogether) {
		err := s.g.Change(ctx, func(tx store.Tx) error {
			for _, id := range part {
				if err := dropLaunch(tx, b.Region, b.Account, id); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return s.g.Change(ctx, func(tx store.Tx) error {
		if b.Token != "" {
			if err := idiom.Tokens.Delete(tx, b.Region, b.Account, "RunInstances", b.Token); err != nil {
				return err
			}
		}
		return batchTable.Delete(tx, key...)
	})
}

// dropLaunch removes an instance whose launch did not happen.
func dropLaunch(tx store.Tx, region, account, id string) error {
	i, ok, err := instanceTable.Get(tx, region, account, id)
	if err != nil || !ok {
		return err
	}
	if own := i.ownSpot(); own != "" {
		if err := spotTable.Delete(tx, region, account, own); err != nil {
			return err
		}
		if err := dropTags(tx, region, account, own); err != nil {
			return err
		}
	}
	tagged := []string{id}
	for _, f := range i.faces() {
		tagged = append(tagged, f.ID)
	}
	for _, tagged := range tagged {
		if err := dropTags(tx, region, account, tagged); err != nil {
			return err
		}
	}
	if err := jobTable.Delete(tx, region, account, id); err != nil {
		return err
	}
	return instanceTable.Delete(tx, i.key()...)
}

// dropBatches takes back the launches that a process before this one began.
func (s *Service) dropBatches(ctx context.Context) error {
	var keys [][]string
	err := s.g.Read(ctx, func(tx store.Tx) error {
		keys = nil
		for r, err := range batchTable.Scan(tx) {
			if err != nil {
				return err
			}
			if s.ours(r.Value.Host) {
				keys = append(keys, r.Key)
			}
		}
		return nil
	})
	for _, key := range keys {
		if err := s.dropBatch(ctx, key); err != nil {
			return err
		}
	}
	return err
}

package ebs

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// find finds a snapshot and decides the call's action on it.
// Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon Elastic Block Store".
func (s *Service) find(tx store.Tx, c *guard.Call, id string) (Snapshot, error) {
	snap, tags, ok, err := s.snapshots.Find(tx, c.Region, c.Account(), id)
	if err == nil && !ok {
		err = errNoSnapshot(id)
	}
	if err != nil {
		return snap, err
	}
	name := arn.EC2(c.Region, "", "snapshot/"+id)
	c.Touch(name, snap.Owner, "AWS::EC2::Snapshot")
	p := authz.Part{Action: "ebs:" + c.Operation, Resource: authz.Resource{ARN: name, Account: c.Account(), Tags: authz.TagsOf(tags)}}
	describe(&p, c.Region, snap.Description, snap.Parent, snap.SizeGiB)
	if snap.Owner != c.Account() {
		p.Context.Set("aws:resourceaccount", cmp.Or(snap.Owner, snap.OwnerAlias))
	}
	_, err = s.g.Allow(tx, c, p)
	return snap, err
}

// startPart is the evaluation of ebs:StartSnapshot.
func startPart(c *guard.Call, in *start) authz.Part {
	p := authz.Part{Action: "ebs:StartSnapshot", Resource: authz.Resource{ARN: arn.EC2(c.Region, "", "snapshot/*"), Account: c.Account()}}
	describe(&p, c.Region, in.description, in.parent, in.sizeGiB)
	if len(in.tags) > 0 {
		var keys []string
		for k, v := range in.tags {
			keys = append(keys, k)
			p.Context.Set("aws:requesttag/"+k, v)
		}
		slices.Sort(keys)
		p.Context.SetList("aws:tagkeys", keys)
	}
	return p
}

// describe puts the condition keys of EBS into a part.
func describe(p *authz.Part, region, description, parent string, sizeGiB int64) {
	if description != "" {
		p.Context.Set("ebs:description", description)
	}
	if parent != "" {
		p.Context.Set("ebs:parentsnapshot", arn.EC2(region, "", "snapshot/"+parent))
	}
	p.Context.Set("ebs:volumesize", strconv.FormatInt(sizeGiB, 10))
}

// readable is the refusal to read a snapshot that is not completed.
func (s *Snapshot) readable() error {
	if s.State == completed {
		return nil
	}
	return invalid("INVALID_SNAPSHOT_ID", "The snapshot '%s' is not in the completed state.", s.ID)
}

// writable is the refusal to write a snapshot.
func (s *Snapshot) writable(account string) error {
	switch {
	case !s.Direct || s.Owner != account:
		return invalid("INVALID_SNAPSHOT_ID", "The snapshot '%s' was not started by this account with StartSnapshot.", s.ID)
	case s.State == pending:
		return nil
	case s.State == completed:
		return invalid("INVALID_SNAPSHOT_ID", "The snapshot '%s' is completed.", s.ID)
	}
	return invalid("WRITE_REQUEST_TIMEOUT", "The snapshot '%s' was cancelled: no block was written in time.", s.ID)
}

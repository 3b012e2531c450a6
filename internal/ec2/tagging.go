package ec2

import (
	"context"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/ec2/eventwindow"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/ec2/keypairs"
	"github.com/kagimori/kagimori/internal/ec2/placement"
	"github.com/kagimori/kagimori/internal/ec2/prefixlist"
	"github.com/kagimori/kagimori/internal/ec2/reserve"
	"github.com/kagimori/kagimori/internal/ec2/template"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// tagOperations are the handlers of tags.
func (s *Service) tagOperations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"CreateTags":   guard.HandleVoid(s.CreateTags),
		"DeleteTags":   guard.HandleVoid(s.DeleteTags),
		"DescribeTags": guard.Handle(s.DescribeTags),
	}
}

// maxTagged is how many resources a request can name; tagChunk of them go into one transaction of
// the store. Source: EC2 API Reference, "CreateTags".
const (
	maxTagged = 1000
	tagChunk  = 20
)

// CreateTags adds tags to resources, or replaces their values.
func (s *Service) CreateTags(ctx context.Context, c *guard.Call, in *ec2api.CreateTagsRequest) error {
	if len(in.Tags) == 0 {
		return apierr.New("MissingParameter", "The request must contain the parameter Tags")
	}
	tags, err := readTags(c, in.Tags)
	if err != nil {
		return err
	}
	add := func(p *authz.Part) { addRequestTags(p, tags) }
	return s.retag(ctx, c, in.Resources, in.DryRun, add, func(tx store.Tx, id string) error {
		return putTags(tx, c.Region, c.Account(), id, tags)
	})
}

// DeleteTags removes tags from resources: those of a key whatever their value, or with that value
// if one is given, or all that are not of AWS. What is not there is no error. aws:RequestTag has the
// values that are given, aws:TagKeys all keys.
// Source: EC2 API Reference, "DeleteTags".
func (s *Service) DeleteTags(ctx context.Context, c *guard.Call, in *ec2api.DeleteTagsRequest) error {
	var keys []string
	var valued []tag
	for _, t := range in.Tags {
		key := api.Val(t.Key)
		if idiom.Reserved(key) && !forAWS(c) {
			return invalidValue("Tag keys starting with 'aws:' are reserved for internal use")
		}
		keys = append(keys, key)
		if t.Value != nil {
			valued = append(valued, tag{Key: key, Value: *t.Value})
		}
	}
	gone := func(have tag) bool {
		if len(in.Tags) == 0 {
			return !idiom.Reserved(have.Key)
		}
		return slices.ContainsFunc(in.Tags, func(t ec2api.Tag) bool {
			return have.Key == api.Val(t.Key) && (t.Value == nil || *t.Value == have.Value)
		})
	}
	add := func(p *authz.Part) {
		addRequestTags(p, valued)
		if len(keys) > 0 {
			p.Context.SetList("aws:tagkeys", keys)
		}
	}
	return s.retag(ctx, c, in.Resources, in.DryRun, add, func(tx store.Tx, id string) error {
		have, ok, err := idiom.Tags.Get(tx, c.Region, c.Account(), id)
		if err != nil || !ok {
			return err
		}
		left := slices.DeleteFunc(have, gone)
		if len(left) == 0 {
			return dropTags(tx, c.Region, c.Account(), id)
		}
		return idiom.Tags.Put(tx, left, c.Region, c.Account(), id)
	})
}

// retag decides the call's action on each resource, and changes the tags of all if it may.
func (s *Service) retag(ctx context.Context, c *guard.Call, ids []string, flag *bool, add func(*authz.Part), change func(store.Tx, string) error) error {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	switch {
	case len(ids) == 0:
		return apierr.New("MissingParameter", "The request must contain the parameter resourceIdSet")
	case len(ids) > maxTagged:
		return invalidValue("You can specify up to %d resources in a single request.", maxTagged)
	}
	chunks := slices.Collect(slices.Chunk(ids, tagChunk))
	if len(chunks) > 1 { // all are decided before the first is changed
		for _, chunk := range chunks {
			err := s.g.View(ctx, c, func(tx store.Tx) error { return s.allowTagging(tx, c, chunk, add) })
			if err != nil {
				return err
			}
		}
	}
	for _, chunk := range chunks {
		err := s.g.Update(ctx, c, func(tx store.Tx) error {
			if err := s.allowTagging(tx, c, chunk, add); err != nil {
				return err
			}
			if err := dryRun(flag); err != nil {
				return err
			}
			for _, id := range chunk {
				if err := change(tx, id); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// allowTagging decides the call's action on resources. Who may do it learns of one that does not
// exist.
func (s *Service) allowTagging(tx store.Tx, c *guard.Call, ids []string, add func(*authz.Part)) error {
	var parts []authz.Part
	var missing error
	for _, id := range ids {
		kind, ok := kindOf(id)
		if !ok {
			return apierr.Newf("InvalidID", "The ID '%s' is not valid", id)
		}
		tags, err := tagsOf(tx, c.Region, c.Account(), id)
		if err != nil {
			return err
		}
		p := s.part(c, "ec2:"+c.Operation, kind+"/"+id, tags)
		add(&p)
		err = s.describeFor(tx, c, kind, id, &p)
		if err != nil && apierr.Code(err) == "" {
			return err
		}
		if missing == nil {
			missing = err
		}
		parts = append(parts, p)
		c.Touch(p.Resource.ARN, c.Account(), "")
	}
	if _, err := s.g.Authorize(tx, c, guard.Check{Parts: parts}); err != nil {
		return err
	}
	return missing
}

// describeFor puts what is known of a resource into a part's context. It fails if the resource
// does not exist, as EC2 says it of that kind.
// Source: Service Authorization Reference, "Condition keys for Amazon EC2".
func (s *Service) describeFor(tx store.Tx, c *guard.Call, kind, id string, p *authz.Part) error {
	switch kind {
	case "instance":
		rec, ok, err := instanceTable.Get(tx, c.Region, c.Account(), id)
		if err != nil || !ok {
			return orMissing(err, "InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", id)
		}
		p.Context.Set("ec2:instanceid", id)
		instanceContext(p, &rec)
	case "volume":
		rec, ok, err := volumeTable.Get(tx, c.Region, c.Account(), id)
		if err != nil || !ok {
			return orMissing(err, "InvalidVolume.NotFound", "The volume '%s' does not exist.", id)
		}
		rec.describe(p)
	case "network-interface":
		f, err := lookupFace(tx, c, id)
		if err == nil {
			f.describe(p)
		}
		return err
	case "launch-template":
		_, err := template.Find(tx, c, id, "")
		return err
	case "image":
		rec, err := s.lookupImage(tx, c, id)
		if err != nil {
			return err
		}
		rec.describe(p)
	case "snapshot":
		rec, err := s.lookupSnapshot(tx, c, id)
		if err != nil {
			return err
		}
		rec.describe(p)
	default:
		return s.describeNetwork(tx, c, kind, id, p)
	}
	return nil
}

// describeNetwork is describeFor for networks.
func (s *Service) describeNetwork(tx store.Tx, c *guard.Call, kind, id string, p *authz.Part) error {
	switch kind {
	case "vpc":
		v, err := s.lookupVPC(tx, c, id)
		if err != nil {
			return err
		}
		v.describe(p)
	case "subnet":
		n, err := s.lookupSubnet(tx, c, id)
		if err != nil {
			return err
		}
		n.describe(p)
	case "security-group":
		g, err := s.lookupGroup(tx, c, id)
		if err != nil {
			return err
		}
		g.describe(p)
	case reserve.Kind:
		_, _, err := s.reservation(tx, c, id)
		return err
	case "security-group-rule":
		return s.findRule(tx, c, id)
	default:
		if ok, err := s.nets.Describe(tx, c, kind, id, p); ok || err != nil {
			return err
		}
		if ok, err := s.peering.Describe(tx, c, kind, id, p); ok || err != nil {
			return err
		}
		if ok, err := prefixlist.Describe(tx, c, kind, id); ok || err != nil {
			return err
		}
		if ok, err := eventwindow.Describe(tx, c, kind, id); ok || err != nil {
			return err
		}
		if ok, err := s.capacity.Describe(tx, c, kind, id, p); ok || err != nil {
			return err
		}
		return s.describeOther(tx, c, kind, id, p)
	}
	return nil
}

// describeOther is describeFor for key pairs, placement groups, addresses, requests, fleets and tasks. Key pairs and placement
// groups are decided by their names.
func (s *Service) describeOther(tx store.Tx, c *guard.Call, kind, id string, p *authz.Part) error {
	switch kind {
	case "key-pair":
		k, ok, err := keypairs.ByID(tx, c, id)
		if err != nil || !ok {
			return orMissing(err, "InvalidKeyPair.NotFound", "The key pair ID '%s' does not exist", id)
		}
		p.Resource.ARN = s.resourceARN(c, "key-pair/"+k.Name)
		p.Context.Set("ec2:keypairname", k.Name)
		p.Context.Set("ec2:keypairtype", k.Type)
	case "placement-group":
		g, err := placement.ByID(tx, c, id)
		if err != nil {
			return err
		}
		p.Resource.ARN = g.ARN()
		g.Describe(p)
	case "elastic-ip":
		e, ok, err := elasticTable.Get(tx, c.Region, c.Account(), id)
		if err != nil || !ok {
			return orMissing(err, "InvalidAllocationID.NotFound", "The allocation ID '%s' does not exist", id)
		}
		e.describe(p)
	case "spot-instances-request":
		_, ok, err := spotTable.Get(tx, c.Region, c.Account(), id)
		if err != nil || !ok {
			return orMissing(err, "InvalidSpotInstanceRequestID.NotFound", "The spot instance request ID '%s' does not exist", id)
		}
	case "fleet", "spot-fleet-request":
		_, ok, err := fleetTable.Get(tx, c.Region, c.Account(), id)
		if err != nil || !ok {
			return orMissing(err, "InvalidFleetId.NotFound", "The fleet ID '%s' does not exist", id)
		}
	case "replace-root-volume-task":
		_, ok, err := rootTaskTable.Get(tx, c.Region, c.Account(), id)
		if err != nil || !ok {
			return orMissing(err, "InvalidReplaceRootVolumeTaskId.NotFound", "The replace root volume task '%s' does not exist.", id)
		}
	default:
		return apierr.Newf("InvalidID", "The ID '%s' is not valid", id)
	}
	return nil
}

type taggedItem struct{ id, kind, key, value string }

var tagFields = fields[taggedItem]{
	"key":           func(t taggedItem) []string { return oneOf(t.key) },
	"value":         func(t taggedItem) []string { return []string{t.value} },
	"resource-id":   func(t taggedItem) []string { return oneOf(t.id) },
	"resource-type": func(t taggedItem) []string { return oneOf(t.kind) },
}

// DescribeTags lists the tags that the caller's account gave to resources.
func (s *Service) DescribeTags(ctx context.Context, c *guard.Call, in *ec2api.DescribeTagsRequest) (*ec2api.DescribeTagsResult, error) {
	out := new(ec2api.DescribeTagsResult)
	err := s.viewList(ctx, c, "ec2:DescribeTags", in.DryRun, func(tx store.Tx) error {
		passes, err := tagFields.Filter(in.Filters)
		if err != nil {
			return err
		}
		all, err := tagsOfAll(tx, c.Region, c.Account())
		if err != nil {
			return err
		}
		var items []ec2api.TagDescription
		for id, tags := range all {
			kind, _ := kindOf(id)
			for key, value := range tags {
				if passes(taggedItem{id, kind, key, value}, map[string]string{key: value}) {
					items = append(items, ec2api.TagDescription{ResourceId: new(id), ResourceType: new(kind), Key: new(key), Value: new(value)})
				}
			}
		}
		place := func(t ec2api.TagDescription) string { return store.Key(*t.ResourceId, *t.Key) }
		out.Tags, out.NextToken, err = paginate(c.Operation, items, place, limits{5, 1000}, in.MaxResults, in.NextToken)
		return err
	})
	return out, err
}

package prefixlist

import (
	"context"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// Quotas. Source: VPC User Guide, "Amazon VPC quotas", customer-managed prefix lists.
const (
	maxLists   = 100 // of an account and Region
	maxEntries = 1000
)

func checkName(name string) error {
	if name == "" || len(name) > 255 || strings.HasPrefix(name, "com.amazonaws") {
		return idiom.InvalidValue("Value (%s) for parameter PrefixListName is invalid. A name has up to 255 characters and cannot start with com.amazonaws.", name)
	}
	return nil
}

func checkMax(n int32) error {
	if n < 1 || n > maxEntries {
		return idiom.InvalidValue("Value (%d) for parameter MaxEntries is invalid. It is a number from 1 to %d.", n, maxEntries)
	}
	return nil
}

// with are entries with others.
func (l *List) with(have []Entry, added []ec2api.AddPrefixListEntry) ([]Entry, error) {
	have = slices.Clone(have)
	for _, a := range added {
		e, err := l.entry(*a.Cidr, api.Val(a.Description))
		if err != nil {
			return nil, err
		}
		if at := slices.IndexFunc(have, func(o Entry) bool { return o.CIDR == e.CIDR }); at >= 0 {
			have[at] = e // a description is changed by adding the range again
			continue
		}
		have = append(have, e)
	}
	if len(have) > int(l.Max) {
		return nil, idiom.InvalidValue("The prefix list has more entries (%d) than its maximum (%d).", len(have), l.Max)
	}
	return have, nil
}

// CreateManagedPrefixList makes a list. Source: EC2 API Reference, CreateManagedPrefixList.
func (s *Service) CreateManagedPrefixList(ctx context.Context, c *guard.Call, in *ec2api.CreateManagedPrefixListRequest) (*ec2api.CreateManagedPrefixListResult, error) {
	fresh := List{
		Region: c.Region, Account: c.Account(), ID: idiom.RandomID("pl"), Name: *in.PrefixListName, Six: *in.AddressFamily == "IPv6", Max: *in.MaxEntries,
		Version: 1, State: "create-complete",
	}
	if !fresh.Six && *in.AddressFamily != "IPv4" {
		return nil, idiom.InvalidValue("Value (%s) for parameter AddressFamily is invalid.", *in.AddressFamily)
	}
	if err := checkName(fresh.Name); err != nil {
		return nil, err
	}
	if err := checkMax(fresh.Max); err != nil {
		return nil, err
	}
	entries, err := fresh.with([]Entry{}, in.Entries)
	if err != nil {
		return nil, err
	}
	specs, err := idiom.TagSpecs(c, in.TagSpecifications, kind)
	if err != nil {
		return nil, err
	}
	tags := specs[kind]
	token := idiom.NewToken(api.Val(in.ClientToken), idiom.Fingerprint(in.PrefixListName, in.Entries, in.MaxEntries, in.AddressFamily, in.TagSpecifications))
	out := new(ec2api.CreateManagedPrefixListResult)
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		l := fresh
		if err := s.desk.Allow(tx, c, in.DryRun, &idiom.Made{Kind: kind, ID: l.ID, Tags: tags}); err != nil {
			return err
		}
		if known, err := token.Seen(tx, c); err != nil {
			return err
		} else if known != "" {
			if l, err = Find(tx, c, known); err != nil {
				return err
			}
			have, err := idiom.TagsOf(tx, c.Region, c.Account(), l.ID)
			l.State = "create-in-progress"
			out.PrefixList = new(l.wire(idiom.Listed(have)))
			return err
		}
		have, err := all(tx, c)
		if err != nil {
			return err
		}
		if len(have) >= maxLists+len(services) {
			return apierr.New("PrefixListLimitExceeded", "The maximum number of prefix lists has been reached.")
		}
		if err := l.put(tx); err != nil {
			return err
		}
		if err := versions.Put(tx, entries, l.version(1)...); err != nil {
			return err
		}
		if err := idiom.PutTags(tx, c.Region, c.Account(), l.ID, tags); err != nil {
			return err
		}
		l.State = "create-in-progress"
		out.PrefixList = new(l.wire(idiom.MadeWith(tags)))
		return token.Remember(tx, c, s.g.Now(), fresh.ID)
	})
}

// mine is [Service.the] for what changes a list, in its current version.
func (s *Service) mine(tx store.Tx, c *guard.Call, dry *bool, id string, version *int64) (List, error) {
	l, err := s.the(tx, c, dry, id)
	switch {
	case err != nil:
		return l, err
	case l.Managed():
		return l, apierr.Newf("OperationNotPermitted", "The prefix list '%s' is managed by AWS.", id)
	case version != nil && *version != l.Version:
		return l, apierr.New("PrefixListVersionMismatch", "The prefix list has the incorrect version number.")
	}
	return l, nil
}

// next makes entries the current version of a list.
func (l *List) next(tx store.Tx, entries []Entry) error {
	l.Version++
	if l.Version > kept {
		if err := versions.Delete(tx, l.version(l.Version-kept)...); err != nil {
			return err
		}
	}
	return versions.Put(tx, entries, l.version(l.Version)...)
}

// told is a list in an answer, with its tags.
func (l List) told(tx store.Tx, c *guard.Call, state string) (*ec2api.ManagedPrefixList, error) {
	tags, err := idiom.TagsOf(tx, c.Region, c.Account(), l.ID)
	l.State = state
	return new(l.wire(idiom.Listed(tags))), err
}

// ModifyManagedPrefixList changes name, size or ranges of a list; other ranges are another version. The answer is of the
// one before, as the change is in progress. Source: EC2 API Reference, ModifyManagedPrefixList; AWS CLI Command Reference,
// examples of modify-managed-prefix-list.
func (s *Service) ModifyManagedPrefixList(ctx context.Context, c *guard.Call, in *ec2api.ModifyManagedPrefixListRequest) (*ec2api.ModifyManagedPrefixListResult, error) {
	changes := len(in.AddEntries)+len(in.RemoveEntries) > 0
	if in.IpamPrefixListResolverSyncEnabled != nil {
		return nil, apierr.New("UnsupportedOperation", "This server does not support address pools.")
	}
	out := new(ec2api.ModifyManagedPrefixListResult)
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		l, err := s.mine(tx, c, in.DryRun, *in.PrefixListId, in.CurrentVersion)
		if err != nil {
			return err
		}
		before := l.Version
		switch {
		case changes && in.MaxEntries != nil:
			return apierr.New("InvalidParameterCombination", "You cannot modify the entries of a prefix list and modify the size of a prefix list at the same time.")
		case changes && in.CurrentVersion == nil:
			return apierr.New("MissingParameter", "The request must contain the parameter CurrentVersion")
		}
		if in.PrefixListName != nil {
			if l.Name = *in.PrefixListName; checkName(l.Name) != nil {
				return checkName(l.Name)
			}
		}
		have, err := l.at(tx, 0)
		if err != nil {
			return err
		}
		if in.MaxEntries != nil {
			if l.Max = *in.MaxEntries; checkMax(l.Max) != nil {
				return checkMax(l.Max)
			}
		}
		for _, r := range in.RemoveEntries {
			e, err := l.entry(*r.Cidr, "")
			if err != nil {
				return err
			}
			at := slices.IndexFunc(have, func(o Entry) bool { return o.CIDR == e.CIDR })
			if at < 0 {
				return idiom.InvalidValue("The prefix list has no entry %s.", *r.Cidr)
			}
			if slices.ContainsFunc(in.AddEntries, func(a ec2api.AddPrefixListEntry) bool { return *a.Cidr == *r.Cidr }) {
				// As users and Terraform's provider report AWS.
				return idiom.InvalidValue("Request cannot contain Cidr %s in both AddPrefixListEntries and RemovePrefixListEntries", *r.Cidr)
			}
			have = slices.Delete(slices.Clone(have), at, at+1)
		}
		if have, err = l.with(have, in.AddEntries); err != nil {
			return err
		}
		if changes {
			if err := l.next(tx, have); err != nil {
				return err
			}
		}
		l.State = "modify-complete"
		if out.PrefixList, err = l.told(tx, c, "modify-in-progress"); err != nil {
			return err
		}
		out.PrefixList.Version = &before
		return l.put(tx)
	})
}

// RestoreManagedPrefixListVersion makes the ranges of an earlier version the current ones, as a version of its own.
// Source: EC2 API Reference, RestoreManagedPrefixListVersion.
func (s *Service) RestoreManagedPrefixListVersion(ctx context.Context, c *guard.Call, in *ec2api.RestoreManagedPrefixListVersionRequest) (*ec2api.RestoreManagedPrefixListVersionResult, error) {
	out := new(ec2api.RestoreManagedPrefixListVersionResult)
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		l, err := s.mine(tx, c, in.DryRun, *in.PrefixListId, in.CurrentVersion)
		if err != nil {
			return err
		}
		before := l.Version
		entries, err := l.at(tx, *in.PreviousVersion)
		if err != nil {
			return err
		}
		if entries, err = l.with(entries, nil); err != nil { // it may be smaller now
			return err
		}
		if err := l.next(tx, entries); err != nil {
			return err
		}
		l.State = "restore-complete"
		if out.PrefixList, err = l.told(tx, c, "restore-in-progress"); err != nil {
			return err
		}
		out.PrefixList.Version = &before
		return l.put(tx)
	})
}

// DeleteManagedPrefixList deletes a list that nothing refers to.
// Source: EC2 API Reference, DeleteManagedPrefixList.
func (s *Service) DeleteManagedPrefixList(ctx context.Context, c *guard.Call, in *ec2api.DeleteManagedPrefixListRequest) (*ec2api.DeleteManagedPrefixListResult, error) {
	out := new(ec2api.DeleteManagedPrefixListResult)
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		l, err := s.mine(tx, c, in.DryRun, *in.PrefixListId, nil)
		if err != nil {
			return err
		}
		used, err := s.uses(tx, c, l.ID)
		if err != nil {
			return err
		}
		if len(used) > 0 {
			return apierr.Newf("DependencyViolation", "The prefix list '%s' is referenced by %s and cannot be deleted.", l.ID, strings.Join(used, ", "))
		}
		if out.PrefixList, err = l.told(tx, c, "delete-in-progress"); err != nil {
			return err
		}
		for n := max(1, l.Version-kept+1); n <= l.Version; n++ {
			if err := versions.Delete(tx, l.version(n)...); err != nil {
				return err
			}
		}
		if err := idiom.DropTags(tx, c.Region, c.Account(), l.ID); err != nil {
			return err
		}
		return lists.Delete(tx, l.Region, l.Account, l.ID)
	})
}

package ec2

import (
	"context"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// Short names of what package idiom has, which this package uses everywhere.

type (
	fields[T any] = idiom.Fields[T]
	tag           = idiom.Tag
)

// limits of MaxResults.
type limits struct{ least, most int32 }

// anyPage is for operations whose limits the model checks, or that have none.
var anyPage = limits{idiom.AnyPage.Least, idiom.AnyPage.Most}

func pick[T any](items []T, names []string, name func(T) string, missing func(string) error) ([]T, error) {
	return idiom.Pick(items, names, name, missing)
}

func sift[T any](tx store.Tx, c *guard.Call, f fields[T], in []ec2api.Filter, items []T, id func(*T) (string, *[]ec2api.Tag)) ([]T, error) {
	return idiom.Sift(tx, c, f, in, items, id)
}

func paginate[T any](op string, items []T, key func(T) string, lim limits, maxResults *int32, token *string) ([]T, *string, error) {
	return idiom.Page(op, items, key, idiom.Limits{Least: lim.least, Most: lim.most}, maxResults, token)
}

func errIDsAndPage(ids string) error { return idiom.ErrIDsAndPage(ids) }

func fixed[T any](values ...string) func(T) []string { return idiom.Fixed[T](values...) }

func each[T any](items []T, text func(T) *string) []string { return idiom.Each(items, text) }

func oneOf(v string) []string { return idiom.One(v) }

func boolOf(v bool) []string { return idiom.Bool(v) }

func intOf[N int | int32 | int64](v N) []string { return idiom.Int(v) }

func dryRun(flag *bool) error { return idiom.DryRun(flag) }

func invalidValue(format string, args ...any) error { return idiom.InvalidValue(format, args...) }

func randomID(prefix string) string { return idiom.RandomID(prefix) }

func networkID(prefix, region, account, name string) string {
	return idiom.FixedID(prefix, region, account, name)
}

func isHex(s string) bool { return idiom.IsHex(s) }

func kindOf(id string) (string, bool) { return idiom.KindOf(id) }

func tagsOf(tx store.Tx, region, account, id string) (map[string]string, error) {
	return idiom.TagsOf(tx, region, account, id)
}

func tagsOfAll(tx store.Tx, region, account string) (map[string]map[string]string, error) {
	return idiom.TagsOfAll(tx, region, account)
}

func putTags(tx store.Tx, region, account, id string, tags []tag) error {
	return idiom.PutTags(tx, region, account, id, tags)
}

func dropTags(tx store.Tx, region, account, id string) error {
	return idiom.DropTags(tx, region, account, id)
}

func tagMap(tags []tag) map[string]string { return idiom.TagMap(tags) }

func apiTags(tags map[string]string) []ec2api.Tag { return idiom.Wire(tags) }

func listed(tags map[string]string) []ec2api.Tag { return idiom.Listed(tags) }

func madeWith(tags []tag) []ec2api.Tag { return idiom.MadeWith(tags) }

func forAWS(c *guard.Call) bool { return idiom.ForAWS(c) }

// readTags reads the tags of CreateTags.
func readTags(c *guard.Call, in []ec2api.Tag) ([]tag, error) {
	if err := idiom.NoReserved(c, in); err != nil {
		return nil, err
	}
	return idiom.ReadTags(c, in)
}

func tagSpecs(c *guard.Call, specs []ec2api.TagSpecification, kinds ...string) (map[string][]tag, error) {
	return idiom.TagSpecs(c, specs, kinds...)
}

func addRequestTags(part *authz.Part, tags []tag) { idiom.AddRequestTags(part, tags) }

func (s *Service) part(c *guard.Call, action, resource string, tags map[string]string) authz.Part {
	return idiom.Part(c, action, resource, tags)
}

func (s *Service) resourceARN(c *guard.Call, resource string) string {
	return idiom.ResourceARN(c, resource)
}

func (s *Service) createTagsPart(c *guard.Call, resource string, tags []tag, createAction string) authz.Part {
	return idiom.CreateTagsPart(c, resource, tags, createAction)
}

func (s *Service) withTags(c *guard.Call, parts []authz.Part, kind string, tags []tag) []authz.Part {
	return idiom.WithTags(c, parts, kind, tags)
}

func (s *Service) allowDry(tx store.Tx, c *guard.Call, action string, flag *bool, describe ...func(*authz.Part)) error {
	return idiom.AllowDry(tx, s.g, c, action, flag, describe...)
}

func (s *Service) viewList(ctx context.Context, c *guard.Call, action string, flag *bool, fn func(tx store.Tx) error) error {
	return idiom.ViewList(ctx, s.g, c, action, flag, fn)
}

func setAttribute(p *authz.Part, attribute, value string) { idiom.SetAttribute(p, attribute, value) }

func orMissing(err error, code, format string, args ...any) error {
	return idiom.OrMissing(err, code, format, args...)
}

func apiTime(t time.Time) string { return idiom.Time(t) }

func optional[T any](p *T, values func(T) []string) []string { return idiom.Optional(p, values) }

func keep[T any](f fields[T], in []ec2api.Filter, items []T) ([]T, error) {
	return idiom.Keep(f, in, items)
}

package live

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/scenario/format"
)

// A Launch is a scenario that was read. Notes tell what the format cannot say, and what was taken for
// granted.
type Launch struct {
	Scenario *format.Scenario
	Notes    []string
}

// unsafe are characters that the name of a file should not have: ids are such names.
var unsafe = regexp.MustCompile(`[^A-Za-z0-9._-]`)

// A reader makes one scenario.
type reader struct {
	*Session
	ctx   context.Context
	sc    *format.Scenario
	notes []string
}

// newReader begins the scenario of a launch.
func (s *Session) newReader(ctx context.Context, id, title string) (*reader, error) {
	home := s.accounts[0]
	r := &reader{Session: s, ctx: ctx, sc: &format.Scenario{
		Schema: format.Schema, ID: unsafe.ReplaceAllString(id, "-"), Title: title, Story: "Read from a live account by kagimori check --live.",
		Source: format.Source{URL: "live", Basis: "derived"}, Tags: []string{"live"}, Region: home.Region,
		Launch: format.Launch{Account: home.id, Templates: []format.Template{}}, Unknown: map[string]string{},
	}}
	if err := r.account(home.id); err != nil {
		return nil, err
	}
	return r, r.defaults(home)
}

// home is the account of the launch.
func (r *reader) home() *account { return r.accounts[0] }

func (r *reader) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(r.notes, text) {
		r.notes = append(r.notes, text)
	}
}

// A reason is why something cannot be known, other than a Refusal.
type reason string

// Error is the reason.
func (e reason) Error() string { return string(e) }

// noAccess says that there are no credentials for an account.
func noAccess(account string) error {
	return reason("there are no credentials for account " + account + ": give its --profile or --role-arn")
}

// unread notes that the fact at a place could not be read, and why. An error that is not about
// permission is returned: it ends the reading.
func (r *reader) unread(err error, paths ...string) error {
	if err == nil {
		return nil
	}
	_, refused := errors.AsType[*Refusal](err)
	_, none := errors.AsType[reason](err)
	if !refused && !none {
		return err
	}
	for _, path := range paths {
		r.sc.Unknown[path] = err.Error()
	}
	return nil
}

// is reports whether an error has one of the codes.
func is(err error, codes ...string) bool {
	return err != nil && slices.Contains(codes, apierr.Code(err))
}

// finish checks the scenario, as a file of it would be.
func (r *reader) finish() (*Launch, error) {
	if len(r.sc.Unknown) == 0 {
		r.sc.Unknown = nil
	}
	data, err := r.sc.Encode()
	if err != nil {
		return nil, err
	}
	sc, err := format.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("live: %s makes no scenario:\n%w", r.sc.ID, err)
	}
	return &Launch{sc, r.notes}, nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/doctor"
	"github.com/kagimori/kagimori/internal/impact"
	"github.com/kagimori/kagimori/internal/kagimori"
	"github.com/kagimori/kagimori/internal/speech"
)

const impactLong = `impact says what stops working, and when, if a grant is revoked or retired, a key disabled or scheduled for deletion, a
statement of its policy removed, the policy replaced, or a policy detached from a user or role: at once, when a host restarts
and opens the volumes of running instances again, when an instance is started after a stop, and when something new is launched.
Each effect comes with the call to KMS that would be refused, to whom, by what, and with what allows it until then. Nothing is
changed.

With a FILE (what kagimori check reads) it needs no server: it tells of the file's launch. Without one it asks a server, which
knows the volumes, instances, snapshots, images, launch templates and Auto Scaling groups of your account in a Region; the
operation is kagimori:PredictImpact. What is used by people is tried as the caller, or as the principal of --as.

Exit codes: 0 nothing stops, 1 something does, 2 it cannot be told, 3 the question cannot be asked or read.` + clientNote

const impactExample = `  kagimori impact --key alias/web                          # if the key is disabled
  kagimori impact --key alias/web --delete                 # if its deletion is scheduled
  kagimori impact --grant 0c237476b39f8bc44e45212e08498fbe # if the grant is revoked
  kagimori impact --key alias/web --statement "Allow attachment of persistent resources"
  kagimori impact --key alias/web --policy next.json       # if this takes the place of the key policy
  kagimori impact --principal arn:aws:iam::111122223333:role/deployer --detach arn:aws:iam::111122223333:policy/use-keys
  kagimori impact --key alias/web --as arn:aws:iam::111122223333:role/deployer --lang ja
  kagimori impact --key 1a2b3c4d-5e6f-1a2b-3c4d-5e6f1a2b3c4d web.json   # of a scenario, without a server`

// impactFlags are the flags of impact.
type impactFlags struct {
	clientFlags
	key, grant, statement, policy, principal, detach, as string
	del, disable, retire                                 bool
	format, lang                                         string
}

func newImpact(io stdio) *cobra.Command {
	var f impactFlags
	cmd := &cobra.Command{
		Use: "impact [FILE...]", Short: "Say what stops working if a grant, a key or a statement goes", Long: impactLong, Example: impactExample,
		RunE: func(cmd *cobra.Command, files []string) error { return f.impact(cmd.Context(), io, files) },
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return exit{exitBadInput, err, true} })
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.StringVar(&f.key, "key", "", "`KEY`: ARN, id or alias; alone: it is disabled")
	fl.BoolVar(&f.disable, "disable", false, "the key is disabled (what --key alone means)")
	fl.BoolVar(&f.del, "delete", false, "the deletion of the key is scheduled")
	fl.StringVar(&f.grant, "grant", "", "`ID` of a grant that is revoked; of a key of the account, --key can be left out")
	fl.BoolVar(&f.retire, "retire", false, "the grant is retired instead")
	fl.StringVar(&f.statement, "statement", "", "`SID`, or number from 1, of a statement of the key's policy that is removed")
	fl.StringVar(&f.policy, "policy", "", "`FILE` with the policy that takes the place of the key's")
	fl.StringVar(&f.principal, "principal", "", "`ARN` of a user or role from which a policy is detached")
	fl.StringVar(&f.detach, "detach", "", "`POLICY` that is detached: the ARN of a managed one or the name of an inline one")
	fl.StringVar(&f.as, "as", "", "`ARN` of the user or role that starts and launches things (default: the caller)")
	fl.StringVar(&f.format, "format", "text", "`form` of the answer: text or json")
	addLanguage(fl, &f.lang)
	f.clientFlags.register(cmd)
	completeWords(cmd, "format", "text", "json")
	completeWords(cmd, "lang", "en", "ja")
	for _, name := range []string{"key", "grant", "statement", "principal", "detach", "as"} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions)
	}
	return cmd
}

// change is what the flags ask about.
func (f *impactFlags) change(io stdio) (impact.Change, error) {
	ch := impact.Change{KeyARN: f.key, Grant: f.grant, Statement: f.statement, Principal: f.principal, Document: f.detach}
	var kinds []string
	add := func(kind string, given bool) {
		if given {
			kinds = append(kinds, kind)
		}
	}
	add(impact.DetachPolicy, f.principal != "" || f.detach != "")
	add(impact.ReplacePolicy, f.policy != "")
	add(impact.RemoveStatement, f.statement != "")
	add(impact.RevokeGrant, f.grant != "" && !f.retire)
	add(impact.RetireGrant, f.retire)
	add(impact.ScheduleDelete, f.del)
	add(impact.DisableKey, f.disable)
	if len(kinds) == 0 && f.key != "" {
		kinds = []string{impact.DisableKey}
	}
	switch len(kinds) {
	case 0:
		return ch, errors.New("nothing to ask about: give --key, --grant, --statement, --policy or --detach")
	case 1:
	default:
		return ch, fmt.Errorf("one change at a time: the flags ask about %s", strings.Join(kinds, " and "))
	}
	ch.Kind = kinds[0]
	if f.policy != "" {
		data, err := readText(io, f.policy, maxInput)
		if err != nil {
			return ch, err
		}
		ch.Policy = data
	}
	return ch, ch.Check()
}

func (f *impactFlags) impact(ctx context.Context, io stdio, files []string) error {
	if f.format != "text" && f.format != "json" {
		return exit{exitBadInput, fmt.Errorf("--format %q is none of text and json", f.format), true}
	}
	lang, err := language(f.lang)
	if err != nil {
		return exit{exitBadInput, err, true}
	}
	ch, err := f.change(io)
	if err != nil {
		return exit{exitBadInput, err, true}
	}
	var all []titled
	if len(files) == 0 {
		all, err = f.ofServer(ctx, &ch, lang)
	} else {
		all, err = f.ofFiles(ctx, io, ch, files, lang)
	}
	if err != nil {
		return exit{exitBadInput, err, false}
	}
	code := exitOK
	for i := range all {
		if err := f.tell(io, &all[i], len(all) > 1, lang); err != nil {
			return exit{exitBadInput, err, false}
		}
		for _, e := range all[i].Effects {
			switch {
			case api.Val(e.Outcome) != string(impact.CannotTell):
				code = exitWillNot
			case code == exitOK:
				code = exitCannotTell
			}
		}
	}
	if code != exitOK {
		return exit{code: code}
	}
	return nil
}

// titled is an answer, with the scenario that it is about.
type titled struct {
	title string
	*kagimoriapi.PredictImpactResponse
}

// ofServer asks a server.
func (f *impactFlags) ofServer(ctx context.Context, ch *impact.Change, lang speech.Language) ([]titled, error) {
	c, err := f.client(regionOf(ch.KeyARN))
	if err != nil {
		return nil, err
	}
	in := &kagimoriapi.PredictImpactRequest{As: api.Opt(f.as), Language: new(lang.String()), Change: &kagimoriapi.ImpactChange{
		Type: &ch.Kind, KeyId: api.Opt(ch.KeyARN), GrantId: api.Opt(ch.Grant), Statement: api.Opt(ch.Statement), Policy: api.Opt(string(ch.Policy)),
		Principal: api.Opt(ch.Principal), PolicyName: api.Opt(ch.Document),
	}}
	var out kagimoriapi.PredictImpactResponse
	if err := c.Do(ctx, "PredictImpact", in, &out); err != nil {
		return nil, err
	}
	return []titled{{"", &out}}, nil
}

// ofFiles works it out on the launches of files.
func (f *impactFlags) ofFiles(ctx context.Context, io stdio, ch impact.Change, files []string, lang speech.Language) ([]titled, error) {
	var out []titled
	var check checkFlags
	judge := doctor.New()
	for _, from := range check.sources(io, files) {
		inputs, err := from.read()
		if err != nil {
			return nil, err
		}
		for _, in := range inputs {
			r, err := judge.Impact(ctx, in.scenario, ch, f.as)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", in.file, err)
			}
			out = append(out, titled{in.scenario.ID, kagimori.ImpactAnswer(r, lang)})
		}
	}
	if len(out) == 0 {
		return nil, errors.New("the files have no launch")
	}
	return out, nil
}

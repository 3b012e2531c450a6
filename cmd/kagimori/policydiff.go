package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/ask/compare"
	"github.com/kagimori/kagimori/internal/doctor"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/scenario/format"
	"github.com/kagimori/kagimori/internal/speech"
)

// Exit codes of policy diff, beside exitOK.
const (
	exitDiffers = 1
	exitTrouble = 2
)

const diffLong = `diff says in words what access a change of a key policy changes: who gains or loses which actions, and on which
conditions. What the policies say twice, or in other words, is no difference: both are asked the same questions, by the
rules by which KMS decides. With launch scenarios (see kagimori scenario), or plans of Terraform, it also says which
launches stop or begin to work.

One of the files may be -, standard input. Of a scenario with several keys, the one is meant that has the policy OLD, or the
one that --key names.

Exit codes, as of diff(1): 0 there is no difference, 1 there is, 2 something cannot be read.`

// diffFlags are the flags of policy diff.
type diffFlags struct {
	account, key, format, lang string
	scenarios                  []string
}

// differences are what policy diff finds.
type differences struct {
	Access   []compare.Change `json:"access"`
	Launches []launchChange   `json:"launches"`
}

// A launchChange is a launch that ends otherwise under the new policy.
type launchChange struct {
	ID     string `json:"id"`
	Before string `json:"before"` // a verdict of check
	After  string `json:"after"`
	// Why are the refusals under the policy under which it fails.
	Why []speech.Text `json:"why"`
}

func newPolicyDiff(io stdio) *cobra.Command {
	var f diffFlags
	cmd := &cobra.Command{
		Use: "diff OLD NEW", Short: "Say what access a change of a key policy changes", Long: diffLong,
		Example: "  kagimori policy diff old.json new.json\n" +
			"  git show HEAD:key-policy.json | kagimori policy diff - key-policy.json --scenario web.json\n" +
			"  kagimori policy diff --format json old.json new.json | jq '.access[] | select(.kind == \"gains\")'",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return exit{exitTrouble, fmt.Errorf("two files are needed, not %d", len(args)), true}
			}
			return nil
		},
		RunE: func(_ *cobra.Command, files []string) error { return f.diff(io, files[0], files[1]) },
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.StringVar(&f.account, "account", "", "`ID` of the key's account, if the policies do not tell")
	fl.StringVar(&f.key, "key", "", "`ARN` of the key")
	fl.StringArrayVar(&f.scenarios, "scenario", nil, "`FILE` with launches under the key; may be repeated")
	addLanguage(fl, &f.lang)
	fl.StringVar(&f.format, "format", "text", "`FORMAT` of the answer: text or json")
	return cmd
}

// diff compares two files.
func (f *diffFlags) diff(io stdio, before, after string) error {
	in, err := language(f.lang)
	if err != nil {
		return exit{exitTrouble, err, true}
	}
	d, err := f.compare(io, before, after)
	if err != nil {
		return exit{exitTrouble, err, true}
	}
	if f.format == "json" {
		out, err := plainJSON(d)
		if err == nil {
			_, err = fmt.Fprint(io.out, out)
		}
		if err != nil {
			return exit{exitTrouble, err, false}
		}
	} else if _, err := io.out.Write([]byte(d.text(in))); err != nil {
		return exit{exitTrouble, err, false}
	}
	if len(d.Access)+len(d.Launches) > 0 {
		return exit{code: exitDiffers}
	}
	return nil
}

func (f *diffFlags) compare(io stdio, before, after string) (*differences, error) {
	if f.format != "text" && f.format != "json" {
		return nil, fmt.Errorf("--format %q is neither text nor json", f.format)
	}
	if f.account != "" && !arn.IsAccount(f.account) {
		return nil, fmt.Errorf("--account %q is not an account id of 12 digits", f.account)
	}
	key := compare.Key{ARN: f.key, Account: f.account}
	if f.key != "" {
		a, err := arn.Parse(f.key)
		if err != nil || a.Service != "kms" || a.Type() != "key" || f.account != "" && a.Account != f.account {
			return nil, fmt.Errorf("--key %q is not the ARN of a key of the account", f.key)
		}
		key.Account = a.Account
	}
	if before == "-" && after == "-" {
		return nil, errors.New("only one of the files can be standard input")
	}
	var docs [2]*policy.Document
	for i, name := range []string{before, after} {
		src, err := readDocument(io, name)
		if err != nil {
			return nil, err
		}
		if _, err := parseKeyPolicy(name, src); err != nil {
			return nil, err
		}
		if docs[i], err = policy.Parse(src, policy.Key); err != nil {
			return nil, err
		}
	}
	d := &differences{Access: compare.Policies(docs[0], docs[1], key), Launches: []launchChange{}}
	for _, name := range f.scenarios {
		more, err := f.launches(io, name, docs[0], docs[1])
		if err != nil {
			return nil, err
		}
		d.Launches = append(d.Launches, more...)
	}
	return d, nil
}

// launches are those of a file that end otherwise under the new policy.
func (f *diffFlags) launches(io stdio, name string, before, after *policy.Document) ([]launchChange, error) {
	data, err := readText(io, name, maxInput)
	if err != nil {
		return nil, err
	}
	inputs, err := (&checkFlags{}).read(io, name, data)
	if err != nil {
		return nil, err
	}
	var out []launchChange
	judge := doctor.New()
	found := false
	for _, in := range inputs {
		i := f.keyOf(in.scenario, before)
		if i < 0 {
			continue
		}
		found = true
		var reports [2]*doctor.Report
		for j, d := range []*policy.Document{before, after} {
			sc, err := in.scenario.Patched([]format.Edit{{Op: "replace", Path: fmt.Sprintf("/keys/%d/policy", i), Value: format.Value(d.Source)}})
			if err != nil {
				return nil, err
			}
			reports[j] = judge.Check(sc)
		}
		c := launchChange{ID: in.scenario.ID, Before: reports[0].Verdict, After: reports[1].Verdict, Why: []speech.Text{}}
		if c.Before == c.After {
			continue
		}
		for _, r := range reports {
			c.Why = append(c.Why, refusals(r)...)
		}
		out = append(out, c)
	}
	if !found {
		return nil, fmt.Errorf("%s: no key there has the policy OLD: name the one that is meant by --key", filepath.ToSlash(name))
	}
	return out, nil
}

// keyOf is the place of the key that is meant, or -1.
func (f *diffFlags) keyOf(sc *format.Scenario, before *policy.Document) int {
	for i := range sc.Keys {
		if f.key != "" {
			if sc.Keys[i].ARN == f.key {
				return i
			}
			continue
		}
		d, err := policy.Parse(sc.Keys[i].Policy, policy.Key)
		if err == nil && string(d.Print()) == string(before.Print()) {
			return i
		}
	}
	return -1
}

// refusals are the failures of a report in words.
func refusals(r *doctor.Report) []speech.Text {
	var out []speech.Text
	for i := range r.Failures {
		fail := &r.Failures[i]
		text, why := speech.Say("fails at step %s", fail.Step), fail.Explanation
		switch {
		case fail.Action != "" && fail.Principal != nil:
			text = speech.Say("%s is refused to %s", fail.Action, *fail.Principal)
		case fail.Action != "":
			text = speech.Say("%s is refused", fail.Action)
		}
		if fail.Action != "" && len(why) > 1 {
			why = why[1:] // the first line says the same
		}
		out = append(out, speech.Say("%s: %s", text, speech.Sentences(why...)))
	}
	return out
}

// text is what a person reads.
func (d *differences) text(in speech.Language) string {
	var b strings.Builder
	for _, c := range d.Access {
		who, list := speech.Written(c.Principal), strings.Join(c.Actions, ", ")
		was, now := speech.Written(c.Before), speech.Written(c.After)
		say := func(text speech.Text) { b.WriteString(text.In(in) + "\n") }
		switch c.Kind {
		case compare.Gains:
			say(speech.Say("%s gains %s (now: %s)", who, list, now))
		case compare.Loses:
			say(speech.Say("%s loses %s (before: %s)", who, list, was))
		case compare.Wider:
			say(speech.Say("%s can do %s more often\n  before: %s\n  after:  %s", who, list, was, now))
		case compare.Tighter:
			say(speech.Say("%s can do %s less often\n  before: %s\n  after:  %s", who, list, was, now))
		default:
			say(speech.Say("%s can do %s otherwise\n  before: %s\n  after:  %s", who, list, was, now))
		}
	}
	for _, l := range d.Launches {
		words := map[string]speech.Text{"launches": speech.Say("launches"), "fails": speech.Say("does not launch"), "cannot-tell": speech.Say("depends on what is not known")}
		fmt.Fprintln(&b, speech.Say("%s: before it %s, after it %s", l.ID, words[l.Before], words[l.After]).In(in))
		for _, why := range l.Why {
			fmt.Fprintf(&b, "  %s\n", why.In(in))
		}
	}
	return b.String()
}

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kagimori/kagimori/internal/lint"
	"github.com/kagimori/kagimori/internal/policy"
)

// policyKinds are the values of --type.
var policyKinds = []struct {
	name string
	kind policy.Kind
}{
	{"identity", policy.Identity}, {"key", policy.Key}, {"trust", policy.Trust}, {"scp", policy.SCP}, {"rcp", policy.RCP},
	{"resource", policy.Resource}, {"session", policy.Session},
}

func newPolicy(io stdio) *cobra.Command {
	cmd := &cobra.Command{
		Use: "policy", Short: "Find mistakes in policy documents, edit and compare them",
		Long:    "policy works on IAM policy documents: identity-based policies, key policies, trust policies and those of\norganizations. It needs no server.",
		Example: "  kagimori policy lint --type key policy.json\n  kagimori policy fmt --write policy.json\n  kagimori policy add-autoscaling --write key-policy.json",
	}
	cmd.AddCommand(newPolicyLint(io), newPolicyFmt(io), newPolicyDiff(io), newPolicyForLaunch(io), newPolicyView(io))
	for _, e := range editors() {
		cmd.AddCommand(e.command(io))
	}
	return cmd
}

// lintFlags are the flags of policy lint.
type lintFlags struct {
	kind, account, resource, format, failOn, lang string
	known                                         []string
}

const lintLong = `lint finds what AWS refuses in a policy document, and what it accepts although its author did not mean it: statements
that can never apply, wildcards that give more than they seem to, and the mistakes that make launches on encrypted
volumes fail. docs/lint.md has each rule with an example. The file - is standard input.

The exit code is 1 if there are findings of severity error (or of what --fail-on says) and 2 if a file cannot be read.`

const lintExample = `  kagimori policy lint --type key --resource arn:aws:kms:us-west-2:111122223333:key/KEYID policy.json
  aws kms get-key-policy --key-id alias/app --query Policy --output text | kagimori policy lint --type key -
  kagimori policy lint --type key --known roles.json --known grants.json policy.json
  kagimori policy lint --type key --lang ja policy.json
  kagimori policy lint --format sarif policies/*.json > lint.sarif`

func newPolicyLint(io stdio) *cobra.Command {
	var f lintFlags
	cmd := &cobra.Command{
		Use: "lint FILE...", Short: "Find mistakes in policy documents", Long: lintLong, Example: lintExample,
		Args: cobra.MinimumNArgs(1), RunE: func(_ *cobra.Command, files []string) error { return f.run(io, files) },
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.StringVar(&f.kind, "type", "identity", "what the documents are attached to: `KIND` is identity, key, trust, scp, rcp, resource or session")
	fl.StringVar(&f.account, "account", "", "`ID` of the account that owns the documents or their resource")
	fl.StringVar(&f.resource, "resource", "", "`ARN` of the key of key policies")
	fl.StringArrayVar(&f.known, "known", nil, "`FILE` that tells of the world: a launch scenario, or what aws iam list-roles, list-users,\nget-role, get-user, aws kms list-grants or describe-key printed")
	fl.StringVar(&f.format, "format", "text", "`FORMAT` of the findings: text, json or sarif")
	addLanguage(fl, &f.lang)
	fl.StringVar(&f.failOn, "fail-on", "error", "the least `SEVERITY` that makes the exit code 1: error, warning or note")
	return cmd
}

func (f *lintFlags) run(io stdio, files []string) error {
	opts, err := f.options(io)
	if err != nil {
		return err
	}
	least, ok := lint.ParseSeverity(f.failOn)
	if !ok {
		return fmt.Errorf("--fail-on %q is not error, warning or note", f.failOn)
	}
	write, err := f.writer()
	if err != nil {
		return err
	}
	var results []lint.Result
	bad := 0
	for _, name := range files {
		src, err := readDocument(io, name)
		if err != nil {
			return err
		}
		r := lint.Result{File: shown(name), Findings: lint.Check(src, opts)}
		for _, found := range r.Findings {
			if found.Severity >= least {
				bad++
			}
		}
		results = append(results, r)
	}
	if err := write(io.out, results); err != nil {
		return failed(err)
	}
	switch {
	case bad == 1:
		return failed(fmt.Errorf("1 finding of severity %s or above", least))
	case bad > 1:
		return failed(fmt.Errorf("%d findings of severity %s or above", bad, least))
	}
	return nil
}

// options are what the flags say of the documents.
func (f *lintFlags) options(io stdio) (lint.Options, error) {
	o := lint.Options{Account: f.account, Resource: f.resource}
	for _, k := range policyKinds {
		if k.name == f.kind {
			o.Kind = k.kind
		}
	}
	if o.Kind == 0 {
		return o, fmt.Errorf("--type %q is not identity, key, trust, scp, rcp, resource or session", f.kind)
	}
	if f.account != "" && (len(f.account) != 12 || strings.Trim(f.account, "0123456789") != "") {
		return o, fmt.Errorf("--account %q is not an account id of 12 digits", f.account)
	}
	if f.resource != "" && (o.Kind != policy.Key || !strings.HasPrefix(f.resource, "arn:") || !strings.Contains(f.resource, ":key/")) {
		return o, fmt.Errorf("--resource %q: it is the ARN of a key, and for --type key", f.resource)
	}
	if len(f.known) > 0 {
		o.Known = &lint.World{}
	}
	for _, name := range f.known {
		src, err := readDocument(io, name)
		if err != nil {
			return o, err
		}
		if err := o.Known.Add(src); err != nil {
			return o, fmt.Errorf("%s: %w", shown(name), err)
		}
	}
	return o, nil
}

func (f *lintFlags) writer() (func(io.Writer, []lint.Result) error, error) {
	in, err := language(f.lang)
	if err != nil {
		return nil, err
	}
	switch f.format {
	case "text":
		return func(w io.Writer, r []lint.Result) error { return lint.WriteText(w, r, in) }, nil
	case "json":
		return lint.WriteJSON, nil
	case "sarif":
		return func(w io.Writer, r []lint.Result) error { return lint.WriteSARIF(w, version(), r) }, nil
	}
	return nil, fmt.Errorf("--format %q is not text, json or sarif", f.format)
}

// maxDocument is the longest policy that is read, maxInput the longest file of another kind: plans of
// Terraform are long.
const (
	maxDocument = 16 << 20
	maxInput    = 2 << 30
)

// readDocument reads a file, or standard input if it is called "-".
func readDocument(std stdio, name string) ([]byte, error) {
	src, err := readText(std, name, maxDocument)
	switch {
	case err != nil:
	case len(bytes.TrimSpace(src)) == 0:
		err = fmt.Errorf("%s is empty", shown(name))
	case isAnswer(src):
		err = fmt.Errorf("%s is an answer of AWS with a policy in it: give the policy alone (aws kms get-key-policy --query Policy --output text ...)", shown(name))
	}
	if err != nil {
		return nil, unreadable(err)
	}
	return src, nil
}

// readText is a file, or standard input if it is called "-", without what Windows begins it with.
func readText(std stdio, name string, most int64) ([]byte, error) {
	in := std.in
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer file.Close() // only read
		in = file
	}
	src, err := io.ReadAll(io.LimitReader(in, most+1))
	if err == nil && int64(len(src)) > most {
		err = fmt.Errorf("it is longer than %d bytes", most)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", shown(name), err)
	}
	return plainText(src), nil
}

// unreadable is the error of a document that cannot be read, which no other command line helps
// against.
func unreadable(err error) error { return exit{exitUsage, err, false} }

// isAnswer reports whether a document is what GetKeyPolicy answers.
func isAnswer(src []byte) bool {
	var answer map[string]json.RawMessage
	if json.Unmarshal(src, &answer) != nil || answer["Statement"] != nil {
		return false
	}
	var policy string
	return json.Unmarshal(answer["Policy"], &policy) == nil && strings.HasPrefix(strings.TrimSpace(policy), "{")
}

// shown is the name of a file in messages.
func shown(name string) string {
	if name == "-" {
		return "stdin"
	}
	return name
}

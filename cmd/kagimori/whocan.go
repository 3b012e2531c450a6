package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/arn"
)

// questionFlags are the flags of who-can and what-can.
type questionFlags struct {
	clientFlags
	format string
}

func (f *questionFlags) register(cmd *cobra.Command) {
	f.clientFlags.register(cmd)
	cmd.Flags().StringVar(&f.format, "format", "text", "`form` of the answer: text or json")
}

const whoCanLong = `who-can lists the principals that can do something with a key, whatever the request, or on which conditions on the
request it depends. Each answer is the server's own decision about one principal and cites the statements and grants
that allow it.

The owner of the key learns of the principals of its account and of those whom the key policy or a grant names; what
identity policies of other accounts say is not known there. Another account learns of its own principals.` + clientNote

func newWhoCan(io stdio) *cobra.Command {
	var f questionFlags
	cmd := &cobra.Command{
		Use: "who-can KEY-ARN ACTION", Short: "List who can do something with a key, and on which conditions",
		Long: whoCanLong, Args: cobra.ExactArgs(2),
		Example: "  kagimori who-can arn:aws:kms:us-west-2:123456789012:key/1a2b3c4d-5e6f-1a2b-3c4d-5e6f1a2b3c4d kms:Decrypt",
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.whoCan(cmd.Context(), io, args[0], args[1])
		},
	}
	f.register(cmd)
	return cmd
}

const whatCanLong = `what-can lists what a user or role of the account can do with which keys of a Region: keys of the account, keys that its
identity policies name and keys with grants for it. Each answer is the server's own decision and cites the statements and
grants that allow it.` + clientNote

func newWhatCan(io stdio) *cobra.Command {
	var f questionFlags
	cmd := &cobra.Command{
		Use: "what-can PRINCIPAL-ARN [ACTION]...", Short: "List what a principal can do with which keys",
		Long: whatCanLong, Args: cobra.MinimumNArgs(1),
		Example: "  kagimori what-can arn:aws:iam::123456789012:role/deployer\n  kagimori what-can arn:aws:iam::123456789012:user/ana kms:Decrypt kms:CreateGrant",
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.whatCan(cmd.Context(), io, args[0], args[1:])
		},
	}
	f.register(cmd)
	return cmd
}

// regionOf is the Region of an ARN, or "".
func regionOf(arn string) string {
	if parts := strings.SplitN(arn, ":", 6); len(parts) == 6 {
		return parts[3]
	}
	return ""
}

func (f *questionFlags) checkFormat() error {
	if f.format != "text" && f.format != "json" {
		return fmt.Errorf("--format %q is none of text and json", f.format)
	}
	return nil
}

func (f *questionFlags) whoCan(ctx context.Context, io stdio, key, action string) error {
	if err := f.checkFormat(); err != nil {
		return err
	}
	if a, err := arn.Parse(key); err != nil || a.Service != "kms" || a.Type() != "key" {
		return fmt.Errorf("%s is not the ARN of a key: aws kms describe-key --key-id %s --query KeyMetadata.Arn tells it", key, key)
	}
	c, err := f.client(regionOf(key))
	if err != nil {
		return err
	}
	var out kagimoriapi.WhoCanResponse
	if err := c.Do(ctx, "WhoCan", &kagimoriapi.WhoCanRequest{KeyArn: &key, Action: &action}, &out); err != nil {
		return failed(err)
	}
	return f.print(io, out, out.Answers, api.Val(out.Truncated), "Nobody that this account may know of can do that.", func(a *kagimoriapi.Answer) string { return api.Val(a.Principal) })
}

func (f *questionFlags) whatCan(ctx context.Context, io stdio, principal string, actions []string) error {
	if err := f.checkFormat(); err != nil {
		return err
	}
	c, err := f.client("")
	if err != nil {
		return err
	}
	var out kagimoriapi.WhatCanResponse
	if err := c.Do(ctx, "WhatCan", &kagimoriapi.WhatCanRequest{Principal: &principal, Actions: actions}, &out); err != nil {
		return failed(err)
	}
	return f.print(io, out, out.Answers, api.Val(out.Truncated), "It can do nothing with the keys of the Region.", func(a *kagimoriapi.Answer) string {
		return api.Val(a.Action) + " on " + api.Val(a.Resource)
	})
}

func (f *questionFlags) print(io stdio, answer any, all []kagimoriapi.Answer, truncated bool, none string, title func(*kagimoriapi.Answer) string) error {
	if f.format == "json" {
		out, err := plainJSON(answer)
		if err == nil {
			_, err = fmt.Fprint(io.out, out)
		}
		return failed(err)
	}
	var b strings.Builder
	if len(all) == 0 {
		fmt.Fprintln(&b, none)
	}
	for i := range all {
		writeAnswer(&b, title(&all[i]), &all[i])
	}
	if truncated {
		fmt.Fprintln(&b, "There are more answers than one question gets.")
	}
	_, err := fmt.Fprint(io.out, b.String())
	return failed(err)
}

func writeAnswer(b *strings.Builder, title string, a *kagimoriapi.Answer) {
	verdict := ""
	if api.Val(a.EvaluatedEffect) != kagimoriapi.EffectTypeALLOW {
		verdict = ": it depends"
	}
	fmt.Fprintf(b, "%s%s\n", title, verdict)
	for _, st := range a.Statements {
		fmt.Fprintf(b, "  by %s\n", cite(st.PolicyType, st.Policy, st.Sid, st.GrantId))
	}
	for _, c := range a.Conditions {
		word := "if"
		if api.Val(c.EvaluatedEffect) == "DENY" {
			word = "not if"
		}
		what := strings.TrimSpace(api.Val(c.Operator) + " " + api.Val(c.Key))
		fmt.Fprintf(b, "  %s %s %s, by %s\n", word, what, strings.Join(c.Values, " or "), cite(c.PolicyType, c.Policy, c.Sid, c.GrantId))
	}
	if n := api.Val(a.MoreGrants); n > 0 {
		fmt.Fprintf(b, "  and %d grants more that are like some of these\n", n)
	}
	for _, d := range a.DependsOn {
		if !strings.HasPrefix(d, "key ") {
			fmt.Fprintf(b, "  if allowed by %s\n", strings.TrimPrefix(d, "document "))
		}
	}
}

// cite names a statement or grant as far as the reader may know it.
func cite(policyType, policy, sid, grant *string) string {
	kind := strings.ToLower(strings.ReplaceAll(api.Val(policyType), "_", " "))
	if kind == "resource based policy" { // of a key: these questions are about nothing else
		kind = "key policy"
	}
	if id := api.Val(grant); id != "" {
		return "grant " + id
	}
	if api.Val(sid) == "" {
		return kind
	}
	return fmt.Sprintf("statement %q of %s %s", api.Val(sid), kind, api.Val(policy))
}

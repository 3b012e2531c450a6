package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/speech"
)

// answerFlags are the flags of what asks a server and shows the answer.
type answerFlags struct {
	clientFlags
	format string
}

func (f *answerFlags) register(cmd *cobra.Command) {
	f.clientFlags.register(cmd)
	cmd.Flags().StringVar(&f.format, "format", "text", "`form` of the answer: text or json")
	completeWords(cmd, "format", "text", "json")
}

func (f *answerFlags) checkFormat() error {
	if f.format != "text" && f.format != "json" {
		return fmt.Errorf("--format %q is none of text and json", f.format)
	}
	return nil
}

// questionFlags are the flags of who-can and what-can.
type questionFlags struct {
	answerFlags
	lang string
}

func (f *questionFlags) register(cmd *cobra.Command) {
	f.answerFlags.register(cmd)
	addLanguage(cmd.Flags(), &f.lang)
	completeWords(cmd, "lang", "en", "ja")
}

const questionCodes = `

Exit codes: 0 it was answered, 1 the server has no answer or refuses to give it, 2 the question cannot be asked.`

const whoCanLong = `who-can lists the principals that can do something with a key, whatever the request, or on which conditions on the
request it depends. Each answer is the server's own decision about one principal and cites the statements and grants
that allow it.

The owner of the key learns of the principals of its account and of those whom the key policy or a grant names; what
identity policies of other accounts say is not known there. Another account learns of its own principals.

KEY is the ARN of a key or, of a key of the account in the Region, also its id, an alias or the ARN of an alias.` + questionCodes + clientNote

func newWhoCan(io stdio) *cobra.Command {
	var f questionFlags
	cmd := &cobra.Command{
		Use: "who-can KEY ACTION", Short: "List who can do something with a key, and on which conditions",
		Long: whoCanLong, Args: cobra.ExactArgs(2),
		Example: "  kagimori who-can alias/web kms:Decrypt\n  kagimori who-can arn:aws:kms:us-west-2:123456789012:key/1a2b3c4d-5e6f-1a2b-3c4d-5e6f1a2b3c4d kms:CreateGrant",
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.whoCan(cmd.Context(), io, args[0], args[1])
		},
	}
	f.register(cmd)
	return cmd
}

const whatCanLong = `what-can lists what a user or role of the account can do with which keys of a Region: keys of the account, keys that its
identity policies name and keys with grants for it. Each answer is the server's own decision and cites the statements and
grants that allow it.` + questionCodes + clientNote

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

// check reads what the flags say of the form of the answer.
func (f *questionFlags) check() (speech.Language, error) {
	if err := f.checkFormat(); err != nil {
		return speech.English, err
	}
	return language(f.lang)
}

func (f *questionFlags) whoCan(ctx context.Context, io stdio, key, action string) error {
	in, err := f.check()
	if err != nil {
		return err
	}
	c, err := f.client(regionOf(key))
	if err != nil {
		return err
	}
	var out kagimoriapi.WhoCanResponse
	if err := c.Do(ctx, "WhoCan", &kagimoriapi.WhoCanRequest{KeyArn: &key, Action: &action}, &out); err != nil {
		return failed(err)
	}
	none := speech.Say("Nobody that this account may know of can do that.")
	return f.print(io, in, out, out.Answers, api.Val(out.Truncated), none, func(a *kagimoriapi.Answer) speech.Text { return speech.Raw(api.Val(a.Principal)) })
}

func (f *questionFlags) whatCan(ctx context.Context, io stdio, principal string, actions []string) error {
	in, err := f.check()
	if err != nil {
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
	none := speech.Say("It can do nothing with the keys of the Region.")
	return f.print(io, in, out, out.Answers, api.Val(out.Truncated), none, func(a *kagimoriapi.Answer) speech.Text {
		return speech.Say("%s on %s", api.Val(a.Action), api.Val(a.Resource))
	})
}

func (f *questionFlags) print(io stdio, in speech.Language, answer any, all []kagimoriapi.Answer, truncated bool, none speech.Text, title func(*kagimoriapi.Answer) speech.Text) error {
	if f.format == "json" {
		out, err := plainJSON(answer)
		if err == nil {
			_, err = fmt.Fprint(io.out, out)
		}
		return failed(err)
	}
	var b strings.Builder
	if len(all) == 0 {
		fmt.Fprintln(&b, none.In(in))
	}
	for i := range all {
		writeAnswer(&b, in, title(&all[i]), &all[i])
	}
	if truncated {
		fmt.Fprintln(&b, speech.Say("There are more answers than one question gets.").In(in))
	}
	_, err := fmt.Fprint(io.out, b.String())
	return failed(err)
}

func writeAnswer(b *strings.Builder, in speech.Language, title speech.Text, a *kagimoriapi.Answer) {
	line := func(t speech.Text) { fmt.Fprintf(b, "  %s\n", t.In(in)) }
	if api.Val(a.EvaluatedEffect) != kagimoriapi.EffectTypeALLOW {
		title = speech.Say("%s: it depends", title)
	}
	fmt.Fprintln(b, title.In(in))
	for _, st := range a.Statements {
		line(speech.Say("by %s", cite(st.PolicyType, st.Policy, st.Sid, st.GrantId)))
	}
	for _, c := range a.Conditions {
		what := strings.TrimSpace(api.Val(c.Operator) + " " + api.Val(c.Key))
		values := speech.List("", or(c.Values)...)
		if by := cite(c.PolicyType, c.Policy, c.Sid, c.GrantId); api.Val(c.EvaluatedEffect) == "DENY" {
			line(speech.Say("not if %s %s, by %s", what, values, by))
		} else {
			line(speech.Say("if %s %s, by %s", what, values, by))
		}
	}
	if n := api.Val(a.MoreGrants); n > 0 {
		line(speech.Say("and %d grants more that are like some of these", n))
	}
	for _, d := range a.DependsOn {
		if !strings.HasPrefix(d, "key ") {
			line(speech.Say("if allowed by %s", speech.Written(strings.TrimPrefix(d, "document "))))
		}
	}
}

// or are values with an or between them.
func or(values []string) []speech.Text {
	var out []speech.Text
	for i, v := range values {
		if i > 0 {
			out = append(out, speech.Say(" or "))
		}
		out = append(out, speech.Raw(v))
	}
	return out
}

// cite names a statement or grant as far as the reader may know it.
func cite(policyType, policy, sid, grant *string) speech.Text {
	if id := api.Val(grant); id != "" {
		return speech.Say("grant %s", id)
	}
	kind := policyName(api.Val(policyType))
	if api.Val(sid) == "" {
		return kind
	}
	return speech.Say("statement %s of %s %s", strconv.Quote(api.Val(sid)), kind, api.Val(policy))
}

// policyName is what the API calls a kind of policy, in words. The resource of these questions is a key.
func policyName(kind string) speech.Text {
	name := strings.ToLower(strings.ReplaceAll(kind, "_", " "))
	switch name {
	case "identity based policy":
		name = "identity policy"
	case "resource based policy":
		name = "key policy"
	}
	return speech.Written(name)
}

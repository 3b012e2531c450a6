package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz/explain"
	"github.com/kagimori/kagimori/internal/speech"
	"github.com/kagimori/kagimori/internal/wire/client"
)

// explainFlags are the flags of explain.
type explainFlags struct {
	clientFlags
	format, lang, patched string
	all                   bool
}

const explainLong = `explain prints the decisions behind a request, named by its authorization id (the id of the request, which a denial
carries), or behind what became of an instance, a volume or a scaling activity. For each layer it tells which statement
matched, which nearly matched and the condition that failed, what would have to change, and the fixes: "least" opens the
least, "documented" is what AWS's page gives. Each fix was proven by deciding again, and says what else it opens and who
must make it.

The word activity, instance, volume or request before the id tells what it is the id of. Without it the id of an activity
is tried as that of a request first.

Evidence belongs to the account that owns the document: of other accounts' policies only the layer is told.

Exit codes: 0 it is explained, 1 there is nothing to explain or no such policy to print, 2 the question cannot be asked.` + clientNote

const explainExample = `  kagimori explain i-0123456789abcdef0
  kagimori explain activity 0f3c1d52-7f6e-4b6f-8f0a-5d9e1c2b3a47
  kagimori explain 4c8a0b7e-3d58-4b0c-9a56-0d2b6f2f6e11 --format tree
  kagimori explain i-0123456789abcdef0 --lang ja
  kagimori explain i-0123456789abcdef0 --patched documented > policy.json
  aws kms put-key-policy --key-id KEY --policy file://policy.json`

func newExplain(io stdio) *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{
		Use: "explain [KIND] AUTHORIZATION-ID|RESOURCE-ID", Short: "Tell why a request was denied, and what would allow it",
		Long: explainLong, Example: explainExample, Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd.Context(), io, args[:len(args)-1], args[len(args)-1])
		},
	}
	f.register(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.format, "format", "text", "`form` of the answer: text, tree or json")
	addLanguage(fl, &f.lang)
	fl.BoolVar(&f.all, "all", false, "tell of decisions that allowed as fully as of the others")
	fl.StringVar(&f.patched, "patched", "", "print only the key policy with the changes of a `set` of fixes: correct, narrow, least or documented")
	completeWords(cmd, "format", "text", "tree", "json")
	completeWords(cmd, "lang", "en", "ja")
	completeWords(cmd, "patched", explain.Corrected, explain.Narrowed, explain.Least, explain.Documented)
	return cmd
}

// explainKinds are the words that tell what an id is the id of.
var explainKinds = []string{"request", "activity", "instance", "volume"}

// run explains an id. kind has the word before it, if there is one.
func (f *explainFlags) run(ctx context.Context, io stdio, kind []string, id string) error {
	if len(kind) > 0 && !slices.Contains(explainKinds, kind[0]) {
		return fmt.Errorf("%q is none of %s", kind[0], strings.Join(explainKinds, ", "))
	}
	if !slices.Contains([]string{"text", "tree", "json"}, f.format) {
		return fmt.Errorf("--format %q is none of text, tree and json", f.format)
	}
	lang, err := language(f.lang)
	if err != nil {
		return err
	}
	c, err := f.client("")
	if err != nil {
		return err
	}
	var all []kagimoriapi.Authorization
	switch {
	case len(kind) == 0:
		all, err = askWhy(ctx, c, id, lang)
	case kind[0] == "request":
		all, err = whyRequest(ctx, c, id, lang)
	default:
		all, err = whyResource(ctx, c, id, lang)
	}
	if err != nil {
		return failed(err)
	}
	if f.patched != "" {
		text, err := patchedPolicy(all, f.patched)
		if err == nil {
			_, err = fmt.Fprintln(io.out, text)
		}
		return failed(err)
	}
	var out string
	switch f.format {
	case "json":
		if out, err = plainJSON(map[string]any{"Authorizations": all}); err != nil {
			return failed(err)
		}
	case "tree":
		out = explainTree(all, f.all, lang)
	default:
		out = explainText(all, f.all, lang)
	}
	_, err = fmt.Fprint(io.out, out)
	return failed(err)
}

// askWhy takes an id for that of a request, unless it has the form of one of EC2's ids, and then
// for that of a resource: scaling activities have ids like requests.
func askWhy(ctx context.Context, c *client.Client, id string, lang speech.Language) ([]kagimoriapi.Authorization, error) {
	kind, _, _ := strings.Cut(id, "-")
	if !slices.Contains([]string{"i", "vol", "snap", "ami"}, kind) {
		all, err := whyRequest(ctx, c, id, lang)
		if code := apierr.Code(err); code != "ResourceNotFoundException" && code != "ValidationException" {
			return all, err
		}
	}
	return whyResource(ctx, c, id, lang)
}

// whyRequest asks for the decisions of a request.
func whyRequest(ctx context.Context, c *client.Client, id string, lang speech.Language) ([]kagimoriapi.Authorization, error) {
	var out kagimoriapi.GetAuthorizationDetailsResponse
	err := c.Do(ctx, "GetAuthorizationDetails", &kagimoriapi.GetAuthorizationDetailsRequest{AuthorizationId: &id, Language: new(lang.String())}, &out)
	return out.Authorizations, err
}

// whyResource asks for the decisions behind what became of a resource.
func whyResource(ctx context.Context, c *client.Client, id string, lang speech.Language) ([]kagimoriapi.Authorization, error) {
	var out kagimoriapi.ExplainResourceResponse
	err := c.Do(ctx, "ExplainResource", &kagimoriapi.ExplainResourceRequest{ResourceId: &id, Language: new(lang.String())}, &out)
	if apierr.Code(err) == "ResourceNotFoundException" {
		return nil, fmt.Errorf("nothing is kept of %s that this account may see", id)
	}
	return out.Authorizations, err
}

// patchedPolicy is the key policy with the changes of a set.
func patchedPolicy(all []kagimoriapi.Authorization, name string) (string, error) {
	for _, a := range all {
		for _, e := range a.Evaluations {
			patched, theirs := "", false
			for _, f := range e.Fixes {
				if api.Val(f.Name) == name && strings.HasPrefix(api.Val(f.Target), "arn:"+arn.Partition+":kms:") {
					patched, theirs = api.Val(f.Patched), true
				}
			}
			if patched != "" {
				return patched, nil
			}
			if theirs {
				return "", fmt.Errorf("the policy is another account's, or has changed since: the changes of the fix %q can be made by hand", name)
			}
		}
	}
	return "", fmt.Errorf("no set of fixes %q changes a key policy", name)
}

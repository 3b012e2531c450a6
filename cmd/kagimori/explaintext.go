package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/authz/explain"
)

// heading names a request.
func heading(a *kagimoriapi.Authorization) string {
	s := api.Val(a.EventSource) + " " + api.Val(a.EventName)
	if who := api.Val(a.Principal); who != "" {
		s += " by " + who
	}
	if a.EventTime != nil {
		s += " at " + a.EventTime.UTC().Format(time.RFC3339)
	}
	if code := api.Val(a.ErrorCode); code != "" {
		return s + ": " + code
	}
	return s
}

// untold is the message of a request that failed for something else than a decision.
func untold(a *kagimoriapi.Authorization) string {
	for i := range a.Evaluations {
		if interesting(&a.Evaluations[i], false) {
			return ""
		}
	}
	return api.Val(a.ErrorMessage)
}

// interesting reports whether an evaluation is told in full.
func interesting(e *kagimoriapi.Evaluation, all bool) bool {
	return all || api.Val(e.EvaluatedEffect) != kagimoriapi.EffectTypeALLOW
}

// stored is the volume or snapshot that a request to KMS was for: EBS names it in the encryption
// context, which only the caller's account is shown. Source: EBS User Guide, "How Amazon EBS
// encryption works".
func stored(e *kagimoriapi.Evaluation) string {
	id := e.Context["kms:encryptioncontext:aws:ebs:id"]
	switch {
	case strings.HasPrefix(id, "vol-"):
		return "volume " + id
	case strings.HasPrefix(id, "snap-"):
		return "snapshot " + id
	}
	return ""
}

// explainText tells the decisions in sentences.
func explainText(all []kagimoriapi.Authorization, full bool) string {
	var b strings.Builder
	for i := range all {
		fmt.Fprintln(&b, heading(&all[i]))
		if text := untold(&all[i]); text != "" {
			fmt.Fprintf(&b, "  %s\n", text)
		}
		for j := range all[i].Evaluations {
			e := &all[i].Evaluations[j]
			if !interesting(e, full) {
				fmt.Fprintf(&b, "  %s on %s: allowed\n", api.Val(e.Action), api.Val(e.Resource))
				continue
			}
			for _, line := range e.Explanation {
				fmt.Fprintf(&b, "  %s\n", line)
			}
			if what := stored(e); what != "" {
				fmt.Fprintf(&b, "  For: %s\n", what)
			}
			for _, set := range sets(e.Fixes) {
				fmt.Fprintf(&b, "\n  %s\n", setTitle(set))
				for _, f := range set {
					writeFix(&b, &f)
				}
			}
		}
		fmt.Fprintln(&b)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func writeFix(b *strings.Builder, f *kagimoriapi.Fix) {
	fmt.Fprintf(b, "  - %s\n", api.Val(f.Summary))
	for _, block := range []string{api.Val(f.Document), api.Val(f.Command)} {
		if block != "" {
			fmt.Fprintf(b, "      %s\n", strings.ReplaceAll(block, "\n", "\n      "))
		}
	}
	if f.Run != nil {
		fmt.Fprintf(b, "    Who: %s\n", *f.Run)
	}
	for _, o := range f.Opens {
		fmt.Fprintf(b, "    Opens: %s\n", o)
	}
}

// sets are the fixes by set, in order.
func sets(fixes []kagimoriapi.Fix) [][]kagimoriapi.Fix {
	var out [][]kagimoriapi.Fix
	for _, f := range fixes {
		i := slices.IndexFunc(out, func(s []kagimoriapi.Fix) bool { return api.Val(s[0].Set) == api.Val(f.Set) })
		if i < 0 {
			out = append(out, nil)
			i = len(out) - 1
		}
		out[i] = append(out[i], f)
	}
	return out
}

func setTitle(set []kagimoriapi.Fix) string {
	switch api.Val(set[0].Name) {
	case explain.Least:
		return "Fix \"least\", which opens the least:"
	case explain.Documented:
		return "Fix \"documented\", as AWS's page gives it:"
	case explain.Corrected:
		return "Fix \"correct\", which puts right what is there:"
	case explain.Narrowed:
		return "Fix \"narrow\", which excepts it from the deny:"
	}
	return "Another way:"
}

// explainTree draws the decisions: requests, evaluations, layers, statements, conditions, fixes.
func explainTree(all []kagimoriapi.Authorization, full bool) string {
	var b strings.Builder
	for i := range all {
		root := explain.Node{Text: heading(&all[i])}
		if text := untold(&all[i]); text != "" {
			root.Children = append(root.Children, explain.Node{Text: text})
		}
		for j := range all[i].Evaluations {
			root.Children = append(root.Children, evaluationNode(&all[i].Evaluations[j], full))
		}
		for _, line := range root.Lines() {
			fmt.Fprintln(&b, line)
		}
	}
	return b.String()
}

var effects = map[string]string{
	kagimoriapi.EffectTypeALLOW: "allowed", kagimoriapi.EffectTypeEXPLICIT_DENY: "denied, a statement says so",
	kagimoriapi.EffectTypeIMPLICIT_DENY: "denied, an allow is missing", kagimoriapi.EffectTypeUNDETERMINED: "undetermined",
}

var layerStates = map[string]string{
	kagimoriapi.LayerStateTypeALLOWS: "allows", kagimoriapi.LayerStateTypeDENIES: "denies",
	kagimoriapi.LayerStateTypeDELEGATES: "leaves it to the account's identity policies",
	kagimoriapi.LayerStateTypeNEEDED:    "no allow, and one is needed", kagimoriapi.LayerStateTypeSILENT: "no allow",
}

func evaluationNode(e *kagimoriapi.Evaluation, full bool) explain.Node {
	n := explain.Node{Text: api.Val(e.Action) + " on " + api.Val(e.Resource) + ": " + effects[api.Val(e.EvaluatedEffect)]}
	if !interesting(e, full) {
		return n
	}
	if what := stored(e); what != "" {
		n.Children = append(n.Children, explain.Node{Text: "for: " + what})
	}
	for _, l := range e.Layers {
		layer := explain.Node{Text: api.Val(l.Name) + ": " + layerStates[api.Val(l.State)]}
		for _, st := range l.Statements {
			layer.Children = append(layer.Children, statementNode(&st))
		}
		if l.Change != nil {
			layer.Children = append(layer.Children, explain.Node{Text: "to change: " + *l.Change})
		}
		n.Children = append(n.Children, layer)
	}
	for _, note := range e.Notes {
		n.Children = append(n.Children, explain.Node{Text: note})
	}
	for _, set := range sets(e.Fixes) {
		node := explain.Node{Text: setTitle(set)}
		for _, f := range set {
			node.Children = append(node.Children, fixNode(&f))
		}
		n.Children = append(n.Children, node)
	}
	return n
}

func statementNode(st *kagimoriapi.LayerStatement) explain.Node {
	n := explain.Node{Text: api.Val(st.Explanation)}
	if st.Line != nil {
		n.Text += fmt.Sprintf(" [line %d, column %d]", *st.Line, api.Val(st.Column))
	}
	if c := st.Condition; c != nil {
		actual := "not in the request"
		switch {
		case api.Val(c.Hidden):
			actual = "not shown to this account, or not known"
		case api.Val(c.Present):
			actual = strings.Join(c.Actual, ", ")
		}
		n.Children = []explain.Node{
			{Text: "expected: " + strings.TrimSpace(api.Val(c.Operator)+" "+api.Val(c.Key)) + " " + strings.Join(c.Expected, ", ")},
			{Text: "actual:   " + actual},
		}
	}
	return n
}

func fixNode(f *kagimoriapi.Fix) explain.Node {
	n := explain.Node{Text: api.Val(f.Summary)}
	for _, text := range []string{api.Val(f.Document), api.Val(f.Command)} {
		if text != "" {
			n.Children = append(n.Children, explain.Node{Text: text})
		}
	}
	if f.Run != nil {
		n.Children = append(n.Children, explain.Node{Text: "who: " + *f.Run})
	}
	for _, o := range f.Opens {
		n.Children = append(n.Children, explain.Node{Text: "opens: " + o})
	}
	return n
}

// plainJSON is an answer of the API as indented JSON, without members that are absent.
func plainJSON(v any) (string, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	var plain any
	if err := json.Unmarshal(data, &plain); err != nil {
		return "", err
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err = enc.Encode(withoutNulls(plain))
	return b.String(), err
}

func withoutNulls(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, m := range v {
			if m == nil {
				delete(v, k)
			} else {
				v[k] = withoutNulls(m)
			}
		}
	case []any:
		for i := range v {
			v[i] = withoutNulls(v[i])
		}
	}
	return v
}

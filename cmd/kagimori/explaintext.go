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
	"github.com/kagimori/kagimori/internal/kagimori"
	"github.com/kagimori/kagimori/internal/speech"
)

// heading names a request.
func heading(a *kagimoriapi.Authorization) speech.Text {
	s := speech.Raw(api.Val(a.EventSource) + " " + api.Val(a.EventName))
	if who := api.Val(a.Principal); who != "" {
		s = speech.Say("%s by %s", s, who)
	}
	if a.EventTime != nil {
		s = speech.Say("%s at %s", s, a.EventTime.UTC().Format(time.RFC3339))
	}
	if code := api.Val(a.ErrorCode); code != "" {
		return speech.Join(s, speech.Raw(": "+code))
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
func stored(e *kagimoriapi.Evaluation) speech.Text {
	id := e.Context["kms:encryptioncontext:aws:ebs:id"]
	switch {
	case strings.HasPrefix(id, "vol-"):
		return speech.Say("volume %s", id)
	case strings.HasPrefix(id, "snap-"):
		return speech.Say("snapshot %s", id)
	}
	return speech.Text{}
}

// explainText tells the decisions in sentences.
func explainText(all []kagimoriapi.Authorization, full bool, in speech.Language) string {
	var b strings.Builder
	for i := range all {
		fmt.Fprintln(&b, heading(&all[i]).In(in))
		if text := untold(&all[i]); text != "" {
			fmt.Fprintf(&b, "  %s\n", text)
		}
		for j := range all[i].Evaluations {
			e := &all[i].Evaluations[j]
			if !interesting(e, full) {
				fmt.Fprintf(&b, "  %s\n", decided(e).In(in))
				continue
			}
			for _, line := range e.Explanation {
				fmt.Fprintf(&b, "  %s\n", line)
			}
			if what := stored(e); !what.Empty() {
				fmt.Fprintf(&b, "  %s\n", speech.Say("For: %s", what).In(in))
			}
			for _, set := range sets(e.Fixes) {
				fmt.Fprintf(&b, "\n  %s\n", setTitle(set).In(in))
				for _, f := range set {
					writeFix(&b, &f, in)
				}
			}
		}
		fmt.Fprintln(&b)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func writeFix(b *strings.Builder, f *kagimoriapi.Fix, in speech.Language) {
	fmt.Fprintf(b, "  - %s\n", api.Val(f.Summary))
	for _, block := range []string{api.Val(f.Document), api.Val(f.Command)} {
		if block != "" {
			fmt.Fprintf(b, "      %s\n", strings.ReplaceAll(block, "\n", "\n      "))
		}
	}
	if f.Run != nil {
		fmt.Fprintf(b, "    %s\n", speech.Say("%s: %s", speech.Say("Who"), *f.Run).In(in))
	}
	for _, o := range f.Opens {
		fmt.Fprintf(b, "    %s\n", speech.Say("Opens: %s", o).In(in))
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

func setTitle(set []kagimoriapi.Fix) speech.Text {
	switch name := api.Val(set[0].Name); name {
	case explain.Least:
		return speech.Say("Fix \"%s\", which opens the least:", name)
	case explain.Documented:
		return speech.Say("Fix \"%s\", as AWS's page gives it:", name)
	case explain.Corrected:
		return speech.Say("Fix \"%s\", which puts right what is there:", name)
	case explain.Narrowed:
		return speech.Say("Fix \"%s\", which excepts it from the deny:", name)
	}
	return speech.Say("Another way:")
}

// explainTree draws the decisions: requests, evaluations, layers, statements, conditions, fixes.
func explainTree(all []kagimoriapi.Authorization, full bool, in speech.Language) string {
	var b strings.Builder
	for i := range all {
		root := explain.Node{Text: heading(&all[i]).In(in)}
		if text := untold(&all[i]); text != "" {
			root.Children = append(root.Children, explain.Node{Text: text})
		}
		for j := range all[i].Evaluations {
			root.Children = append(root.Children, evaluationNode(&all[i].Evaluations[j], full, in))
		}
		for _, line := range root.Lines() {
			fmt.Fprintln(&b, line)
		}
	}
	return b.String()
}

// decided is what was asked, and what came of it.
func decided(e *kagimoriapi.Evaluation) speech.Text {
	return speech.Say("%s: %s", speech.Say("%s on %s", api.Val(e.Action), api.Val(e.Resource)), kagimori.Outcome(api.Val(e.EvaluatedEffect)))
}

func evaluationNode(e *kagimoriapi.Evaluation, full bool, in speech.Language) explain.Node {
	n := explain.Node{Text: decided(e).In(in)}
	if !interesting(e, full) {
		return n
	}
	if what := stored(e); !what.Empty() {
		n.Children = append(n.Children, explain.Node{Text: speech.Say("for: %s", what).In(in)})
	}
	for _, l := range e.Layers {
		layer := explain.Node{Text: speech.Say("%s: %s", api.Val(l.Name), explain.State(strings.ToLower(api.Val(l.State))).Words()).In(in)}
		for _, st := range l.Statements {
			layer.Children = append(layer.Children, statementNode(&st, in))
		}
		if l.Change != nil {
			layer.Children = append(layer.Children, explain.Node{Text: speech.Say("to change: %s", *l.Change).In(in)})
		}
		n.Children = append(n.Children, layer)
	}
	for _, note := range e.Notes {
		n.Children = append(n.Children, explain.Node{Text: note})
	}
	for _, set := range sets(e.Fixes) {
		node := explain.Node{Text: setTitle(set).In(in)}
		for _, f := range set {
			node.Children = append(node.Children, fixNode(&f, in))
		}
		n.Children = append(n.Children, node)
	}
	return n
}

func statementNode(st *kagimoriapi.LayerStatement, in speech.Language) explain.Node {
	n := explain.Node{Text: api.Val(st.Explanation)}
	if st.Line != nil {
		n.Text += speech.Say(" [line %d, column %d]", *st.Line, api.Val(st.Column)).In(in)
	}
	if c := st.Condition; c != nil {
		actual := speech.Say("not in the request")
		switch {
		case api.Val(c.Hidden):
			actual = speech.Say("not shown to this account, or not known")
		case api.Val(c.Present):
			actual = speech.Raw(strings.Join(c.Actual, ", "))
		}
		expected := strings.TrimSpace(api.Val(c.Operator)+" "+api.Val(c.Key)) + " " + strings.Join(c.Expected, ", ")
		n.Children = []explain.Node{
			{Text: speech.Say("expected: %s", expected).In(in)}, {Text: speech.Say("actual:   %s", actual).In(in)},
		}
	}
	return n
}

func fixNode(f *kagimoriapi.Fix, in speech.Language) explain.Node {
	n := explain.Node{Text: api.Val(f.Summary)}
	for _, text := range []string{api.Val(f.Document), api.Val(f.Command)} {
		if text != "" {
			n.Children = append(n.Children, explain.Node{Text: text})
		}
	}
	if f.Run != nil {
		n.Children = append(n.Children, explain.Node{Text: speech.Say("%s: %s", speech.Say("who"), *f.Run).In(in)})
	}
	for _, o := range f.Opens {
		n.Children = append(n.Children, explain.Node{Text: speech.Say("opens: %s", o).In(in)})
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

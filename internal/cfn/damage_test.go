package cfn_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/kagimori/kagimori/internal/cfn"
	"github.com/kagimori/kagimori/internal/doctor"
)

// damage changes a value of a template in one place.
func damage(rnd *rand.Rand, n *yaml.Node, depth int) {
	if len(n.Content) > 0 && (depth < 3 || rnd.IntN(5) > 0) {
		i := rnd.IntN(len(n.Content))
		if n.Kind == yaml.MappingNode {
			i |= 1 // a value, not a name
		}
		damage(rnd, n.Content[i], depth+1)
		return
	}
	scalar := func(tag, v string) *yaml.Node {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: v, Style: yaml.TaggedStyle}
	}
	was := *n
	was.Anchor = ""
	choices := []*yaml.Node{
		scalar("!!null", ""), scalar("!!bool", "true"), scalar("!!str", ""), scalar("!!int", "7"), scalar("!!str", "arn:aws:kms:us-west-2:111122223333:alias/x"),
		scalar("!Ref", "Key"), scalar("!Ref", "AWS::NoValue"), scalar("!Ref", "Missing"), scalar("!Sub", "x-${Template}-${Missing}"), scalar("!GetAtt", "Template.Arn"),
		{Kind: yaml.SequenceNode, Tag: "!!seq", Content: []*yaml.Node{&was, &was}}, {Kind: yaml.MappingNode, Tag: "!!map"}, {Kind: yaml.SequenceNode, Tag: "!!seq"},
		{Kind: yaml.MappingNode, Tag: "!!map", Content: []*yaml.Node{scalar("!!str", "Fn::If"), {Kind: yaml.SequenceNode, Tag: "!!seq", Content: []*yaml.Node{scalar("!!str", "Yes"), &was, scalar("!Ref", "Missing")}}}},
	}
	*n = *choices[rnd.IntN(len(choices))]
}

// Whatever a template says in the place of what it should, it is refused, or every launch is a
// scenario that the doctor can judge.
func TestDamagedTemplates(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	check(t, err)
	more, err := filepath.Glob("testdata/*/*.*")
	check(t, err)
	read := 0
	for n, name := range append(files, more...) {
		data, err := os.ReadFile(name)
		check(t, err)
		rnd := rand.New(rand.NewPCG(1, uint64(n)))
		for range 30 {
			var doc yaml.Node
			check(t, yaml.Unmarshal(data, &doc))
			for range 1 + rnd.IntN(5) {
				damage(rnd, doc.Content[0], 0)
			}
			damaged, err := yaml.Marshal(&doc)
			if err != nil {
				continue // an alias without its anchor
			}
			r, err := cfn.Read([]cfn.File{{Name: "test.yaml", Data: damaged}}, cfn.Options{PlainImages: rnd.IntN(2) == 0})
			if err != nil {
				if _, ok := errors.AsType[*cfn.Error](err); !ok {
					t.Fatalf("the error is %v", err)
				}
				continue
			}
			read++
			for i := range r.Launches {
				sound(t, r, &r.Launches[i])
				doctor.Check(r.Launches[i].Scenario)
			}
			if t.Failed() {
				t.Fatalf("%s damaged to\n%s", name, damaged)
			}
		}
	}
	if read < 200 {
		t.Errorf("only %d damaged templates were read", read)
	}
}

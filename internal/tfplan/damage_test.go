package tfplan_test

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/kagimori/kagimori/internal/doctor"
	"github.com/kagimori/kagimori/internal/tfplan"
)

// damage changes a JSON value in one place, below the first levels.
func damage(rnd *rand.Rand, v any, depth int) any {
	if depth > 2 && rnd.IntN(6) == 0 {
		switch rnd.IntN(8) {
		case 0:
			return nil
		case 1:
			return true
		case 2:
			return "arn:aws:kms:us-west-2:111122223333:alias/x"
		case 3:
			return []any{v, v}
		case 4:
			return map[string]any{"references": []any{"each.value", "module.key", "var.name.x", "local.x", "data.x"}}
		case 5:
			return 7.5
		case 6:
			return ""
		default:
			return map[string]any{}
		}
	}
	switch v := v.(type) {
	case map[string]any:
		if names := slices.Sorted(maps.Keys(v)); len(names) > 0 {
			name := names[rnd.IntN(len(names))]
			v[name] = damage(rnd, v[name], depth+1)
		}
	case []any:
		if len(v) > 0 {
			i := rnd.IntN(len(v))
			v[i] = damage(rnd, v[i], depth+1)
		}
	}
	return v
}

// Whatever a file says in the place of what Terraform would, it is refused, or every launch is a
// scenario that the doctor can judge.
func TestDamagedPlans(t *testing.T) {
	files, err := filepath.Glob("testdata/*/*.json")
	check(t, err)
	read := 0
	for n, file := range files {
		data, err := os.ReadFile(file)
		check(t, err)
		rnd := rand.New(rand.NewPCG(1, uint64(n)))
		for range 30 {
			var v any
			check(t, json.Unmarshal(data, &v))
			for range 1 + rnd.IntN(8) {
				v = damage(rnd, v, 0)
			}
			damaged, err := json.Marshal(v)
			check(t, err)
			p, err := tfplan.Read(damaged, tfplan.Options{Strict: rnd.IntN(2) == 0, PlainImages: rnd.IntN(2) == 0})
			if err != nil {
				continue
			}
			read++
			for i := range p.Launches {
				sound(t, &p.Launches[i])
				doctor.Check(p.Launches[i].Scenario)
			}
			if t.Failed() {
				t.Fatalf("%s damaged to\n%s", file, damaged)
			}
		}
	}
	if read < 300 {
		t.Errorf("only %d damaged plans were read", read)
	}
}

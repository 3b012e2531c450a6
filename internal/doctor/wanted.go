package doctor

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/scenario/format"
)

// silent is a key policy that says nothing of a launch.
func silent(k *format.Key) format.Value {
	return format.Value(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + arn.Root(k.Account) + `"},"Action":"kms:GetKeyPolicy","Resource":"*"}]}`)
}

// unreadable are the places of what only a key's own account can tell: all of the key, and what its
// organization denies.
var unreadable = regexp.MustCompile(`^/(keys/[0-9]+|accounts/[0-9]+/(scps|rcps))(/|$)`)

// wanted is what key policies and grants that nobody could read would have to contain: the fix of the
// same launch on keys whose policies say nothing, with how that launch ends. nil if nothing hangs on
// such a key.
func (d *Doctor) wanted(sc *format.Scenario) (*Fix, *outcome) {
	var edits []format.Edit
	keys := false
	for _, path := range slices.Sorted(maps.Keys(sc.Unknown)) {
		if !unreadable.MatchString(path) {
			continue
		}
		edits = append(edits, format.Edit{Op: "remove", Path: "/unknown/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(path)})
	}
	for i := range sc.Keys {
		path := "/keys/" + itoa(i)
		for _, whole := range []string{path, path + "/policy"} {
			if _, unknown := sc.Unknown[whole]; unknown {
				keys = true
				edits = append(edits, format.Edit{Op: "replace", Path: path + "/policy", Value: silent(&sc.Keys[i])})
				break
			}
		}
	}
	if !keys {
		return nil, nil
	}
	bare, err := sc.Patched(edits)
	if err != nil {
		return nil, nil
	}
	if o := run(bare, d.docs); o.verdict() == Fails {
		return o.fix(), o
	}
	return nil, nil
}

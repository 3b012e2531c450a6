package kagimori

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/authz/explain"
	"github.com/kagimori/kagimori/internal/jsonedit"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/speech"
	"github.com/kagimori/kagimori/internal/store"
)

// texts finds the text of a policy by the name of its document; ok is false if it has none here.
type texts func(document string) (text []byte, ok bool)

// texts are the policies of keys as a transaction sees them. A key that cannot be read has none.
func (s *Service) texts(tx store.Tx) texts {
	return func(document string) ([]byte, bool) {
		part, ok, err := s.keys.Key(tx, document)
		if err != nil || !ok || part.Policy == nil || part.Policy.Source == nil {
			return nil, false
		}
		return part.Policy.Source.Source, true
	}
}

// fixesOf are the fixes of one part. The owner of a policy gets it with the statements of the set
// added, as long as it is the one that the fix was found for.
func fixesOf(fixes []explain.Fix, part int, to reader, text texts) []kagimoriapi.Fix {
	var out []kagimoriapi.Fix
	type document struct {
		set  int
		name string
	}
	patched := map[document][]byte{}
	for _, f := range fixes {
		if f.Part != part {
			continue
		}
		fix := kagimoriapi.Fix{
			Kind: &f.Kind, Summary: new(f.Summary.In(to.language)), Document: api.Opt(f.Document), Command: api.Opt(f.Command), Name: api.Opt(f.Name),
			Set: new(int32(f.Set)), Owner: api.Opt(f.Owner), Opens: speech.All(to.language, f.Opens), Run: api.Opt(f.Run.In(to.language)), Target: api.Opt(f.Target),
		}
		if f.Digest != "" && f.Owner == to.account && f.Document != "" {
			doc := document{f.Set, f.Target}
			if _, begun := patched[doc]; !begun {
				patched[doc] = current(&f, text)
			}
			if src, ok := applied(patched[doc], &f); ok {
				patched[doc] = src
				fix.Patched = new(string(src))
			}
		}
		out = append(out, fix)
	}
	return out
}

// applied is a policy with a fix made: a statement changed, or one more added.
func applied(src []byte, f *explain.Fix) (_ []byte, ok bool) {
	if len(f.Edits) == 0 {
		return policy.AppendStatements(src, []byte(f.Document))
	}
	for _, e := range f.Edits {
		var err error
		if src, err = jsonedit.Apply(src, e.Op, e.Path, e.Value); err != nil {
			return nil, false
		}
	}
	return src, true
}

// current is the text that a fix is for, or nil if it has changed.
func current(f *explain.Fix, text texts) []byte {
	src, ok := text(f.Target)
	if sum := sha256.Sum256(src); !ok || hex.EncodeToString(sum[:]) != f.Digest {
		return nil
	}
	return src
}

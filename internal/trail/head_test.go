package trail_test

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/kagimori/kagimori/internal/trail"
)

// The heads of lines are read as encoding/json reads them, of damaged lines too.
func TestHeadsAreEncodingJSONs(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	heads := trail.Heads()
	read := 0
	for range 2000 {
		var rec trail.Record
		filled(r, reflect.ValueOf(&rec).Elem(), r.Float64())
		rec.AdditionalEventData = nil
		line, err := rec.AppendJSON(nil)
		if err != nil {
			t.Fatal(err)
		}
		for damage := range 4 {
			damaged := bytes.Clone(line)
			for range damage {
				const marks = `{}[]",:0 \`
				damaged[r.IntN(len(damaged))] = marks[r.IntN(len(marks))]
			}
			fast, slow := heads(damaged)
			if !reflect.DeepEqual(fast, slow) {
				t.Fatalf("%s\n%+v\n%+v", damaged, fast, slow)
			}
			if fast != nil {
				read++
			}
		}
	}
	if read < 2000 {
		t.Errorf("only %d were read", read)
	}
}

package trail_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/trail"
)

// filled sets a value at random: the more members, the higher some.
func filled(r *rand.Rand, v reflect.Value, some float64) {
	texts := []string{"", "plain", `a"b\c<&>`, "é\u2028\x01\t\x7f", "bad \xff", "\n"}
	raws := []string{`{"a":[1,2,"x"]}`, "null", `"t"`, " {\n \"b\" : true } "}
	switch v.Type() {
	case reflect.TypeFor[time.Time]():
		at := time.Unix(r.Int64N(1<<32), r.Int64N(2)*r.Int64N(1e9)).UTC()
		if r.IntN(4) == 0 {
			at = at.In(time.FixedZone("", 3600))
		}
		v.Set(reflect.ValueOf(at))
		return
	case reflect.TypeFor[json.RawMessage]():
		if r.Float64() < some {
			v.SetBytes([]byte(raws[r.IntN(len(raws))]))
		}
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(texts[r.IntN(len(texts))])
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int:
		v.SetInt(r.Int64N(100))
	case reflect.Uint64:
		v.SetUint(r.Uint64())
	case reflect.Pointer:
		if r.Float64() < some {
			v.Set(reflect.New(v.Type().Elem()))
			filled(r, v.Elem(), some)
		}
	case reflect.Struct:
		for _, field := range v.Fields() {
			filled(r, field, some)
		}
	case reflect.Slice:
		if r.Float64() < some {
			v.Set(reflect.MakeSlice(v.Type(), r.IntN(3), 3))
			for i := range v.Len() {
				filled(r, v.Index(i), some)
			}
		}
	case reflect.Map:
		if r.Float64() < some {
			v.Set(reflect.ValueOf(map[string]any{"k": 1, "<": "v"}))
		}
	}
}

func TestEncodeIsEncodingJSONs(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		var rec trail.Record
		filled(r, reflect.ValueOf(&rec).Elem(), r.Float64())
		rec.AdditionalEventData = nil
		if r.IntN(2) == 0 {
			rec.AdditionalEventData = trail.Extra{{"k", 1}, {"list", []string{"a"}}, {"text", "<é>"}}
		}
		var want bytes.Buffer
		enc := json.NewEncoder(&want)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(&rec); err != nil {
			t.Fatal(err)
		}
		got, err := rec.AppendJSON(nil)
		// Spaces in what was given as JSON may stay if it is on one line.
		var compact bytes.Buffer
		if err != nil || json.Compact(&compact, got) != nil || bytes.Contains(got, []byte("\n")) {
			t.Fatalf("%v: %s", err, got)
		}
		if compact.String()+"\n" != want.String() {
			t.Fatalf("got  %s\nwant %s", compact.String(), want.String())
		}
	}
	if _, err := (&trail.Record{RequestParameters: json.RawMessage("{")}).AppendJSON(nil); err == nil {
		t.Error("what is not JSON was written")
	}
}

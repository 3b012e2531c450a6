package wire_test

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/accessanalyzerapi"
	"github.com/kagimori/kagimori/internal/api/ebsapi"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/wire"
	"github.com/kagimori/kagimori/internal/wire/restjson"
)

func TestRESTMessagesSurviveTheWire(t *testing.T) {
	for _, svc := range []*api.Service{ebsapi.Service(), accessanalyzerapi.Service(), kagimoriapi.Service()} {
		c, err := restjson.New(svc)
		if err != nil {
			t.Fatal(err)
		}
		for name, op := range svc.Operations {
			t.Run(svc.Name+"/"+name, func(t *testing.T) {
				for seed := range uint64(20) {
					restRequest(t, c, op, seed)
					restAnswer(t, c, op, seed)
				}
			})
		}
	}
}

// settle makes of a random message one that the protocol can carry: labels that are there, no list
// without items outside the body, no payload without bytes.
func settle(t *testing.T, c *restjson.Codec, message any) {
	t.Helper()
	s, v, err := c.Table().Of(message)
	if err != nil {
		t.Fatal(err)
	}
	for i := range s.Fields {
		f := &s.Fields[i]
		fv := v.Field(f.Index)
		switch {
		case f.Place == wire.Label && f.Kind == wire.String:
			f.Make(fv).SetString("a/b c%2F鍵")
		case f.Place == wire.Label && f.Absent(fv):
			f.Make(fv)
		case f.Place != wire.Body && (f.Kind == wire.List || f.Kind == wire.Blob) && fv.Len() == 0:
			fv.SetZero()
		}
	}
}

func restRequest(t *testing.T, c *restjson.Codec, op *api.Operation, seed uint64) {
	t.Helper()
	in := op.NewInput()
	filler{r: rand.New(rand.NewPCG(seed, 3))}.structure(reflect.ValueOf(in).Elem(), 0)
	settle(t, c, in)
	r, err := c.EncodeRequest(op, in)
	if err != nil {
		t.Fatal(err)
	}
	found, labels := c.Route(r.Method, r.Path)
	if found != op {
		t.Fatalf("%s %s is not %s", r.Method, r.Path, op.Name)
	}
	got, err := c.DecodeRequest(op, labels, r)
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	if d := diffClear(in, got); d != "" {
		t.Fatalf("seed %d: request changed (-sent +received):\n%s\n%+v", seed, d, r)
	}
}

func restAnswer(t *testing.T, c *restjson.Codec, op *api.Operation, seed uint64) {
	t.Helper()
	if op.NewOutput == nil {
		if r, err := c.EncodeResponse(op, nil); err != nil || len(r.Body) != 0 {
			t.Fatalf("%s answers %+v, %v", op.Name, r, err)
		}
		return
	}
	want, got := op.NewOutput(), op.NewOutput()
	filler{r: rand.New(rand.NewPCG(seed, 4))}.structure(reflect.ValueOf(want).Elem(), 0)
	settle(t, c, want)
	r, err := c.EncodeResponse(op, want)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.DecodeResponse(op, r, got); err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	if d := diffClear(want, got); d != "" {
		t.Fatalf("seed %d: answer changed (-sent +received):\n%s\n%+v", seed, d, r)
	}
}

package awsquery_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/secret"
)

// The models of our services have no maps, flattened lists or blobs in the query protocol today;
// these types have what another service could bring.
type synthetic struct {
	Map     map[string]string `aws:"Map"`
	Numbers map[string]int32  `aws:"Numbers,flat,key=K,val=V"`
	Things  map[string]thing  `aws:"Things,key=Name,val=Thing"`
	Flat    []string          `aws:"Flat,flat"`
	Named   []int64           `aws:"Named,item=Number"`
	Blob    []byte            `aws:"Blob"`
	Hidden  secret.Bytes      `aws:"Hidden"`
	Seconds *time.Time        `aws:"Seconds,ts=unixTimestamp"`
	Renamed *string           `aws:"Renamed,x=Other"`
	Self    *synthetic        `aws:"Self"`
	Bounded map[string]string `aws:"Bounded,k=Key,v=Value"`
}

type thing struct {
	Size *int64 `aws:"Size"`
}

func syntheticService() *api.Service {
	return &api.Service{
		Name: "synthetic", Protocol: api.Query, Version: "1", Namespace: "urn:x",
		Operations: map[string]*api.Operation{
			"Op": {Name: "Op", NewInput: func() any { return new(synthetic) }, NewOutput: func() any { return new(synthetic) }, ResultWrapper: "OpResult"},
		},
		Constraints: map[string]*api.Constraint{"Key": {Max: new(int64(3))}, "Value": {Pattern: "[a-z]*"}},
	}
}

func TestShapesWithoutAService(t *testing.T) {
	svc := syntheticService()
	c, op := codec(t, svc), svc.Operations["Op"]
	full := &synthetic{
		Map: map[string]string{"a": "1", "": "x.y"}, Numbers: map[string]int32{"n": -1, "m": 2},
		Things: map[string]thing{"t": {Size: new(int64(1 << 40))}}, Flat: []string{"x", ""}, Named: []int64{3, 2},
		Blob: []byte{0, 255}, Hidden: secret.Bytes("s"), Seconds: new(time.Unix(1700000000, 250_000_000).UTC()),
		Renamed: new("r"), Self: &synthetic{Flat: []string{"deep"}},
	}
	empty := &synthetic{Map: map[string]string{}, Named: []int64{}}
	for _, want := range []*synthetic{full, empty} {
		body, _, err := c.EncodeRequest(op, want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.DecodeRequest(op, body)
		if d := cmp.Diff(want, got); err != nil || d != "" {
			t.Errorf("request: %v\n%s\n%s", err, d, body)
		}
		answer, err := c.EncodeResponse(op, want, "r")
		if err != nil {
			t.Fatal(err)
		}
		out := new(synthetic)
		err = c.DecodeResponse(op, answer, out)
		if d := cmp.Diff(want, out); err != nil || d != "" {
			t.Errorf("answer: %v\n%s\n%s", err, d, answer)
		}
	}
}

func TestMapRequests(t *testing.T) {
	svc := syntheticService()
	for _, tt := range []struct{ body, want string }{
		{"Map.entry.2.key=b&Map.entry.2.value=2&Map.entry.1.key=a&Map.entry.1.value=1", ""},
		{"Numbers.1.K=a&Numbers.1.V=7", ""},
		{"Map.1.key=a&Map.1.value=b", "MalformedInput: The parameter Map does not have the form that its member needs."},
		{"Map.entry.1.key=a", "MalformedInput: The parameter Map.entry.1 does not have the form that its member needs."},
		{"Map.entry.1.value=a", "MalformedInput: The parameter Map.entry.1 does not have the form that its member needs."},
		{"Map.entry.1=a", "MalformedInput: The parameter Map.entry.1 does not have the form that its member needs."},
		{"Map.entry.1.key=a&Map.entry.1.value=b&Map.entry.1.other=c", "MalformedInput: The parameter Map.entry.1 does not have the form that its member needs."},
		{"Map.entry.1.key=a&Map.entry.1.value=b&Map.entry.2.key=a&Map.entry.2.value=c", "MalformedQueryString: The request gives a map key more than once."},
		{"Numbers.1.K=a&Numbers.1.V=x", "MalformedInput: The value 'x' of parameter Numbers.1.V is not an integer."},
		{"Blob=%21", "MalformedInput: The value of parameter Blob is not base64."},
		{"Hidden=%21", "MalformedInput: The value of parameter Hidden is not base64."},
		{"Seconds=now", "MalformedInput: The value 'now' of parameter Seconds is not a timestamp."},
		{"Seconds=1e300", "MalformedInput: The value '1e300' of parameter Seconds is not a timestamp."},
	} {
		_, err := decode(t, svc, "Op", tt.body)
		if got := errText(err); got != tt.want {
			t.Errorf("%s: got %s", tt.body, got)
		}
	}
}

func TestMapConstraints(t *testing.T) {
	c := codec(t, syntheticService())
	const one = "ValidationException: 1 validation error detected: Value at 'bounded' failed to satisfy constraint: "
	for _, tt := range []struct {
		in   map[string]string
		want string
	}{
		{map[string]string{"abc": "x"}, ""},
		{map[string]string{"abcd": "x"}, one + "Map keys must satisfy constraint: [Member must have length less than or equal to 3]"},
		{map[string]string{"abc": "X"}, one + "Map value must satisfy constraint: [Member must satisfy regular expression pattern: [a-z]*]"},
	} {
		if got := errText(c.Table().Validate(&synthetic{Bounded: tt.in})); got != tt.want {
			t.Errorf("got %s", got)
		}
	}
	if c.Table().Validate(42) == nil || c.Table().Validate((*synthetic)(nil)) == nil {
		t.Error("a value that is no structure was accepted")
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

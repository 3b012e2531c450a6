package wire_test

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/api/organizationsapi"
	"github.com/kagimori/kagimori/internal/api/stsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/wire"
	"github.com/kagimori/kagimori/internal/wire/awsjson"
	"github.com/kagimori/kagimori/internal/wire/awsquery"
	"github.com/kagimori/kagimori/internal/wire/ec2query"
)

// codec is what all protocols offer.
type codec interface {
	Table() *wire.Table
	DecodeRequest(op *api.Operation, body []byte) (any, error)
	EncodeResponse(op *api.Operation, out any, requestID string) ([]byte, error)
	EncodeError(f wire.Fault, requestID string) []byte
	EncodeRequest(op *api.Operation, in any) ([]byte, http.Header, error)
	DecodeResponse(op *api.Operation, body []byte, out any) error
	DecodeError(status int, body []byte) *apierr.Error
}

func services() []*api.Service {
	return []*api.Service{
		kmsapi.Service(), iamapi.Service(), stsapi.Service(), ec2api.Service(), autoscalingapi.Service(), organizationsapi.Service(),
	}
}

func newCodec(t testing.TB, svc *api.Service) codec {
	t.Helper()
	var (
		c   codec
		err error
	)
	switch svc.Protocol {
	case api.JSON11:
		c, err = awsjson.New(svc)
	case api.Query:
		c, err = awsquery.New(svc)
	case api.EC2:
		c, err = ec2query.New(svc)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// filler makes random values. Its texts hold what breaks naive codecs.
type filler struct {
	r     *rand.Rand
	full  bool // no structures without members: query parameters cannot carry them
	items bool // no empty lists: EC2's parameters cannot carry them
}

var texts = []string{
	"", " ", "plain", "a&b=c+d%20e", "<tag attr=\"x\">&amp;</tag>", "line\r\nbreak\ttab", `quote " and \ slash`,
	"鍵守 key 🔑", "]]>", "\u2028\u2029", "a.b.1.c", "null", "true",
}

func (f filler) value(v reflect.Value, depth int) {
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.UnixMilli(f.r.Int64N(4102444800000)).UTC()))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.value(v.Elem(), depth)
	case reflect.Struct:
		f.structure(v, depth)
	case reflect.String:
		v.SetString(texts[f.r.IntN(len(texts))])
	case reflect.Bool:
		v.SetBool(f.r.IntN(2) == 0)
	case reflect.Int32:
		v.SetInt(int64(int32(f.r.Uint32())))
	case reflect.Int64:
		v.SetInt(int64(f.r.Uint64()))
	case reflect.Float64:
		v.SetFloat(f.r.NormFloat64() * 1e3)
	case reflect.Slice:
		n := f.r.IntN(4)
		if f.items {
			n++
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			if v.Type().Elem().Kind() == reflect.Uint8 {
				v.Index(i).SetUint(uint64(f.r.UintN(256)))
			} else {
				f.value(v.Index(i), depth+1)
			}
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range f.r.IntN(4) {
			e := reflect.New(v.Type().Elem()).Elem()
			f.value(e, depth+1)
			v.SetMapIndex(reflect.ValueOf(texts[f.r.IntN(len(texts))]), e)
		}
	default:
		panic(fmt.Sprint("no value for ", v.Type()))
	}
}

func (f filler) structure(v reflect.Value, depth int) {
	for _, field := range v.Fields() {
		if f.r.IntN(2+depth) == 0 {
			f.value(field, depth+1)
		}
	}
	if f.full && v.NumField() > 0 && v.IsZero() {
		f.value(v.Field(f.r.IntN(v.NumField())), depth+1)
	}
}

func TestRequestsSurviveTheWire(t *testing.T) {
	for _, svc := range services() {
		c := newCodec(t, svc)
		for name, op := range svc.Operations {
			t.Run(svc.Name+"/"+name, func(t *testing.T) {
				for seed := range uint64(20) {
					f := filler{r: rand.New(rand.NewPCG(seed, 1)), full: svc.Protocol != api.JSON11, items: svc.Protocol == api.EC2}
					in := op.NewInput()
					f.structure(reflect.ValueOf(in).Elem(), 0)
					body, header, err := c.EncodeRequest(op, in)
					if err != nil {
						t.Fatal(err)
					}
					if header.Get("Content-Type") == "" {
						t.Fatal("no content type")
					}
					got, err := c.DecodeRequest(op, body)
					if err != nil {
						t.Fatalf("seed %d: %v\n%s", seed, err, body)
					}
					if diff := diffClear(in, got); diff != "" {
						t.Fatalf("seed %d: request changed (-sent +received):\n%s\n%s", seed, diff, body)
					}
				}
			})
		}
	}
}

func TestAnswersSurviveTheWire(t *testing.T) {
	for _, svc := range services() {
		c := newCodec(t, svc)
		for name, op := range svc.Operations {
			if op.NewOutput == nil {
				continue
			}
			t.Run(svc.Name+"/"+name, func(t *testing.T) {
				for seed := range uint64(20) {
					f := filler{r: rand.New(rand.NewPCG(seed, 2))}
					want := op.NewOutput()
					f.structure(reflect.ValueOf(want).Elem(), 0)
					body, err := c.EncodeResponse(op, want, "request-1")
					if err != nil {
						t.Fatal(err)
					}
					got := op.NewOutput()
					if err := c.DecodeResponse(op, body, got); err != nil {
						t.Fatalf("seed %d: %v\n%s", seed, err, body)
					}
					if svc.Protocol != api.JSON11 { // XML has an element for a list without items
						v := reflect.ValueOf(want).Elem()
						v.Set(wire.WithLists(op, v))
					}
					if diff := diffClear(want, got); diff != "" {
						t.Fatalf("seed %d: answer changed (-sent +received):\n%s\n%s", seed, diff, body)
					}
				}
			})
		}
	}
}

// diffClear compares values with their secrets; cmp would ask secret.Bytes for its Equal, which
// does not tell nil from empty.
func diffClear(x, y any) string {
	if reflect.DeepEqual(x, y) {
		return ""
	}
	if d := cmp.Diff(x, y); d != "" {
		return d
	}
	return fmt.Sprintf("differ in nil and empty: %#v %#v", x, y)
}

func TestErrorsSurviveTheWire(t *testing.T) {
	for _, svc := range services() {
		c := newCodec(t, svc)
		want := &apierr.Error{Code: "SomeCode", Message: "no <b>key</b> & \"more\"", Status: 400}
		got := c.DecodeError(400, c.EncodeError(wire.Fault{Code: want.Code, Message: want.Message, Status: 400}, "request-1"))
		if got.Code != want.Code || got.Message != want.Message || got.Status != 400 || got.Server {
			t.Errorf("%s: got %#v", svc.Name, got)
		}
		if got := c.DecodeError(502, []byte("<html>")); got.Code != "UnknownError" || !got.Server {
			t.Errorf("%s: not ours: got %#v", svc.Name, got)
		}
	}
}

func TestAnswersWithoutOutput(t *testing.T) {
	for _, tt := range []struct {
		svc  *api.Service
		op   string
		want string
	}{
		{kmsapi.Service(), "EnableKey", ""},
		{kmsapi.Service(), "CreateKey", "{}"},
		{iamapi.Service(), "DeleteRole", `<DeleteRoleResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata></DeleteRoleResponse>`},
		{iamapi.Service(), "GetRole", `<GetRoleResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><GetRoleResult></GetRoleResult><ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata></GetRoleResponse>`},
		{ec2api.Service(), "CreateTags", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" + `<CreateTagsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r-1</requestId><return>true</return></CreateTagsResponse>`},
	} {
		got, err := newCodec(t, tt.svc).EncodeResponse(tt.svc.Operations[tt.op], nil, "r-1")
		if err != nil || string(got) != tt.want {
			t.Errorf("%s: %v\n got %s\nwant %s", tt.op, err, got, tt.want)
		}
	}
}

func TestEveryPatternOfTheModelsCompiles(t *testing.T) {
	var n int
	for _, svc := range services() {
		for name, c := range svc.Constraints {
			if c.Pattern == "" {
				continue
			}
			n++
			if _, err := wire.CompilePattern(c.Pattern); err != nil {
				t.Errorf("%s %s: %v", svc.Name, name, err)
			}
		}
	}
	if n < 30 {
		t.Errorf("only %d patterns: the models are not what this test thinks", n)
	}
}

func TestSecretsGoInClear(t *testing.T) {
	c := newCodec(t, kmsapi.Service())
	op := c.Table().Service().Operations["GenerateDataKey"]
	out := &kmsapi.GenerateDataKeyResponse{Plaintext: []byte("0123456789abcdef")}
	body, err := c.EncodeResponse(op, out, "")
	if want := `{"Plaintext":"` + base64.StdEncoding.EncodeToString(out.Plaintext) + `"}`; err != nil || string(body) != want {
		t.Errorf("got %s, %v", body, err)
	}
}

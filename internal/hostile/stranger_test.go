package hostile_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/testkit"
)

// echoes are the operations whose answers repeat what the caller said in other requests.
var echoes = []string{"cloudtrail:LookupEvents", "ec2:GetEbsDefaultKmsKeyId"}

// The administrator of another account, who names what is of this one in every operation, changes nothing
// of it and reads nothing of it, and is not seen in its trail.
func TestEveryOperationKeepsAccountsApart(t *testing.T) {
	for name, more := range map[string]func(known map[string]string) map[string]string{
		"by ids":   func(map[string]string) map[string]string { return nil },
		"by names": arns,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			maps.Copy(w.known, more(w.known))
			foreign := w.As(testkit.Admin(stranger))
			before, end := w.stored(t), w.end(t)
			n := 0
			each(func(s offered, op *api.Operation) {
				what := s.Name + ":" + op.Name
				in := dump(t, good(s.Service, op, w.known))
				out, err := w.do(t, s.of(foreign).Client, s, op)
				text := dump(t, out)
				if err != nil {
					n++
					if e, ok := refusal(t, what, err); ok {
						text = e.Message
					}
				}
				if strings.Contains(text, mark) {
					t.Errorf("%s tells what is written on another account's things: %s", what, text)
				}
				if err == nil && strings.Contains(text, account) && !strings.Contains(in, account) && !slices.Contains(echoes, what) {
					t.Errorf("%s tells of another account: %s", what, text)
				}
				if s.Name == "kms" && name == "by names" && err != nil && strings.Contains(in, `"KeyId":"arn:`) {
					if e, ok := refusal(t, what, err); ok && e.Code != "AccessDeniedException" {
						t.Errorf("%s: %v", what, e)
					}
				}
			})
			if n < 300 {
				t.Errorf("only %d operations were refused", n)
			}
			unchanged(t, "the administrator of another account", before, w.stored(t), true)
			w.unseen(t, end)
		})
	}
}

// arns names things by their ARNs, which say whose they are.
func arns(known map[string]string) map[string]string {
	resource := func(kind, id string) string { return "arn:aws:ec2:us-east-1:" + account + ":" + kind + "/" + id }
	return map[string]string{
		"KeyId": known["KeyArn"], "TargetKeyId": known["KeyArn"], "DestinationKeyId": known["KeyArn"], "KmsKeyId": known["KeyArn"],
		"ResourceId": resource("volume", known["VolumeId"]),
	}
}

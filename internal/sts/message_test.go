package sts_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/stsapi"
)

func TestDecodeAuthorizationMessage(t *testing.T) {
	w := newWorld(t)
	const details = `{"allowed":false,"context":{"principal":{"id":"AIDA","arn":"arn:aws:iam::111122223333:user/u"}}}`
	message := w.messages.Encode([]byte(details))
	in := &stsapi.DecodeAuthorizationMessageRequest{EncodedMessage: &message}
	t.Run("holders of the permission read what the details were", func(t *testing.T) {
		u := w.user(account, "reader", allow(`"sts:DecodeAuthorizationMessage"`))
		if out := get[stsapi.DecodeAuthorizationMessageResponse](u, in); *out.DecodedMessage != details {
			t.Errorf("decoded: %s", *out.DecodedMessage)
		}
	})
	t.Run("those of a request with many tags fit what the operation takes", func(t *testing.T) {
		var tags strings.Builder
		for i := range 50 {
			fmt.Fprintf(&tags, `{"key":"aws:requesttag/team-%d","values":{"items":[{"value":"the longer value of the tag team-%d"}]}},`, i, i)
			fmt.Fprintf(&tags, `{"key":"aws:tagkeys","values":{"items":[{"value":"team-%d"}]}},`, i)
		}
		long := details[:len(details)-1] + `,"conditions":{"items":[` + tags.String() + `{}]}}`
		text := w.messages.Encode([]byte(long))
		if len(long) < 8000 || len(text) > 10240 {
			t.Errorf("%d bytes became %d characters", len(long), len(text))
		}
		if out := get[stsapi.DecodeAuthorizationMessageResponse](w.admin(account), &stsapi.DecodeAuthorizationMessageRequest{EncodedMessage: &text}); *out.DecodedMessage != long {
			t.Errorf("decoded: %s", *out.DecodedMessage)
		}
	})
	t.Run("nobody else does", func(t *testing.T) {
		w.user(account, "other", allow(`"sts:AssumeRole"`)).refused(in, 403, "AccessDenied", "not authorized to perform: sts:DecodeAuthorizationMessage")
	})
	const invalid = "InvalidAuthorizationMessageException"
	t.Run("a message of another account is not valid", func(t *testing.T) {
		w.admin(foreign).refused(in, 400, invalid, "")
	})
	for name, text := range map[string]string{
		"not base64": "%%%", "not sealed": "AAAA", "changed": "A" + message[1:], "cut off": message[:len(message)-4],
		"of another form": w.messages.Encode([]byte(`[1]`)), "without a principal": w.messages.Encode([]byte(`{}`)),
	} {
		t.Run(name, func(t *testing.T) {
			if name == "changed" && message[0] == 'A' {
				text = "B" + message[1:]
			}
			w.admin(account).refused(&stsapi.DecodeAuthorizationMessageRequest{EncodedMessage: &text}, 400, invalid, "Message is not valid")
		})
	}
}

func TestGetAccessKeyInfoTellsTheAccountOfAnyKey(t *testing.T) {
	w := newWorld(t)
	w.user(foreign, "theirs")
	key := get[iamapi.CreateAccessKeyResponse](w.admin(foreign), &iamapi.CreateAccessKeyRequest{UserName: new("theirs")}).AccessKey.AccessKeyId
	in := &stsapi.GetAccessKeyInfoRequest{AccessKeyId: key}
	u := w.user(account, "u", allow(`"sts:GetAccessKeyInfo"`))
	if out := get[stsapi.GetAccessKeyInfoResponse](u, in); *out.Account != foreign {
		t.Errorf("account %s", *out.Account)
	}
	u.refused(&stsapi.GetAccessKeyInfoRequest{AccessKeyId: new("AKIAIOSFODNN7EXAMPLE")}, 400, "ValidationError", "does not exist")
	w.user(account, "v").refused(in, 403, "AccessDenied", "not authorized to perform: sts:GetAccessKeyInfo")
}

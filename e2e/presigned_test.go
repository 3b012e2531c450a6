package e2e_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sts"
)

func TestAPresignedGetCallerIdentityTellsWhoSignedIt(t *testing.T) {
	c := admin(t)
	u := c.user(t, "someone")
	_, session := c.role(t, "app")
	for name, who := range map[string]*client{"administrator": c, "user": u, "session of a role": session, "root user": rootOf(c.url, c.account)} {
		signed := must(sts.NewPresignClient(who.sts).PresignGetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}))(t)
		send := func(address string) (int, string) {
			req := must(http.NewRequestWithContext(t.Context(), signed.Method, address, nil))(t)
			for k, v := range signed.SignedHeader {
				if k != "Host" {
					req.Header[k] = v
				}
			}
			return read(t, req)
		}
		if status, body := send(signed.URL); status != http.StatusOK || !strings.Contains(body, "<Arn>"+who.arn(t)+"</Arn>") || !strings.Contains(body, "<Account>"+c.account+"</Account>") {
			t.Errorf("%s: %d %s", name, status, body)
		}
		address := must(url.Parse(signed.URL))(t)
		for what, change := range map[string]func(url.Values){
			"signature": func(q url.Values) {
				q.Set("X-Amz-Signature", strings.Repeat("0", 64))
			},
			"expiry": func(q url.Values) { q.Set("X-Amz-Expires", "604800") },
			"action": func(q url.Values) { q.Set("Action", "DecodeAuthorizationMessage") },
			"date":   func(q url.Values) { q.Set("X-Amz-Date", "20200101T000000Z") },
		} {
			q := address.Query()
			change(q)
			changed := *address
			changed.RawQuery = q.Encode()
			if status, body := send(changed.String()); status != http.StatusForbidden || !strings.Contains(body, "SignatureDoesNotMatch") {
				t.Errorf("%s with another %s: %d %s", name, what, status, body)
			}
		}
	}
}

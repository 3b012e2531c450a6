package wire_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/e2e/internal/seed"
)

func TestHealthTellsThatItIsADevelopmentServer(t *testing.T) {
	a := send(t, request{Unsigned: true, Method: http.MethodGet, Path: "/_kagimori/health"})
	if a.Status != 200 || !strings.Contains(a.Body, `"status":"ok"`) || !strings.Contains(a.Body, `"dev":true`) {
		t.Errorf("health: %d %s", a.Status, a.Body)
	}
}

func TestResetForgetsEverything(t *testing.T) {
	s := newServer(t)
	create := kmsRequest("CreateKey", "{}")
	list := kmsRequest("ListKeys", "{}")
	list.Key = create.Key
	for _, q := range []request{create, create} {
		if a, err := q.send(t.Context(), s.URL); err != nil || a.Status != 200 {
			t.Fatalf("CreateKey: %v %s", err, a.Body)
		}
	}
	a, err := list.send(t.Context(), s.URL)
	if err != nil || strings.Count(a.Body, "KeyArn") != 2 {
		t.Fatalf("before: %v %s", err, a.Body)
	}
	reset := request{Unsigned: true, Path: "/_kagimori/reset"}
	if a, err = reset.send(t.Context(), s.URL); err != nil || a.Status != 200 {
		t.Fatalf("reset: %v %d %s", err, a.Status, a.Body)
	}
	if a, err = list.send(t.Context(), s.URL); err != nil || a.Status != 200 || strings.Contains(a.Body, "KeyArn") {
		t.Errorf("after: %v %d %s", err, a.Status, a.Body)
	}
	if a, err = create.send(t.Context(), s.URL); err != nil || a.Status != 200 {
		t.Errorf("CreateKey after reset: %v %s", err, a.Body)
	}
}

func TestTheClockMovesForwardAndFiresWhatIsDue(t *testing.T) {
	s := newServer(t)
	create := kmsRequest("CreateKey", `{"Tags":[{"TagKey":"_custom_id_","TagValue":"`+seed.KeyID+`"}]}`)
	as := func(operation, body string) answer {
		q := kmsRequest(operation, body)
		q.Key = create.Key
		a, err := q.send(t.Context(), s.URL)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	if a, err := create.send(t.Context(), s.URL); err != nil || a.Status != 200 {
		t.Fatalf("CreateKey: %v %s", err, a.Body)
	}
	id := `"KeyId":"` + seed.KeyID + `"`
	if a := as("ScheduleKeyDeletion", `{`+id+`,"PendingWindowInDays":7}`); a.Status != 200 {
		t.Fatalf("ScheduleKeyDeletion: %s", a.Body)
	}
	s.Advance(t, 6*24*time.Hour)
	if a := as("DescribeKey", `{`+id+`}`); a.Status != 200 || !strings.Contains(a.Body, "PendingDeletion") {
		t.Errorf("after 6 days: %d %s", a.Status, a.Body)
	}
	s.Advance(t, 2*24*time.Hour)
	if a := as("DescribeKey", `{`+id+`}`); a.code(t) != "NotFoundException" {
		t.Errorf("after 8 days: %d %s", a.Status, a.Body)
	}
	for _, body := range []string{`{"advance":"-1h"}`, `{"advance":"soon"}`, `{}`, `{"advance":"1h","set":"2030-01-01T00:00:00Z"}`, `nonsense`, `{"set":"2001-01-01T00:00:00Z"}`} {
		q := request{Unsigned: true, Path: "/_kagimori/clock", Body: []byte(body)}
		if a, err := q.send(t.Context(), s.URL); err != nil || a.Status != 400 {
			t.Errorf("clock with %s: %v %d %s", body, err, a.Status, a.Body)
		}
	}
}

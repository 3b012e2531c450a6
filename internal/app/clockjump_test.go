package app_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/cloudtrailapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/api/stsapi"
	"github.com/kagimori/kagimori/internal/app"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/testkit"
)

const (
	day  = 24 * time.Hour
	year = 365 * day
)

// jumping is a server whose wall clock is set, as somebody may set that of a machine: what is shown jumps, and timers
// go on as if nothing had happened.
func jumping(t *testing.T) (s *testkit.Server, jump func(time.Duration)) {
	t.Helper()
	return jumpingWith(t, func(*app.Config) {})
}

// jumpingWith is jumping with more of a config.
func jumpingWith(t *testing.T, configure func(*app.Config)) (s *testkit.Server, jump func(time.Duration)) {
	t.Helper()
	var ahead atomic.Int64
	s = testkit.Start(t, testkit.Options{Configure: func(cfg *app.Config) {
		configure(cfg)
		cfg.Wall = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	}})
	return s, func(d time.Duration) { ahead.Add(int64(d)) }
}

func keyState(t *testing.T, c testkit.Clients, id *string) string {
	t.Helper()
	out := new(kmsapi.DescribeKeyResponse)
	if err := c.KMS.Do(t.Context(), "DescribeKey", &kmsapi.DescribeKeyRequest{KeyId: id}, out); err != nil {
		return "gone"
	}
	return string(*out.KeyMetadata.KeyState)
}

func dyingKey(c testkit.Clients) *string {
	key := testkit.Call[kmsapi.CreateKeyResponse](c.KMS, "CreateKey", &kmsapi.CreateKeyRequest{}).KeyMetadata.KeyId
	testkit.Call[kmsapi.ScheduleKeyDeletionResponse](c.KMS, "ScheduleKeyDeletion", &kmsapi.ScheduleKeyDeletionRequest{KeyId: key, PendingWindowInDays: new(int32(7))})
	return key
}

// A clock that is set back never destroys a key early, and it goes when its day has come after all.
func TestClockSetBackKeepsKeysUntilTheirDay(t *testing.T) {
	s, jump := jumping(t)
	c := s.As(testkit.Admin(account))
	key := dyingKey(c)
	jump(-2 * day)
	s.Advance(7*day + time.Minute) // the timer's day, two days too early
	if got := keyState(t, c, key); got != "PendingDeletion" {
		t.Errorf("two days early the key is %s", got)
	}
	s.Advance(2 * day)
	if got := keyState(t, c, key); got != "gone" {
		t.Errorf("on its day the key is %s", got)
	}
	jump(-3 * year)
	s.Restart()
	if got := keyState(t, s.As(testkit.Admin(account)), key); got != "gone" {
		t.Errorf("three years before its day a destroyed key is %s", got)
	}
}

// A clock that is set forward and back again has not destroyed anything if nobody looked, and a key that is due goes
// within a day although its timer is years away.
func TestClockSetForward(t *testing.T) {
	s, jump := jumping(t)
	c := s.As(testkit.Admin(account))
	key := dyingKey(c)
	jump(year)
	jump(-year)
	if got := keyState(t, c, key); got != "PendingDeletion" {
		t.Errorf("the key is %s", got)
	}
	testkit.Call[kmsapi.CancelKeyDeletionResponse](c.KMS, "CancelKeyDeletion", &kmsapi.CancelKeyDeletionRequest{KeyId: key})
	jump(-50 * year) // a machine that begins in the past
	late := dyingKey(c)
	jump(50*year + 8*day)
	s.Advance(day + time.Minute)
	if got := keyState(t, c, late); got != "gone" {
		t.Errorf("a day after the clock was set right the key is %s", got)
	}
	if got := keyState(t, c, key); got != "Disabled" {
		t.Errorf("the key whose deletion was cancelled is %s", got)
	}
}

// Rotation follows the clock forward, and does not do again what it did when the clock is set back.
func TestClockJumpsAndRotation(t *testing.T) {
	s, jump := jumping(t)
	c := s.As(testkit.Admin(account))
	key := testkit.Call[kmsapi.CreateKeyResponse](c.KMS, "CreateKey", &kmsapi.CreateKeyRequest{}).KeyMetadata.KeyId
	old := testkit.Call[kmsapi.EncryptResponse](c.KMS, "Encrypt", &kmsapi.EncryptRequest{KeyId: key, Plaintext: []byte("old")}).CiphertextBlob
	testkit.Must(c.KMS, "EnableKeyRotation", &kmsapi.EnableKeyRotationRequest{KeyId: key, RotationPeriodInDays: new(int32(90))})
	rotations := func() int {
		t.Helper()
		return len(testkit.Call[kmsapi.ListKeyRotationsResponse](c.KMS, "ListKeyRotations", &kmsapi.ListKeyRotationsRequest{KeyId: key}).Rotations)
	}
	jump(100 * day)
	s.Advance(day + time.Minute)
	if n := rotations(); n != 1 {
		t.Errorf("%d rotations after 100 days", n)
	}
	jump(-100 * day)
	s.Advance(89 * day)
	if n := rotations(); n != 1 {
		t.Errorf("%d rotations after the clock was set back", n)
	}
	if got := testkit.Call[kmsapi.DecryptResponse](c.KMS, "Decrypt", &kmsapi.DecryptRequest{CiphertextBlob: old}).Plaintext; string(got) != "old" {
		t.Errorf("an old ciphertext is %q", got)
	}
}

// The audit log is a chain whatever the clock says, and every record is found.
func TestClockJumpsAndTheTrail(t *testing.T) {
	s, jump := jumping(t)
	c := s.As(testkit.Admin(account))
	for _, d := range []time.Duration{0, time.Hour, -3 * time.Hour, 2 * year, -2 * year, -time.Minute} {
		jump(d)
		testkit.Call[kmsapi.CreateKeyResponse](c.KMS, "CreateKey", &kmsapi.CreateKeyRequest{})
	}
	s.Restart()
	c = s.As(testkit.Admin(account))
	found := map[string]bool{}
	in := &cloudtrailapi.LookupEventsRequest{MaxResults: new(int32(2)), StartTime: new(time.Now().Add(-5 * time.Hour)), EndTime: new(time.Now().Add(3 * year)),
		LookupAttributes: []cloudtrailapi.LookupAttribute{{AttributeKey: new("EventName"), AttributeValue: new("CreateKey")}}}
	for range 20 {
		out := testkit.Call[cloudtrailapi.LookupEventsResponse](c.CloudTrail, "LookupEvents", in)
		for _, e := range out.Events {
			found[*e.EventId] = true
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			break
		}
	}
	if len(found) != 6 {
		t.Errorf("%d of 6 records are found", len(found))
	}
	o, err := app.OpenSealer(t.Context(), app.Config{Data: s.Data()}) // the server verifies
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if _, err := o.VerifyTrail(t.Context(), ""); err != nil {
		t.Error(err)
	}
}

// A session ends by the wall clock, whichever way it was set, and a clock that goes back makes no session longer than
// it was to be.
func TestClockJumpsAndSessions(t *testing.T) {
	s, jump := jumping(t)
	out := testkit.Call[stsapi.GetSessionTokenResponse](s.As(testkit.Admin(account)).STS, "GetSessionToken", &stsapi.GetSessionTokenRequest{DurationSeconds: new(int32(900))})
	session := sigv4.Credentials{AccessKeyID: *out.Credentials.AccessKeyId, Secret: *out.Credentials.SecretAccessKey, SessionToken: *out.Credentials.SessionToken}
	ask := func() error {
		return s.As(session).STS.Do(t.Context(), "GetCallerIdentity", &stsapi.GetCallerIdentityRequest{}, nil)
	}
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	jump(time.Hour)
	if err := ask(); err == nil {
		t.Error("a session of 15 minutes works after an hour")
	}
	if got := time.Until(*out.Credentials.Expiration); got > 15*time.Minute {
		t.Errorf("it ends in %s", got)
	}
}

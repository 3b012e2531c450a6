package live_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/doctor"
	"github.com/kagimori/kagimori/internal/live"
	"github.com/kagimori/kagimori/internal/scenario/format"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/testkit"
)

// A transport answers some requests itself; nil of answer sends the request on.
type transport struct {
	answer func(service, operation string) *http.Response
	after  func()
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	_, scope, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	service := strings.Split(scope, "/")[3]
	op := r.Header.Get("X-Amz-Target")
	op = op[strings.LastIndexByte(op, '.')+1:]
	for pair := range strings.SplitSeq(string(body), "&") {
		if name, ok := strings.CutPrefix(pair, "Action="); ok {
			op = name
		}
	}
	if res := t.answer(service, op); res != nil {
		return res, nil
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if t.after != nil {
		t.after()
	}
	return res, err
}

// refusal is the answer of a service that refuses.
func refusal(service string, status int, code string) *http.Response {
	text := `{"__type":"` + code + `","message":"no"}`
	switch service {
	case "ec2":
		text = `<Response><Errors><Error><Code>` + code + `</Code><Message>no</Message></Error></Errors><RequestID>1</RequestID></Response>`
	case "iam", "sts", "autoscaling":
		text = `<ErrorResponse><Error><Type>Sender</Type><Code>` + code + `</Code><Message>no</Message></Error><RequestId>1</RequestId></ErrorResponse>`
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text))}
}

// TestThrottledCallsAreMadeAgain has every call fail three times, in three ways.
func TestThrottledCallsAreMadeAgain(t *testing.T) {
	sc := corpus(t)["022-image-under-old-key"]
	s := testkit.Start(t, testkit.Options{})
	w := perform(t, s, sc)
	var mu sync.Mutex
	failed := map[string]int{}
	answer := func(service, op string) *http.Response {
		mu.Lock()
		defer mu.Unlock()
		failed[op]++
		switch failed[op] {
		case 1:
			return refusal(service, 400, "ThrottlingException")
		case 2:
			return refusal(service, 503, "RequestLimitExceeded")
		case 3:
			return refusal(service, 500, "InternalFailure")
		}
		return nil
	}
	var pauses atomic.Int64
	var longest atomic.Int64
	session := open(t, s, sc, func(cfg *live.Config) {
		cfg.HTTP = &http.Client{Transport: &transport{answer: answer}}
		cfg.Pause = func(_ context.Context, d time.Duration) error {
			pauses.Add(1)
			longest.Store(max(longest.Load(), int64(d)))
			return nil
		}
	})
	launches, err := session.Read(t.Context(), selection(t, s, w))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := doctor.Check(launches[0].Scenario).Verdict, doctor.Check(sc).Verdict; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if pauses.Load() != int64(3*len(failed)) || longest.Load() > int64(time.Second) || longest.Load() < int64(300*time.Millisecond) {
		t.Errorf("%d pauses for %d operations, the longest %s", pauses.Load(), len(failed), time.Duration(longest.Load()))
	}
}

// TestWhatStaysThrottledEndsTheReading, and so does anything that is not about permission.
func TestWhatStaysThrottledEndsTheReading(t *testing.T) {
	sc := corpus(t)["022-image-under-old-key"]
	s := testkit.Start(t, testkit.Options{})
	w := perform(t, s, sc)
	for _, tt := range []struct {
		op, code string
		tries    int
	}{
		{"GetKeyPolicy", "ThrottlingException", 8},
		{"DescribeImages", "RequestLimitExceeded", 8},
		{"ListGrants", "DependencyTimeoutException", 1},
		{"DescribeSnapshots", "InvalidParameterValue", 1},
		{"DescribeAutoScalingGroups", "ValidationError", 1},
	} {
		t.Run(tt.op, func(t *testing.T) {
			var tries atomic.Int64
			session := open(t, s, sc, func(cfg *live.Config) {
				cfg.HTTP = &http.Client{Transport: &transport{answer: func(service, op string) *http.Response {
					if op != tt.op {
						return nil
					}
					tries.Add(1)
					return refusal(service, 400, tt.code)
				}}}
				cfg.Pause = func(context.Context, time.Duration) error { return nil }
			})
			_, err := session.Read(t.Context(), selection(t, s, w))
			if err == nil || !strings.Contains(err.Error(), tt.op+" with account") || !strings.Contains(err.Error(), tt.code) || tries.Load() != int64(tt.tries) {
				t.Errorf("after %d tries: %v", tries.Load(), err)
			}
		})
	}
}

func TestReadingEndsWithItsContext(t *testing.T) {
	sc := corpus(t)["022-image-under-old-key"]
	s := testkit.Start(t, testkit.Options{})
	perform(t, s, sc)
	ctx, cancel := context.WithCancel(t.Context())
	session := open(t, s, sc, func(cfg *live.Config) {
		cfg.HTTP = &http.Client{Transport: &transport{answer: func(service, op string) *http.Response {
			if op != "GetKeyPolicy" {
				return nil
			}
			cancel() // while it waits for another try
			return refusal(service, 400, "ThrottlingException")
		}}}
	})
	if _, err := session.Read(ctx, live.Selection{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestManyGroupsShareWhatTheyHaveInCommon reads groups side by side, a few calls at a time, each once.
func TestManyGroupsShareWhatTheyHaveInCommon(t *testing.T) {
	sc := corpus(t)["016-spot-role-missing"] // makes two groups
	s := testkit.Start(t, testkit.Options{})
	perform(t, s, sc)
	var now, most, calls atomic.Int64
	session := open(t, s, sc, func(cfg *live.Config) {
		cfg.Parallel = 2
		cfg.HTTP = &http.Client{Transport: &transport{
			answer: func(_, op string) *http.Response {
				most.Store(max(most.Load(), now.Add(1)))
				if op == "GetKeyPolicy" {
					calls.Add(1)
				}
				return nil
			},
			after: func() { now.Add(-1) },
		}}
	})
	launches, err := session.Read(t.Context(), live.Selection{})
	if err != nil || len(launches) != 2 {
		t.Fatalf("%d launches, %v", len(launches), err)
	}
	keys := map[string]bool{}
	for _, l := range launches {
		for _, k := range l.Scenario.Keys {
			keys[k.ARN] = true
		}
	}
	if most.Load() > 2 || calls.Load() != int64(len(keys)) {
		t.Errorf("%d calls at a time, %d policies read of %d keys", most.Load(), calls.Load(), len(keys))
	}
}

// TestAKeyOfAnotherAccount is read with its account's credentials; without them, what it would have to
// contain is told.
func TestAKeyOfAnotherAccount(t *testing.T) {
	for id, want := range map[string]string{"004-cross-account-grant": "launches", "017-cross-account-no-grant": "fails", "018-grant-without-create-grant": "fails"} {
		t.Run(id, func(t *testing.T) {
			sc := corpus(t)[id]
			s := testkit.Start(t, testkit.Options{})
			w := perform(t, s, sc)
			all := open(t, s, sc, nil)
			home := open(t, s, sc, func(cfg *live.Config) { cfg.Accesses = cfg.Accesses[:1] })
			for name, session := range map[string]*live.Session{want: all, "cannot-tell": home} {
				launches, err := session.Read(t.Context(), selection(t, s, w))
				if err != nil {
					t.Fatal(err)
				}
				r := doctor.Check(launches[0].Scenario)
				if r.Verdict != name {
					t.Errorf("%s, want %s: %q", r.Verdict, name, r.Depends)
				}
				if name != "cannot-tell" {
					continue
				}
				owner := sc.Accounts[1].ID
				if sc.Launch.Account == owner {
					owner = sc.Accounts[0].ID
				}
				if d := strings.Join(r.Depends, "\n"); !strings.Contains(d, "there are no credentials for account "+owner+": give its --profile or --role-arn") {
					t.Errorf("it depends on %q", r.Depends)
				}
				if r.Wanted == nil || !strings.Contains(r.Wanted.Kind, "grant") {
					t.Errorf("wanted %+v", r.Wanted)
				}
			}
		})
	}
}

// TestOrganizationPoliciesThatNobodyMayRead make a verdict open, unless they are trusted.
func TestOrganizationPoliciesThatNobodyMayRead(t *testing.T) {
	sc := corpus(t)["001-example1-two-volumes"]
	s := testkit.Start(t, testkit.Options{})
	w := perform(t, s, sc)
	for _, trust := range []bool{false, true} {
		launches, err := open(t, s, sc, func(cfg *live.Config) {
			cfg.Accesses, cfg.TrustOrganization = cfg.Accesses[:1], trust
		}).Read(t.Context(), selection(t, s, w))
		if err != nil {
			t.Fatal(err)
		}
		r, notes := doctor.Check(launches[0].Scenario), strings.Join(launches[0].Notes, "\n")
		switch {
		case trust && (r.Verdict != "launches" || !strings.Contains(notes, "assumed: no organization policy denies anything to account "+sc.Launch.Account)):
			t.Errorf("%s; %s", r.Verdict, notes)
		case !trust && (r.Verdict != "cannot-tell" || !strings.Contains(strings.Join(r.Depends, "\n"), "the management account 000000000000 may")):
			t.Errorf("%s; %q", r.Verdict, r.Depends)
		}
	}
}

func TestCredentialsThatAreNoneOrTwice(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	good := access(s, testkit.Region, "111122223333", testkit.Admin("111122223333"))
	bad := access(s, testkit.Region, "111122223333", sigv4.Credentials{AccessKeyID: "AKIANOBODYKNOWSTHIS0", Secret: "x"})
	bad.Name = `profile "bad"`
	for name, tt := range map[string]struct {
		accesses []live.Access
		want     string
	}{
		"none":    {nil, "there are no credentials"},
		"twice":   {[]live.Access{good, good}, "are both of account 111122223333"},
		"unknown": {[]live.Access{bad}, `with profile "bad"`},
	} {
		if _, err := live.Open(t.Context(), live.Config{Accesses: tt.accesses}); !errors.Is(err, live.ErrUnreadable) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestMasked has the same ids for the same accounts, and the same verdict.
func TestMasked(t *testing.T) {
	sc := corpus(t)["018-grant-without-create-grant"]
	s := testkit.Start(t, testkit.Options{})
	w := perform(t, s, sc)
	launches, err := open(t, s, sc, nil).Read(t.Context(), selection(t, s, w))
	if err != nil {
		t.Fatal(err)
	}
	masked, err := live.Masked(launches[0])
	if err != nil {
		t.Fatal(err)
	}
	data, err := masked.Scenario.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range sc.Accounts {
		if bytes.Contains(data, []byte(a.ID)) {
			t.Errorf("%s is still there", a.ID)
		}
	}
	before, after := doctor.Check(launches[0].Scenario), doctor.Check(masked.Scenario)
	if diff := gocmp.Diff([]string{before.Verdict, before.Failures[0].Rule, before.Failures[0].Action, api.Val(before.Failures[0].Where)},
		[]string{after.Verdict, after.Failures[0].Rule, after.Failures[0].Action, api.Val(after.Failures[0].Where)}); diff != "" {
		t.Error(diff)
	}
	if _, err := format.Parse(data); err != nil {
		t.Error(err)
	}
	again, err := live.Masked(masked)
	if err != nil || gocmp.Diff(masked.Scenario.Accounts, again.Scenario.Accounts) != "" {
		t.Errorf("masked twice: %v %+v", err, again.Scenario.Accounts)
	}
}

package scenario_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/scenario"
	"github.com/kagimori/kagimori/internal/testkit"
	"github.com/kagimori/kagimori/internal/trail"
)

// A judge compares what a server did with what a scenario expects.
type judge struct {
	t      *testing.T
	server *testkit.Server
	world  *scenario.World
	want   scenario.Expected
	found  []string
}

func (j *judge) wrong(format string, args ...any) {
	j.found = append(j.found, fmt.Sprintf(format, args...))
}

// same compares one thing.
func (j *judge) same(what string, want, got any) {
	if diff := gocmp.Diff(want, got); diff != "" {
		j.wrong("%s (-want +got):\n%s", what, diff)
	}
}

func (j *judge) compare(attempts []scenario.Attempt) []string {
	j.setup()
	if !j.world.SetUp() {
		return j.found
	}
	launched := true
	templates := map[string]bool{}
	for _, a := range attempts {
		launched = launched && a.Launched
		templates[a.Template] = a.Launched
		j.attempt(a)
	}
	j.same("launches", j.want.Launches, launched)
	if j.want.Templates != nil {
		j.same("templates", j.want.Templates, templates)
	}
	return j.found
}

// setup compares the steps that were made: none follows the first that failed.
func (j *judge) setup() {
	got := j.world.Setup
	for i, want := range j.want.Setup {
		if i >= len(got) {
			break
		}
		j.same(fmt.Sprintf("setup %d", i), [2]any{want.OK, want.Error}, [2]any{got[i].OK, got[i].Error})
		if want.OK {
			continue
		}
		j.same("steps made", i+1, len(got))
		j.failure(j.refusedStep(i, got[i]), j.want.Failures)
		if s := j.want.Symptom; s == nil || s.SeenBy != "api" || s.APIError == nil || s.APIError.Code != got[i].Error ||
			"kms:"+s.APIError.Operation != j.world.Scenario.Setup[i].Call {
			j.wrong("the symptom of a refused setup is %+v", s)
		}
	}
}

// refusedStep is the failure of a step of the setup.
func (j *judge) refusedStep(i int, got scenario.SetupResult) refusal {
	step := j.world.Scenario.Setup[i]
	r := refusal{step: "setup", principal: step.As, action: step.Call, key: step.Params.Key}
	switch {
	case got.Error == "InvalidArnException":
		r.rule = "grantee-not-found"
	case got.Error == "MalformedPolicyDocumentException" && strings.Contains(got.Message, "invalid principals"):
		r.rule = "invalid-principal"
	case got.Error == "MalformedPolicyDocumentException":
		r.rule = "lockout-safety-check"
	default:
		records := j.records(trail.Filter{EventName: strings.TrimPrefix(step.Call, "kms:"), ErrorOnly: true})
		if len(records) == 0 {
			j.wrong("the refusal of setup %d is not in the trail", i)
			return r
		}
		r.rule, r.where, _ = j.rule(&records[0])
	}
	return r
}

// attempt compares what came of one template.
func (j *judge) attempt(a scenario.Attempt) {
	var failures []scenario.Failure
	for _, f := range j.want.Failures {
		if api.Val(f.Template) == a.Template {
			failures = append(failures, f)
		}
	}
	if a.Launched != (len(failures) == 0) {
		j.wrong("%q launched: %t, expected failures: %d; %+v, refused: %+v", a.Template, a.Launched, len(failures), a, cmp.Or(a.Refused, &scenario.Refusal{}))
		return
	}
	if a.Launched {
		j.volumes(a)
		return
	}
	j.symptom(a)
	j.failure(j.refusedLaunch(a), failures)
}

// volumes compares the volumes of instances that run: on each device as often as there are
// instances. Which rule chose a key cannot be seen on a server.
func (j *judge) volumes(a scenario.Attempt) {
	type volume struct {
		Device    string
		Encrypted bool
		Key       string
	}
	want, got := map[volume]bool{}, map[volume]bool{}
	for _, v := range j.want.Volumes {
		if api.Val(v.Template) == a.Template {
			want[volume{v.Device, v.Encrypted, j.world.Real(api.Val(v.Key))}] = true
		}
	}
	for _, v := range a.Volumes {
		got[volume{v.Device, v.Encrypted, v.Key}] = true
	}
	j.same("volumes of "+a.Template, want, got)
	n := 1
	if g := j.world.Scenario.Launch.Group; g != nil {
		n = int(g.Desired)
	}
	j.same("number of volumes of "+a.Template, n*len(want), len(a.Volumes))
}

// symptom compares what the user sees.
func (j *judge) symptom(a scenario.Attempt) {
	s := j.want.Symptom
	if s.SeenBy == "api" {
		if a.Refused == nil || a.Refused.Operation != s.APIError.Operation || a.Refused.Code != s.APIError.Code {
			j.wrong("the API call: %+v, want %+v", a.Refused, s.APIError)
		}
		return
	}
	if a.Refused != nil {
		j.wrong("%s is refused: %s: %s", a.Refused.Operation, a.Refused.Code, a.Refused.Message)
		return
	}
	j.same("state of the instance", api.Val(s.InstanceEndsAs), a.State)
	if !slices.Contains(s.StateReasonMessages, a.Reason) {
		j.wrong("the instance's reason is %q", a.Reason)
	}
	if s.SeenBy == "auto-scaling-activity" {
		j.same("status of the activity", api.Val(s.ActivityStatusCode), a.StatusCode)
		if !slices.ContainsFunc(s.StateReasonMessages, func(m string) bool { return strings.Contains(a.StatusMessage, m) }) {
			j.wrong("the activity's message is %q", a.StatusMessage)
		}
	}
}

// A refusal is a failure as the server's records tell it.
type refusal struct {
	step, principal, action, key, rule, where string
	grantRules                                []string // why each grant for the principal does not help
}

// failure compares the first refused request with the expected failures of the template: a server
// shows the first alone.
func (j *judge) failure(got refusal, wants []scenario.Failure) {
	if len(wants) != 1 {
		j.wrong("%d failures are expected where a server shows one: %+v", len(wants), got)
		return
	}
	want := wants[0]
	j.same("step", want.Step, got.step)
	if want.Principal != nil {
		j.same("principal", *want.Principal, got.principal)
	}
	if len(want.Actions) > 0 && !slices.Contains(want.Actions, got.action) {
		j.wrong("the refused action is %s, want one of %v", got.action, want.Actions)
	}
	if want.Key != nil {
		j.same("key", j.world.Real(*want.Key), got.key)
	}
	rule, where := j.withoutHistory(want)
	j.same("rule", rule, got.rule)
	if where != "" {
		j.same("where", where, got.where)
	}
	if want.Device != nil && want.Step != "group-create" {
		if devices := j.devicesUnder(api.Val(want.Template), got.key); !slices.Equal(devices, []string{*want.Device}) {
			j.wrong("the refused key is that of %v, want %s", devices, *want.Device)
		}
	}
}

// withoutHistory is the rule and place of a failure for a server that forgets grants that ended:
// the denial without them.
func (j *judge) withoutHistory(f scenario.Failure) (rule, where string) {
	if f.Rule == "grant-revoked" || f.Rule == "grant-retired" {
		if strings.Contains(*f.Principal, ":role/aws-service-role/") && accountOf(*f.Principal) != accountOf(*f.Key) {
			return "cross-account-needs-grant", ""
		}
		return "not-in-key-policy", ""
	}
	if strings.HasPrefix(f.Rule, "grant-") && f.Where != nil {
		return f.Rule, j.world.RealGrant(*f.Key, *f.Where)
	}
	if strings.HasSuffix(f.Rule, "-identity") {
		return f.Rule, scenario.Sid(api.Val(f.Where))
	}
	return f.Rule, api.Val(f.Where)
}

func accountOf(arn string) string { return strings.Split(arn, ":")[4] }

// devicesUnder are the devices of a template whose key is the given one, or is named so.
func (j *judge) devicesUnder(template, key string) []string {
	var out []string
	for _, v := range j.want.Volumes {
		if api.Val(v.Template) == template && j.world.Real(api.Val(v.Key)) == key {
			out = append(out, v.Device)
		}
	}
	for _, t := range j.world.Scenario.Launch.Templates {
		for _, d := range t.BlockDevices {
			if t.Name == template && d.EBS.KmsKeyID == key && !slices.Contains(out, d.Device) {
				out = append(out, d.Device)
			}
		}
	}
	return out
}

func (j *judge) records(f trail.Filter) []trail.Record {
	j.t.Helper()
	records, err := j.server.App.Records(j.t.Context(), f)
	if err != nil {
		j.t.Fatal(err)
	}
	return records
}

// refusedLaunch finds the request to KMS because of which an attempt failed, by way of what
// explains its instance or volume.
func (j *judge) refusedLaunch(a scenario.Attempt) refusal {
	if a.Refused != nil && a.Refused.Operation == "CreateAutoScalingGroup" {
		r := refusal{step: "group-create", rule: "?"}
		if strings.Contains(a.Refused.Message, "KmsKeyId") && strings.Contains(strings.ToLower(a.Refused.Message), "encrypted") {
			r.rule = "parameter-dependency"
		}
		return r
	}
	id := a.Instance
	if a.Refused != nil && a.Refused.Operation == "AttachVolume" {
		id = j.world.Real(j.world.Scenario.Launch.ExistingVolumes[0].ID)
	}
	request := j.request(id)
	records := j.records(trail.Filter{RequestID: request, ErrorOnly: true})
	for i := range slices.Backward(records) { // oldest first
		if records[i].EventSource == "kms.amazonaws.com" && records[i].ErrorCode != "DryRunOperationException" {
			return j.refusedRequest(&records[i])
		}
	}
	j.wrong("no refused request to KMS explains %s", id)
	return refusal{}
}

// request is the id of the request that explains a resource. Where an organization keeps the
// account from asking, it is that of the call whose answer names the resource.
func (j *judge) request(id string) string {
	var why kagimoriapi.ExplainResourceResponse
	c := j.server.In(j.world.Scenario.Region, testkit.Root(j.world.Scenario.Launch.Account)).Kagimori
	err := c.Do(j.t.Context(), "ExplainResource", &kagimoriapi.ExplainResourceRequest{ResourceId: &id}, &why)
	switch {
	case err == nil:
		return api.Val(why.Authorizations[0].AuthorizationId)
	case apierr.Code(err) == "AccessDeniedException":
		for _, r := range j.records(trail.Filter{EventName: j.world.Scenario.Launch.Operation}) {
			if strings.Contains(string(r.ResponseElements), id) {
				return r.RequestID
			}
		}
	}
	j.wrong("nothing explains %s: %v", id, err)
	return "unknown"
}

// refusedRequest reads a refusal from the record of a request to KMS.
func (j *judge) refusedRequest(r *trail.Record) refusal {
	var in struct{ KeyID, GranteeServicePrincipal string }
	if err := json.Unmarshal(r.RequestParameters, &in); err != nil {
		j.wrong("request parameters: %v", err)
	}
	out := refusal{principal: r.UserIdentity.ARN, action: "kms:" + r.EventName, key: in.KeyID}
	if s := r.UserIdentity.SessionContext; s != nil {
		out.principal = s.SessionIssuer.ARN
	}
	if r.UserIdentity.Type == "AWSService" && r.EventName == "DescribeKey" { // EC2 asks itself, for the launch
		for _, launch := range j.records(trail.Filter{RequestID: r.RequestID, EventName: "RunInstances"}) {
			out.principal = launch.UserIdentity.SessionContext.SessionIssuer.ARN
		}
	}
	if r.UserIdentity.Type == "AWSService" && r.EventName == "Decrypt" {
		out.principal = r.UserIdentity.InvokedBy
	}
	switch r.EventName {
	case "DescribeKey":
		out.step = "resolve-key"
	case "Decrypt":
		out.step = "decrypt"
		if r.UserIdentity.Type == "AWSService" { // it writes a volume that is being made
			out.step = "create-volume"
		}
	case "CreateGrant":
		out.step = "attach"
		if in.GranteeServicePrincipal != "" {
			out.step = "create-volume"
		}
	default:
		out.step = "create-volume"
	}
	rule, where, part := j.rule(r)
	out.rule, out.where = rule, where
	if part != nil {
		out.action, out.key = part.Action, part.Resource
		for _, m := range part.Missed {
			if rule, ok := grantRules()[m.Reason]; ok {
				out.grantRules = append(out.grantRules, rule)
			}
		}
	}
	return out
}

// decisions are those of a record.
func (j *judge) decisions(r *trail.Record) []guard.Recorded {
	out, err := guard.Decisions(r)
	if err != nil {
		j.t.Fatal(err)
	}
	return out
}

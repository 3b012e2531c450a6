package incident_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/doctor"
	"github.com/kagimori/kagimori/internal/incident"
	"github.com/kagimori/kagimori/internal/scenario/format"
	"github.com/kagimori/kagimori/internal/speech"
)

const (
	role = "arn:aws:iam::111122223333:role/ops/Scheduler"
	key  = "arn:aws:kms:us-west-2:111122223333:key/1a2b3c4d-5e6f-4a2b-8c3d-5e6f1a2b3c73"
)

// record is an event of CloudTrail with other members than usual: name and JSON by turns.
func record(t testing.TB, changes ...string) string {
	t.Helper()
	m := map[string]json.RawMessage{
		"eventVersion": json.RawMessage(`"1.11"`), "eventTime": json.RawMessage(`"2026-11-26T10:00:00Z"`), "eventSource": json.RawMessage(`"kms.amazonaws.com"`),
		"eventName": json.RawMessage(`"CreateGrant"`), "awsRegion": json.RawMessage(`"us-west-2"`), "sourceIPAddress": json.RawMessage(`"ec2-frontend-api.amazonaws.com"`),
		"errorCode": json.RawMessage(`"AccessDenied"`), "eventID": json.RawMessage(`"e-1"`), "requestParameters": json.RawMessage(`null`), "recipientAccountId": json.RawMessage(`"111122223333"`),
		"errorMessage": json.RawMessage(`"User: arn:aws:sts::111122223333:assumed-role/Scheduler/run is not authorized to perform: kms:CreateGrant on resource: ` + key + ` because no identity-based policy allows the kms:CreateGrant action"`),
		"userIdentity": json.RawMessage(`{"type":"AssumedRole","principalId":"AROAEXAMPLE:run","arn":"arn:aws:sts::111122223333:assumed-role/Scheduler/run","accountId":"111122223333",
			"sessionContext":{"sessionIssuer":{"type":"Role","arn":"` + role + `","accountId":"111122223333"},"attributes":{"mfaAuthenticated":"false"}},"invokedBy":"ec2-frontend-api.amazonaws.com"}`),
	}
	for i := 0; i < len(changes); i += 2 {
		m[changes[i]] = json.RawMessage(changes[i+1])
	}
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func quoted(t testing.TB, s string) string {
	t.Helper()
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func zipped(t testing.TB, s string) string {
	t.Helper()
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	if _, err := z.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

func TestRecordsAreFoundInWhatTheyComeIn(t *testing.T) {
	bad := record(t)
	good := record(t, "errorCode", `""`)
	other := record(t, "eventSource", `"s3.amazonaws.com"`, "requestParameters", `"text"`)
	for name, tt := range map[string]struct {
		data         string
		failed, seen int
	}{
		"a log file":           {`{"Records":[` + bad + `,` + good + `,` + other + `]}`, 1, 3},
		"an empty log file":    {`{"Records":[]}`, 0, 0},
		"compressed":           {zipped(t, `{"Records":[`+bad+`]}`), 1, 1},
		"LookupEvents":         {`{"Events":[{"EventName":"CreateGrant","EventTime":1.5,"CloudTrailEvent":` + quoted(t, bad) + `}]}`, 1, 1},
		"no events":            {`{"Events":[]}`, 0, 0},
		"a query of it":        {`[` + quoted(t, bad) + `,` + quoted(t, good) + `]`, 1, 2},
		"a log group":          {`{"events":[{"timestamp":1,"message":` + quoted(t, bad) + `}],"searchedLogStreams":[]}`, 1, 1},
		"EventBridge":          {`{"detail-type":"AWS API Call via CloudTrail","source":"aws.kms","detail":` + bad + `}`, 1, 1},
		"JSON lines":           {bad + "\n" + good + "\n\n" + bad + "\n", 2, 3},
		"lines of log files":   {`{"Records":[` + bad + `]}` + "\n" + `{"Records":[` + bad + `]}`, 2, 2},
		"a list":               {`[` + bad + `]`, 1, 1},
		"one":                  {bad, 1, 1},
		"a dry run":            {record(t, "errorCode", `"DryRunOperationException"`), 0, 1},
		"throttled":            {record(t, "errorCode", `"ThrottlingException"`), 0, 1},
		"parameters of a kind": {record(t, "requestParameters", `{"keyId":7,"operations":"x","encryptionContext":{"a":"b"}}`), 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			if !incident.Is([]byte(tt.data)) {
				t.Error("it is not known as CloudTrail's")
			}
			failed, seen, err := incident.Read([]byte(tt.data))
			if err != nil || len(failed) != tt.failed || seen != tt.seen {
				t.Errorf("%d of %d failed, %v; want %d of %d", len(failed), seen, err, tt.failed, tt.seen)
			}
		})
	}
}

func TestWhatIsNotCloudTrailsIsRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		data string
		is   bool
	}{
		"nothing":             {``, false},
		"text":                {`Client.InternalError`, false},
		"a number":            {`7`, false},
		"a scenario":          {`{"schema":"kagimori.launch-scenario/1"}`, false},
		"a plan":              {`{"format_version":"1.2","planned_values":{}}`, false},
		"a template":          {`{"Resources":{}}`, false},
		"half a log file":     {`{"Records":[`, false},
		"a line and a half":   {record(t) + "\n" + `{"eventVersion`, true},
		"broken compression":  {"\x1f\x8b\x08\x00garbage", true},
		"events of something": {`{"Events":[{"name":"x"}]}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := incident.Is([]byte(tt.data)); got != tt.is {
				t.Errorf("Is: %t", got)
			}
			if _, _, err := incident.Read([]byte(tt.data)); !errors.Is(err, incident.ErrFormat) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// gather reads records that are one a line.
func gather(t *testing.T, records ...string) []*incident.Incident {
	t.Helper()
	events, _, err := incident.Read([]byte(strings.Join(records, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return incident.Gather(events)
}

func TestRepeatsAreOneIncident(t *testing.T) {
	at := func(s string, more ...string) string {
		return record(t, append([]string{"eventTime", `"2026-11-26T` + s + `Z"`, "eventID", `"` + s + `"`}, more...)...)
	}
	volume := func(id string) []string {
		return []string{"requestParameters", `{"keyId":"` + key + `","constraints":{"encryptionContextSubset":{"aws:ebs:id":"` + id + `"}},"operations":["Decrypt"],"granteePrincipal":"arn:aws:sts::111122223333:assumed-role/aws:ec2-infrastructure/i-1"}`}
	}
	got := gather(t,
		at("09:00:00", "eventName", `"Decrypt"`, "errorCode", `"DisabledException"`, "errorMessage", `"`+key+` is disabled."`),
		at("12:00:00", volume("vol-3")...), at("10:00:00", volume("vol-1")...), at("11:00:00", volume("vol-2")...))
	if len(got) != 2 {
		t.Fatalf("%d incidents", len(got))
	}
	n := got[0]
	if n.Count != 3 || n.First != "2026-11-26T10:00:00Z" || n.Last != "2026-11-26T12:00:00Z" || n.Context["aws:ebs:id"] != "vol-3" || strings.Join(n.Events, " ") != "12:00:00 10:00:00 11:00:00" {
		t.Errorf("%+v", n)
	}
	if n.Principal != role || n.Session != "run" || n.InvokedBy != "ec2-frontend-api.amazonaws.com" || n.Via != "ec2.us-west-2.amazonaws.com" || n.Key != key || n.Operation != "CreateGrant" {
		t.Errorf("%+v", n)
	}
	if got[1].Code != "DisabledException" || got[1].Key != key {
		t.Errorf("%+v", got[1])
	}
}

// TestWhoAskedForWhat looks at the forms that callers and keys have in records.
func TestWhoAskedForWhat(t *testing.T) {
	user := `{"type":"IAMUser","arn":"arn:aws:iam::111122223333:user/ann","accountId":"111122223333","userName":"ann"}`
	infra := `{"type":"AssumedRole","arn":"arn:aws:sts::111122223333:assumed-role/aws:ec2-infrastructure/i-0abc","accountId":"111122223333","invokedBy":"AWS Internal",
		"sessionContext":{"sessionIssuer":{"type":"Role","arn":"arn:aws:iam::111122223333:role/aws:ec2-infrastructure"}},"inScopeOf":{"issuerType":"AWS::EC2::Instance","credentialsIssuedTo":"arn:aws:ec2:us-west-2:111122223333:instance/i-0abc"}}`
	hidden := `"User: arn:aws:iam::111122223333:user/ann is not authorized to perform: kms:Decrypt on this resource because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access"`
	tests := []struct {
		name, record, who, what string
	}{
		{"a user, directly, by an id", record(t, "userIdentity", user, "sourceIPAddress", `"192.0.2.1"`, "eventName", `"Decrypt"`, "errorMessage", hidden, "requestParameters", `{"keyId":"1a2b3c4d-5e6f-4a2b-8c3d-5e6f1a2b3c73","encryptionContext":{"b":"2","a":"1"}}`),
			"arn:aws:iam::111122223333:user/ann", "kms:Decrypt on " + key + ", with the encryption context a=1, b=2"},
		{"an alias", record(t, "userIdentity", user, "sourceIPAddress", `"192.0.2.1"`, "eventName", `"Decrypt"`, "errorMessage", hidden, "requestParameters", `{"keyId":"alias/app"}`),
			"arn:aws:iam::111122223333:user/ann", "kms:Decrypt on alias/app"},
		{"nothing is told of the key", record(t, "userIdentity", user, "sourceIPAddress", `"192.0.2.1"`, "eventName", `"Decrypt"`, "errorMessage", hidden),
			"arn:aws:iam::111122223333:user/ann", "kms:Decrypt on a key that the record does not name"},
		{"an instance", record(t, "userIdentity", infra, "sourceIPAddress", `"AWS Internal"`, "eventName", `"Decrypt"`, "errorMessage", `"no"`, "resources", `[{"ARN":"`+key+`","accountId":"111122223333"}]`),
			"arn:aws:iam::111122223333:role/aws:ec2-infrastructure (of instance arn:aws:ec2:us-west-2:111122223333:instance/i-0abc), by way of AWS Internal", "kms:Decrypt on " + key},
		{"a service", record(t, "userIdentity", `{"type":"AWSService","invokedBy":"ebs.amazonaws.com"}`, "eventName", `"Decrypt"`, "errorMessage", `"no"`, "resources", `[{"ARN":"`+key+`"}]`),
			"ebs.amazonaws.com", "kms:Decrypt on " + key},
		{"a role without its issuer", record(t, "userIdentity", `{"type":"AssumedRole","arn":"arn:aws:sts::111122223333:assumed-role/x/y"}`, "sourceIPAddress", `"192.0.2.1"`),
			"arn:aws:iam::111122223333:role/x (session y)", "kms:CreateGrant on " + key},
		{"a ReEncrypt of which nobody says what is missing", record(t, "eventName", `"ReEncrypt"`, "errorMessage", `"no"`, "requestParameters", `{"sourceKeyId":"`+key+`x","destinationKeyId":"`+key+`"}`),
			role + " (session run), by way of ec2-frontend-api.amazonaws.com", "kms:ReEncryptFrom, kms:ReEncryptTo on " + key},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := gather(t, tt.record)[0]
			if got := n.Who().String(); got != tt.who {
				t.Errorf("who: %s", got)
			}
			if got := n.What(incident.Actions(n)).String(); got != tt.what {
				t.Errorf("what: %s", got)
			}
		})
	}
}

// TestEachReasonHasItsRemedy goes through the reasons that messages give.
func TestEachReasonHasItsRemedy(t *testing.T) {
	message := func(end string) string {
		return `"User: arn:aws:sts::111122223333:assumed-role/Scheduler/run is not authorized to perform: kms:CreateGrant on resource: ` + key + ` ` + end + `"`
	}
	tests := []struct{ end, kind, says string }{
		{"because no resource-based policy allows the kms:CreateGrant action", "key-policy", "Neither the key policy nor a grant allows it"},
		{"because no identity-based policy allows the kms:CreateGrant action", "identity-policy", "none allows it"},
		{"because no permissions boundary allows the kms:CreateGrant action", "", "Add the action to the policy that is the permissions boundary"},
		{"because no session policy allows the kms:CreateGrant action", "", "Whoever assumes the role"},
		{"because no service control policy allows the kms:CreateGrant action", "", "Who administers that policy"},
		{"because no VPC endpoint policy allows the kms:CreateGrant action", "", "Who administers that policy"},
		{"with an explicit deny in a service control policy", "", "Nothing that is added helps against a deny"},
		{"with an explicit deny in a resource-based policy", "", "Nothing that is added helps against a deny"},
		{"with an explicit deny in a resource control policy", "", "Nothing that is added helps against a deny"},
		{"with an explicit deny in a session policy", "", "Nothing that is added helps against a deny"},
		{"with an explicit deny in a VPC endpoint policy", "", "Nothing that is added helps against a deny"},
		{"with an explicit deny in a permissions boundary", "", "Nothing that is added helps against a deny"},
		{"with an explicit deny in a service control policy: arn:aws:organizations::000000000000:policy/o-abcdefghij/service_control_policy/p-12345678", "", "Nothing that is added helps against a deny"},
		{"with an explicit deny in an identity-based policy", "", "A statement of an identity policy denies it"},
		{"", "key-policy", "it is taken for the key policy"},
	}
	x := &incident.Explainer{Doctor: doctor.New()}
	for _, tt := range tests {
		t.Run(tt.end, func(t *testing.T) {
			f := x.Explain("x", gather(t, record(t, "errorMessage", message(tt.end)))[0])
			var out strings.Builder
			if err := f.Write(&out, speech.English, true); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(out.String(), tt.says) {
				t.Errorf("%q is not in\n%s", tt.says, out.String())
			}
			switch {
			case tt.kind == "" && len(f.Fixes) > 0:
				t.Errorf("fixes: %+v", f.Fixes)
			case tt.kind != "" && (len(f.Fixes) == 0 || f.Fixes[0].Kind != tt.kind || !strings.Contains(f.Fixes[0].Document, "kms:CreateGrant")):
				t.Errorf("fixes: %+v", f.Fixes)
			}
		})
	}
	abroad := strings.ReplaceAll(record(t, "errorMessage", `"User: x is not authorized to perform: kms:CreateGrant on this resource because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access"`,
		"requestParameters", `{"keyId":"`+strings.Replace(key, "111122223333", "444455556666", 1)+`"}`), "\n", "")
	f := x.Explain("x", gather(t, abroad)[0])
	var kinds []string
	for _, r := range f.Fixes {
		if r.Set == f.Fixes[0].Set {
			kinds = append(kinds, r.Kind)
		}
	}
	if text := strings.Join(kinds, " "); !strings.Contains(text, "key-policy") || !strings.Contains(text, "identity-policy") {
		t.Errorf("of another account's key: %q %q", kinds, f.Notes)
	}
}

// TestStatesAreExplained goes through what KMS says to calls that are permitted.
func TestStatesAreExplained(t *testing.T) {
	x := &incident.Explainer{Doctor: doctor.New()}
	for code, tt := range map[string]struct{ message, says, command string }{
		"DisabledException":                {key + " is disabled.", "The key is disabled", "aws kms enable-key --key-id " + key + " --region us-west-2"},
		"KMSInvalidStateException":         {key + " is pending deletion.", "The key is pending deletion", "aws kms cancel-key-deletion --key-id " + key},
		"KMSInvalidState":                  {key + " is pending import.", "The key has no material", ""},
		"NotFoundException":                {"Alias arn:aws:kms:us-west-2:111122223333:alias/app is not found.", "There is no such key or alias in us-west-2", ""},
		"InvalidKeyUsageException":         {"no", "volumes need a symmetric key", ""},
		"InvalidCiphertextException":       {"", "encryption context", ""},
		"IncorrectKeyException":            {"", "another key", ""},
		"InvalidArnException":              {"", "names nobody", ""},
		"MalformedPolicyDocumentException": {"", "locks everybody out", ""},
		"KeyUnavailableException":          {"", "AWS services try again", ""},
		"SomethingElse":                    {"", "KMS answers SomethingElse", ""},
	} {
		f := x.Explain("x", gather(t, record(t, "errorCode", `"`+code+`"`, "errorMessage", quoted(t, tt.message)))[0])
		command := ""
		if len(f.Fixes) > 0 {
			command = f.Fixes[0].Command
		}
		if !strings.Contains(f.Reason.String(), tt.says) || !strings.HasPrefix(command, tt.command) || (command == "") != (tt.command == "") {
			t.Errorf("%s: %s, %q", code, f.Reason, command)
		}
	}
}

// TestWhatDiedIsExplained reads the outputs of the describe calls.
func TestWhatDiedIsExplained(t *testing.T) {
	data := []byte(`{"Activities":[
		{"AutoScalingGroupName":"web","StatusCode":"Cancelled","StartTime":"2026-11-26T10:00:00+00:00","StatusMessage":"Instance became unhealthy while waiting for instance to be in InService state. Termination Reason: Client.InvalidKMSKey.InvalidState: The KMS key provided is in an incorrect state"},
		{"AutoScalingGroupName":"web","StatusCode":"Cancelled","StartTime":"2026-11-26T10:01:00+00:00","StatusMessage":"Client.InternalError: Client error on launch"},
		{"AutoScalingGroupName":"db","StatusCode":"Failed","StatusMessage":"You have exceeded your limit"}]}`)
	instances := []byte(`{"Reservations":[{"Instances":[{"InstanceId":"i-1","State":{"Name":"terminated"},"StateReason":{"Code":"Client.InternalError","Message":"Client.InternalError: Client error on launch"},"Tags":[{"Key":"aws:autoscaling:groupName","Value":"web"}]},{"InstanceId":"i-2","State":{"Name":"running"}}]}]}`)
	for _, file := range [][]byte{data, instances} {
		if !incident.IsDescription(file) || incident.Is(file) {
			t.Errorf("not known: %s", file)
		}
		got, err := incident.Symptoms(file)
		if err != nil || len(got) != 1 || got[0].Group != "web" {
			t.Fatalf("%+v, %v", got, err)
		}
		x := &incident.Explainer{Doctor: doctor.New()}
		f := x.ExplainSymptom("x", &got[0])
		if text := strings.Join(speech.All(speech.English, f.Notes), "\n"); !strings.Contains(text, "kagimori check --live --group web") || !strings.Contains(text, "lookup-events") {
			t.Errorf("notes: %s", text)
		}
		x.Scenarios = []*format.Scenario{parsed(t, "013-first-statement-only")}
		x.Scenarios[0].Launch.Group.Name = "web"
		f = x.ExplainSymptom("x", &got[0])
		if f.Now != "refused" || f.Rule == "" || len(f.Fixes) != 1 || f.Actions[0] != "kms:CreateGrant" {
			t.Errorf("%+v", f)
		}
	}
	if got, err := incident.Symptoms([]byte(`{"Activities":7}`)); err == nil {
		t.Errorf("%+v", got)
	}
	if incident.IsDescription([]byte(`{"Activities":7}`)) || incident.IsDescription([]byte(`[]`)) {
		t.Error("known as a description")
	}
}

func FuzzRead(f *testing.F) {
	bad := record(f)
	for _, s := range []string{bad, `{"Records":[` + bad + `]}`, zipped(f, bad), `{"Events":[{"CloudTrailEvent":` + quoted(f, bad) + `}]}`, `{"detail-type":"","detail":` + bad + `}`, `[` + quoted(f, bad) + `]`, `{"Activities":[{"StatusMessage":"Client.InternalError"}]}`} {
		f.Add([]byte(s))
	}
	x := &incident.Explainer{Doctor: doctor.New()}
	f.Fuzz(func(t *testing.T, data []byte) {
		if symptoms, err := incident.Symptoms(data); err == nil {
			for i := range symptoms {
				if x.ExplainSymptom("x", &symptoms[i]).Reason.Empty() {
					t.Error("no reason")
				}
			}
		}
		_ = incident.Is(data) // does not panic; Read takes more than it knows at sight
		events, seen, err := incident.Read(data)
		if err != nil {
			if !errors.Is(err, incident.ErrFormat) {
				t.Errorf("%v", err)
			}
			return
		}
		if len(events) > seen {
			t.Errorf("%d of %d", len(events), seen)
		}
		total := 0
		for _, n := range incident.Gather(events) {
			total += n.Count
			f := x.Explain("x", n)
			if f.Reason.Empty() {
				t.Errorf("no reason: %+v", f)
			}
			var out strings.Builder
			if err := f.Write(&out, speech.English, true); err != nil {
				t.Error(err)
			}
			if _, err := f.Line(); err != nil {
				t.Error(err)
			}
		}
		if total != len(events) {
			t.Errorf("%d of %d events are in incidents", total, len(events))
		}
	})
}

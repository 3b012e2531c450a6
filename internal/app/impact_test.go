package app_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/testkit"
)

// A yard is an account with one of everything that needs a key, and an operator who uses it.
type yard struct {
	t        *testing.T
	r        *rand.Rand
	s        *testkit.Server
	account  string
	key      string
	opsCreds sigv4.Credentials
	admin    testkit.Clients
	ops      testkit.Clients
	operator string // ARN

	carrier, instance, snapshot, volume, image string
	grants                                     []string
	tries                                      int
}

const opsEC2 = `{"Effect":"Allow","Action":["ec2:*","iam:PassRole"],"Resource":"*"}`

// identityKMS are the IAM policies that the operator may have on keys.
var identityKMS = []string{
	`{"Effect":"Allow","Action":"kms:*","Resource":"*"}`,
	`{"Effect":"Allow","Action":["kms:CreateGrant","kms:ReEncrypt*"],"Resource":"*","Condition":{"StringLike":{"kms:ViaService":"ec2.*.amazonaws.com"}}}`,
	`{"Effect":"Allow","Action":["kms:GenerateDataKeyWithoutPlaintext","kms:Decrypt"],"Resource":"*"}`,
}

func newYard(t *testing.T, s *testkit.Server, r *rand.Rand, account string) *yard {
	y := &yard{t: t, r: r, s: s, account: account, operator: arn.User(account, "/", "ops")}
	y.admin = s.As(testkit.Admin(account))
	createServiceRole(y.admin)
	for _, service := range []string{"ec2fleet.amazonaws.com", "spot.amazonaws.com"} {
		testkit.Call[iamapi.CreateServiceLinkedRoleResponse](y.admin.IAM, "CreateServiceLinkedRole", &iamapi.CreateServiceLinkedRoleRequest{AWSServiceName: &service})
	}
	testkit.Call[iamapi.CreateUserResponse](y.admin.IAM, "CreateUser", &iamapi.CreateUserRequest{UserName: new("ops")})
	y.putPolicy("ec2", opsEC2)
	for i, p := range identityKMS {
		if r.IntN(3) == 0 {
			y.putPolicy(fmt.Sprint("kms", i), p)
		}
	}
	k := testkit.Call[iamapi.CreateAccessKeyResponse](y.admin.IAM, "CreateAccessKey", &iamapi.CreateAccessKeyRequest{UserName: new("ops")}).AccessKey
	y.opsCreds = sigv4.Credentials{AccessKeyID: *k.AccessKeyId, Secret: secret.String(k.SecretAccessKey.Reveal())}
	y.ops = s.As(y.opsCreds)
	y.key = newKey(y.admin, y.policy())
	y.furnish()
	y.grant()
	return y
}

func (y *yard) putPolicy(name, statement string) {
	testkit.Must(y.admin.IAM, "PutUserPolicy", &iamapi.PutUserPolicyRequest{
		UserName: new("ops"), PolicyName: &name, PolicyDocument: new(`{"Version":"2012-10-17","Statement":[` + statement + `]}`),
	})
}

// policy is a key policy with some of the statements that matter.
func (y *yard) policy() *string {
	role := serviceRole(y.account)
	all := []string{owner(y.account)}
	for i, st := range []string{use(role), attach(role), use(y.operator), attach(y.operator), y.launchers(use(role)), y.launchers(attach(role)),
		fmt.Sprintf(`{"Sid":"x","Effect":"Deny","Principal":{"AWS":[%q]},"Action":"kms:CreateGrant","Resource":"*"}`, y.operator)} {
		if y.r.IntN(3) > 0 && i < 6 || y.r.IntN(8) == 0 {
			all = append(all, strings.Replace(strings.Replace(st, `"Sid":"use"`, fmt.Sprintf(`"Sid":"s%d"`, i), 1), `"Sid":"attach"`, fmt.Sprintf(`"Sid":"s%d"`, i), 1))
		}
	}
	return keyPolicy(all...)
}

// launchers is a statement for the role of Auto Scaling, made one for the roles of EC2 Fleet and EC2 Spot.
func (y *yard) launchers(statement string) string {
	return strings.Replace(statement, `"`+serviceRole(y.account)+`"`, fmt.Sprintf(`%q,%q`,
		arn.Role(y.account, arn.ServiceLinkedPath("ec2fleet.amazonaws.com"), "AWSServiceRoleForEC2Fleet"),
		arn.Role(y.account, arn.ServiceLinkedPath("spot.amazonaws.com"), "AWSServiceRoleForEC2Spot")), 1)
}

// furnish makes the things, as the administrator.
func (y *yard) furnish() {
	c := y.admin
	run := func(mappings ...ec2api.BlockDeviceMapping) string {
		out := testkit.Call[ec2api.Reservation](c.EC2, "RunInstances", &ec2api.RunInstancesRequest{
			ImageId: new("ami-12c6146b"), InstanceType: new("t3.micro"), MinCount: new(int32(1)), MaxCount: new(int32(1)), BlockDeviceMappings: mappings,
		})
		return *out.Instances[0].InstanceId
	}
	y.carrier = run()
	y.instance = run(ec2api.BlockDeviceMapping{DeviceName: new("/dev/xvda"), Ebs: &ec2api.EbsBlockDevice{Encrypted: new(true), KmsKeyId: &y.key}})
	v := testkit.Call[ec2api.Volume](c.EC2, "CreateVolume", &ec2api.CreateVolumeRequest{
		AvailabilityZone: new(testkit.Region + "a"), Size: new(int32(1)), Encrypted: new(true), KmsKeyId: &y.key,
	})
	y.volume = *v.VolumeId
	settle(y.s)
	y.snapshot = *testkit.Call[ec2api.Snapshot](c.EC2, "CreateSnapshot", &ec2api.CreateSnapshotRequest{VolumeId: &y.volume}).SnapshotId
	y.image = *testkit.Call[ec2api.CreateImageResult](c.EC2, "CreateImage", &ec2api.CreateImageRequest{InstanceId: &y.instance, Name: new("gold"), NoReboot: new(true)}).ImageId
	settle(y.s)
	createTemplate(c, "tpl", y.key)
	createGroupOf(c, group, "tpl", 0)
	y.fleet(0)
	y.spot("0.0001") // too little: it waits
}

// fleet makes a fleet that maintains n instances.
func (y *yard) fleet(n int32) string {
	return *testkit.Call[ec2api.CreateFleetResult](y.admin.EC2, "CreateFleet", &ec2api.CreateFleetRequest{
		Type: new("maintain"),
		LaunchTemplateConfigs: []ec2api.FleetLaunchTemplateConfigRequest{{
			LaunchTemplateSpecification: &ec2api.FleetLaunchTemplateSpecificationRequest{LaunchTemplateName: new("tpl"), Version: new("$Latest")},
		}},
		TargetCapacitySpecification: &ec2api.TargetCapacitySpecificationRequest{TotalTargetCapacity: &n, DefaultTargetCapacityType: new("on-demand")},
	}).FleetId
}

// spot asks for a Spot Instance.
func (y *yard) spot(price string) string {
	return *testkit.Call[ec2api.RequestSpotInstancesResult](y.admin.EC2, "RequestSpotInstances", &ec2api.RequestSpotInstancesRequest{
		SpotPrice: &price,
		LaunchSpecification: &ec2api.RequestSpotLaunchSpecification{
			ImageId: new("ami-12c6146b"), InstanceType: new("t3.micro"),
			BlockDeviceMappings: []ec2api.BlockDeviceMapping{{DeviceName: new("/dev/xvda"), Ebs: &ec2api.EbsBlockDevice{Encrypted: new(true), KmsKeyId: &y.key}}},
		},
	}).SpotInstanceRequests[0].SpotInstanceRequestId
}

func (y *yard) fleetLaunches() bool {
	id := y.fleet(1)
	settle(y.s)
	settle(y.s)
	ok := false
	for _, i := range testkit.Call[ec2api.DescribeFleetInstancesResult](y.admin.EC2, "DescribeFleetInstances", &ec2api.DescribeFleetInstancesRequest{FleetId: &id}).ActiveInstances {
		ok = ok || y.state(*i.InstanceId) == "running"
	}
	testkit.Call[ec2api.DeleteFleetsResult](y.admin.EC2, "DeleteFleets", &ec2api.DeleteFleetsRequest{FleetIds: []string{id}, TerminateInstances: new(true)})
	settle(y.s)
	return ok
}

func (y *yard) spotLaunches() bool {
	id := y.spot("1")
	settle(y.s)
	settle(y.s)
	r := testkit.Call[ec2api.DescribeSpotInstanceRequestsResult](y.admin.EC2, "DescribeSpotInstanceRequests", &ec2api.DescribeSpotInstanceRequestsRequest{SpotInstanceRequestIds: []string{id}}).SpotInstanceRequests[0]
	ok := r.InstanceId != nil && y.state(*r.InstanceId) == "running"
	testkit.Call[ec2api.CancelSpotInstanceRequestsResult](y.admin.EC2, "CancelSpotInstanceRequests", &ec2api.CancelSpotInstanceRequestsRequest{SpotInstanceRequestIds: []string{id}})
	if ok {
		testkit.Call[ec2api.TerminateInstancesResult](y.admin.EC2, "TerminateInstances", &ec2api.TerminateInstancesRequest{InstanceIds: []string{*r.InstanceId}})
		settle(y.s)
	}
	return ok
}

// grant makes some grants.
func (y *yard) grant() {
	for range y.r.IntN(4) {
		who := pick(y.r, []string{serviceRole(y.account), y.operator})
		ops := []string{"Decrypt", "CreateGrant", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo", "DescribeKey"}
		if y.r.IntN(3) == 0 {
			ops = ops[:1+y.r.IntN(5)]
		}
		out := testkit.Call[kmsapi.CreateGrantResponse](y.admin.KMS, "CreateGrant", &kmsapi.CreateGrantRequest{KeyId: &y.key, GranteePrincipal: &who, Operations: ops})
		y.grants = append(y.grants, *out.GrantId)
	}
	y.s.Advance(5 * 60 * 1e9) // grants take effect
}

func (y *yard) state(id string) string {
	out := testkit.Call[ec2api.DescribeInstancesResult](y.admin.EC2, "DescribeInstances", &ec2api.DescribeInstancesRequest{InstanceIds: []string{id}})
	return *out.Reservations[0].Instances[0].State.Name
}

// runs launches as the operator and reports whether that works.
func (y *yard) runs(in *ec2api.RunInstancesRequest) bool {
	in.MinCount, in.MaxCount = new(int32(1)), new(int32(1))
	var out ec2api.Reservation
	if err := y.ops.EC2.Do(y.t.Context(), "RunInstances", in, &out); err != nil {
		return false
	}
	settle(y.s)
	id := *out.Instances[0].InstanceId
	ok := y.state(id) == "running"
	if ok {
		testkit.Call[ec2api.TerminateInstancesResult](y.admin.EC2, "TerminateInstances", &ec2api.TerminateInstancesRequest{InstanceIds: []string{id}})
		settle(y.s)
	}
	return ok
}

// probe uses everything, as the operator, and tells what works.
func (y *yard) probe() map[string]bool {
	y.tries++
	out := map[string]bool{}
	out["LAUNCH launch-template"] = y.runs(&ec2api.RunInstancesRequest{LaunchTemplate: &ec2api.LaunchTemplateSpecification{LaunchTemplateName: new("tpl")}})
	out["LAUNCH image"] = y.runs(&ec2api.RunInstancesRequest{ImageId: &y.image, InstanceType: new("t3.micro")})
	out["LAUNCH auto-scaling-group"] = y.groupLaunches()
	out["LAUNCH fleet"] = y.fleetLaunches()
	out["LAUNCH spot-instances-request"] = y.spotLaunches()
	out["LAUNCH snapshot"] = y.makesVolume()
	var att ec2api.VolumeAttachment
	err := y.ops.EC2.Do(y.t.Context(), "AttachVolume", &ec2api.AttachVolumeRequest{InstanceId: &y.carrier, VolumeId: &y.volume, Device: new("/dev/sdh")}, &att)
	if out["LAUNCH volume"] = err == nil; err == nil {
		settle(y.s)
		testkit.Call[ec2api.VolumeAttachment](y.admin.EC2, "DetachVolume", &ec2api.DetachVolumeRequest{VolumeId: &y.volume})
		settle(y.s)
	}
	if y.state(y.instance) == "running" {
		testkit.Call[ec2api.StopInstancesResult](y.admin.EC2, "StopInstances", &ec2api.StopInstancesRequest{InstanceIds: []string{y.instance}})
		settle(y.s)
	}
	testkit.Call[ec2api.StartInstancesResult](y.ops.EC2, "StartInstances", &ec2api.StartInstancesRequest{InstanceIds: []string{y.instance}})
	settle(y.s)
	out["RESTART instance"] = y.state(y.instance) == "running"
	for action, in := range map[string]any{
		"Encrypt":         &kmsapi.EncryptRequest{KeyId: &y.key, Plaintext: secret.Bytes("x"), DryRun: new(true)},
		"GenerateDataKey": &kmsapi.GenerateDataKeyRequest{KeyId: &y.key, NumberOfBytes: new(int32(32)), DryRun: new(true)},
	} {
		e := testkit.Refused(y.ops.KMS, action, in)
		out["NOW kms:"+action] = e.Code == "DryRunOperationException"
	}
	return out
}

func (y *yard) groupLaunches() bool {
	name := fmt.Sprint("probe", y.tries)
	createGroupOf(y.admin, name, "tpl", 1)
	settle(y.s)
	ok := len(instancesOf(y.t, y.admin, name, "InService")) == 1
	testkit.Must(y.admin.AutoScaling, "DeleteAutoScalingGroup", &autoscalingapi.DeleteAutoScalingGroupType{AutoScalingGroupName: &name, ForceDelete: new(true)})
	settle(y.s)
	return ok
}

func (y *yard) makesVolume() bool {
	var v ec2api.Volume
	if err := y.ops.EC2.Do(y.t.Context(), "CreateVolume", &ec2api.CreateVolumeRequest{AvailabilityZone: new(testkit.Region + "a"), SnapshotId: &y.snapshot}, &v); err != nil {
		return false
	}
	settle(y.s)
	found := testkit.Call[ec2api.DescribeVolumesResult](y.admin.EC2, "DescribeVolumes", &ec2api.DescribeVolumesRequest{
		Filters: []ec2api.Filter{{Name: new("volume-id"), Values: []string{*v.VolumeId}}},
	}).Volumes
	if len(found) == 0 {
		return false
	}
	testkit.Must(y.admin.EC2, "DeleteVolume", &ec2api.DeleteVolumeRequest{VolumeId: v.VolumeId})
	return true
}

// change chooses a change, and how to make it.
func (y *yard) change() (kagimoriapi.ImpactChange, func()) {
	attached := ""
	all := grants(y.admin, y.key)
	if len(all) > 0 {
		attached = *pick(y.r, all).GrantId
	}
	text := *testkit.Call[kmsapi.GetKeyPolicyResponse](y.admin.KMS, "GetKeyPolicy", &kmsapi.GetKeyPolicyRequest{KeyId: &y.key}).Policy
	sids := []string{}
	for i := range 6 {
		if strings.Contains(text, fmt.Sprintf(`"s%d"`, i)) {
			sids = append(sids, fmt.Sprintf("s%d", i))
		}
	}
	for {
		switch y.r.IntN(7) {
		case 0:
			return kagimoriapi.ImpactChange{Type: new("DISABLE_KEY"), KeyId: &y.key}, func() {
				testkit.Must(y.admin.KMS, "DisableKey", &kmsapi.DisableKeyRequest{KeyId: &y.key})
			}
		case 1:
			return kagimoriapi.ImpactChange{Type: new("SCHEDULE_KEY_DELETION"), KeyId: &y.key}, func() {
				testkit.Call[kmsapi.ScheduleKeyDeletionResponse](y.admin.KMS, "ScheduleKeyDeletion", &kmsapi.ScheduleKeyDeletionRequest{KeyId: &y.key})
			}
		case 2, 3:
			id := attached
			if len(y.grants) > 0 && y.r.IntN(2) == 0 {
				id = pick(y.r, y.grants)
			}
			if id == "" {
				continue
			}
			return kagimoriapi.ImpactChange{Type: new("REVOKE_GRANT"), KeyId: &y.key, GrantId: &id}, func() {
				testkit.Must(y.admin.KMS, "RevokeGrant", &kmsapi.RevokeGrantRequest{KeyId: &y.key, GrantId: &id})
			}
		case 4:
			if len(sids) == 0 {
				continue
			}
			sid := pick(y.r, sids)
			return kagimoriapi.ImpactChange{Type: new("REMOVE_STATEMENT"), KeyId: &y.key, Statement: &sid}, func() {
				i := strings.Index(text, `{"Sid":"`+sid+`"`)
				end := i + strings.Index(text[i+1:], `{"Sid":`) // of the next statement
				if end < i {
					end = strings.LastIndex(text, "]")
					i-- // the comma before it
				}
				without := text[:i] + text[end:]
				if end != i && strings.HasPrefix(text[end:], ",") {
					without = text[:i] + text[end+1:]
				}
				testkit.Must(y.admin.KMS, "PutKeyPolicy", &kmsapi.PutKeyPolicyRequest{KeyId: &y.key, Policy: &without})
			}
		case 5:
			next := y.policy()
			return kagimoriapi.ImpactChange{Type: new("REPLACE_KEY_POLICY"), KeyId: &y.key, Policy: next}, func() {
				testkit.Must(y.admin.KMS, "PutKeyPolicy", &kmsapi.PutKeyPolicyRequest{KeyId: &y.key, Policy: next})
			}
		case 6:
			names := testkit.Call[iamapi.ListUserPoliciesResponse](y.admin.IAM, "ListUserPolicies", &iamapi.ListUserPoliciesRequest{UserName: new("ops")}).PolicyNames
			names = slices.DeleteFunc(names, func(n string) bool { return n == "ec2" })
			if len(names) == 0 {
				continue
			}
			name := pick(y.r, names)
			return kagimoriapi.ImpactChange{Type: new("DETACH_POLICY"), Principal: &y.operator, PolicyName: &name}, func() {
				testkit.Must(y.admin.IAM, "DeleteUserPolicy", &iamapi.DeleteUserPolicyRequest{UserName: new("ops"), PolicyName: &name})
			}
		}
	}
}

// predicted is what stops, in the words of probe.
func predicted(y *yard, out *kagimoriapi.PredictImpactResponse) map[string]bool {
	stops := map[string]bool{}
	for i := range out.Effects {
		e := &out.Effects[i]
		if *e.Outcome != "STOPS" {
			continue
		}
		if *e.ResourceType == "principal" {
			for _, a := range e.Actions {
				if *e.ResourceId == y.operator {
					stops["NOW "+a] = true
				}
			}
			continue
		}
		stops[*e.When+" "+*e.ResourceType] = true
	}
	return stops
}

// TestImpactIsWhatHappens: whatever the change, exactly what was predicted stops working when it is
// made for real: launches, starts after a stop, volumes that a restarted host opens, requests.
func TestImpactIsWhatHappens(t *testing.T) {
	seen := map[string]int{}
	for seed := range uint64(16) {
		s := testkit.Start(t, testkit.Options{})
		r := rand.New(rand.NewPCG(seed, 8))
		y := newYard(t, s, r, "111122223333")
		before := y.probe()
		before["HOST_RESTART volume"] = before["RESTART instance"]
		ch, apply := y.change()
		out := testkit.Call[kagimoriapi.PredictImpactResponse](y.admin.Kagimori, "PredictImpact", &kagimoriapi.PredictImpactRequest{Change: &ch, As: &y.operator})
		stops, starts := predicted(y, out), map[string]bool{}
		for i := range out.Starts {
			starts[*out.Starts[i].When+" "+*out.Starts[i].ResourceType] = true
		}
		apply()
		s.Advance(5 * 60 * 1e9)
		s.Restart()
		y.admin, y.ops = s.As(testkit.Admin(y.account)), s.As(y.opsCreds)
		settle(s)
		reopened := y.state(y.instance) == "running"
		after := y.probe()
		after["HOST_RESTART volume"] = reopened
		for _, what := range slices.Sorted(maps.Keys(before)) {
			stopped := before[what] && !after[what]
			if stopped != stops[what] {
				t.Errorf("seed %d, %s (%s%s%s): %s: worked %v, works %v, predicted to stop: %v", seed, *ch.Type, api.Val(ch.GrantId), api.Val(ch.Statement), api.Val(ch.PolicyName),
					what, before[what], after[what], stops[what])
			}
			if stopped {
				seen[what]++
			}
			// What restarts is not asked again once it failed; principals are not among what starts.
			if started := !before[what] && after[what]; strings.HasPrefix(what, "LAUNCH") && started != starts[what] {
				t.Errorf("seed %d, %s: %s: worked %v, works %v, predicted to start: %v", seed, *ch.Type, what, before[what], after[what], starts[what])
			}
		}
		s.Stop()
	}
	for _, what := range []string{"HOST_RESTART volume", "LAUNCH auto-scaling-group", "LAUNCH fleet", "LAUNCH spot-instances-request", "LAUNCH launch-template", "RESTART instance", "NOW kms:Encrypt", "LAUNCH snapshot", "LAUNCH image", "LAUNCH volume"} {
		if seen[what] == 0 {
			t.Errorf("no change stopped this: %s", what)
		}
	}
}

// TestImpactTellsWhatStarts: a group that is refused its key starts to launch with a change that helps,
// and is told before; a change that does not help starts nothing.
func TestImpactTellsWhatStarts(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	y := newYard(t, s, rand.New(rand.NewPCG(1, 1)), "111122223333")
	policy := func(more string) string {
		role := arn.Role(y.account, arn.ServiceLinkedPath("autoscaling.amazonaws.com"), "AWSServiceRoleForAutoScaling")
		return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[%s{"Sid":"a","Effect":"Allow","Principal":{"AWS":%q},"Action":"kms:*","Resource":"*"},{"Sid":"b","Effect":"Allow","Principal":{"AWS":%q},"Action":["kms:GenerateDataKey*","kms:CreateGrant"],"Resource":"*"}]}`,
			strings.ReplaceAll(more, "ROLE", role), arn.Root(y.account), role)
	}
	allowed := policy("")
	denied := policy(`{"Sid":"no","Effect":"Deny","Principal":{"AWS":"ROLE"},"Action":"kms:GenerateDataKey*","Resource":"*"},`)
	testkit.Must(y.admin.KMS, "PutKeyPolicy", &kmsapi.PutKeyPolicyRequest{KeyId: &y.key, Policy: &denied})
	s.Advance(5 * 60 * 1e9)
	createGroupOf(y.admin, "waits", "tpl", 1)
	settle(s)
	starts := func(ch kagimoriapi.ImpactChange) []string {
		ch.KeyId = &y.key
		var out []string
		for _, e := range testkit.Call[kagimoriapi.PredictImpactResponse](y.admin.Kagimori, "PredictImpact", &kagimoriapi.PredictImpactRequest{Change: &ch}).Starts {
			if *e.ResourceType != "auto-scaling-group" {
				continue
			}
			if *e.Outcome != "STARTS" || *e.Refusal.Action != "kms:GenerateDataKeyWithoutPlaintext" || len(e.Refusal.AllowedBy) == 0 {
				t.Errorf("a group starts: %+v %+v", e, e.Refusal)
			}
			out = append(out, *e.ResourceId)
		}
		return out
	}
	for _, ch := range []kagimoriapi.ImpactChange{{Type: new("REPLACE_KEY_POLICY"), Policy: &allowed}, {Type: new("REMOVE_STATEMENT"), Statement: new("no")}} {
		if got := starts(ch); !slices.Contains(got, "waits") {
			t.Errorf("%s starts %v", *ch.Type, got)
		}
	}
	for _, ch := range []kagimoriapi.ImpactChange{{Type: new("REPLACE_KEY_POLICY"), Policy: &denied}, {Type: new("DISABLE_KEY")}} {
		if got := starts(ch); got != nil {
			t.Errorf("%s starts %v", *ch.Type, got)
		}
	}
	testkit.Must(y.admin.KMS, "PutKeyPolicy", &kmsapi.PutKeyPolicyRequest{KeyId: &y.key, Policy: &allowed})
	s.Advance(60 * 60 * 1e9)
	settle(s)
	if n := len(instancesOf(t, y.admin, "waits", "InService")); n != 1 {
		t.Errorf("the group has %d instances in service", n)
	}
}

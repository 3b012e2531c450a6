package tfplan_test

import (
	"encoding/json"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/scenario/format"
	"github.com/kagimori/kagimori/internal/tfplan"
)

func mapValues[K comparable, V any](m map[K]V) iter.Seq[V] { return maps.Values(m) }

// canonical is a policy without order where none counts.
func canonical(t *testing.T, doc format.Document) any {
	t.Helper()
	var v any
	check(t, json.Unmarshal(doc, &v))
	var walk func(v any) any
	walk = func(v any) any {
		switch v := v.(type) {
		case map[string]any:
			for name, x := range v {
				v[name] = walk(x)
			}
		case []any:
			texts := true
			for i, x := range v {
				v[i] = walk(x)
				_, ok := x.(string)
				texts = texts && ok
			}
			if texts && len(v) == 1 {
				return v[0]
			}
			if texts {
				slices.SortFunc(v, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
			}
		}
		return v
	}
	return walk(v)
}

// keyOf is the name of the resource that a device's key stands for.
func keyOf(l *tfplan.Launch, template, device int) string {
	return l.Names[l.Scenario.Launch.Templates[template].BlockDevices[device].EBS.KmsKeyID]
}

func TestReferences(t *testing.T) {
	p := read(t, "modules/plan.json", tfplan.Options{})
	for _, tt := range []struct {
		name, launch     string
		template, device int
		want             string
	}{
		{"count.index", "aws_ebs_volume.counted[0]", 0, 0, "aws_kms_key.own[0].arn"},
		{"another count.index", "aws_ebs_volume.counted[1]", 0, 0, "aws_kms_key.own[1].arn"},
		{"an output of the module instance of each.key", `module.group["red"].aws_autoscaling_group.this`, 0, 0, `module.key["red"].aws_kms_key.this[0].arn`},
		{"another instance", `module.group["blue"].aws_autoscaling_group.this`, 0, 0, `module.key["blue"].aws_kms_key.this[0].arn`},
		{"each.value of a map of two keys", `module.group["red"].aws_autoscaling_group.this`, 1, 0,
			`module.group["red"].aws_launch_template.other["one"].block_device_mappings[0].ebs[0].kms_key_id`},
		{"a local value", `module.group["red"].aws_autoscaling_group.this`, 1, 1,
			`module.group["red"].aws_launch_template.other["one"].block_device_mappings[1].ebs[0].kms_key_id`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := keyOf(find(t, p, tt.launch), tt.template, tt.device); got != tt.want {
				t.Errorf("the key is %s, want %s", got, tt.want)
			}
		})
	}
	t.Run("an alias is on the key that it is for", func(t *testing.T) {
		l := find(t, p, "aws_ebs_volume.aliased")
		if k := l.Scenario.Keys[0]; l.Names[k.ARN] != "aws_kms_key.own[1].arn" || !slices.Equal(k.Aliases, []string{"alias/own"}) {
			t.Errorf("the key is %s with %v", l.Names[k.ARN], k.Aliases)
		}
	})
	t.Run("each resource is in the account and region of its provider", func(t *testing.T) {
		l := find(t, p, `module.group["red"].aws_autoscaling_group.this`)
		if got := l.Scenario.Launch.Account; got != "111122223333" || l.Scenario.Region != "eu-west-1" {
			t.Errorf("the group is in %s in %s", got, l.Scenario.Region)
		}
		if got := l.Scenario.Keys[0].Account; got != "444455556666" {
			t.Errorf("the key of the module is in %s", got)
		}
		if l.Scenario.Launch.Templates[0].Market != format.MarketSpot {
			t.Errorf("the market is %s", l.Scenario.Launch.Templates[0].Market)
		}
	})
	t.Run("what is not known says why", func(t *testing.T) {
		l := find(t, p, `module.group["red"].aws_autoscaling_group.this`)
		for pointer, why := range map[string]string{
			"/launch/templates/1/blockDevices/0/ebs/kmsKeyId": `it may be of module.key["blue"].aws_kms_key.this[0], or of module.key["red"].aws_kms_key.this[0]`,
			"/launch/templates/1/blockDevices/1/ebs/kmsKeyId": "local.key is a local value",
			"/images/0": "image ami-0123456789abcdef0 is not in the plan",
		} {
			if got := l.Scenario.Unknown[pointer]; !strings.Contains(got, why) {
				t.Errorf("%s is %q, want %q", pointer, got, why)
			}
		}
		if at := l.At("/launch/templates/1/blockDevices/0/ebs"); at != `module.group["red"].aws_launch_template.other["one"]` {
			t.Errorf("the device is of %s", at)
		}
	})
}

func TestWhatAVolumeIsMadeOf(t *testing.T) {
	p := read(t, "sources/plan.json", tfplan.Options{})
	t.Run("a copy of an image is under the key of the copy", func(t *testing.T) {
		l := find(t, p, "aws_instance.web")
		sc := l.Scenario
		if len(sc.Images) != 1 || len(sc.Snapshots) != 1 || sc.Snapshots[0].Key == nil {
			t.Fatalf("images %v, snapshots %v", sc.Images, sc.Snapshots)
		}
		if got := l.Names[*sc.Snapshots[0].Key]; got != "aws_kms_key.images.arn" || !strings.Contains(*sc.Snapshots[0].Key, ":key/mrk-") {
			t.Errorf("the key of the image is %s (%s)", got, *sc.Snapshots[0].Key)
		}
		if sc.Launch.Operation != format.RunInstances || *sc.Launch.Caller != "arn:aws:iam::111122223333:user/admin" {
			t.Errorf("%s is done by %s", sc.Launch.Operation, *sc.Launch.Caller)
		}
		if got := keyOf(l, 0, 1); got != "aws_kms_key.data.arn" {
			t.Errorf("the second device is under %s", got)
		}
		if d := sc.Launch.Templates[0].BlockDevices[0]; d.Device != "/dev/xvda" || d.EBS.Encrypted != nil || d.EBS.VolumeSize != 20 {
			t.Errorf("the root device is %+v", d)
		}
	})
	t.Run("a copy of a snapshot of a volume", func(t *testing.T) {
		l := find(t, p, "aws_ebs_snapshot_copy.data")
		sc := l.Scenario
		if sc.Launch.Operation != format.CopySnapshot || len(sc.Snapshots) != 1 || l.Names[*sc.Snapshots[0].Key] != "aws_kms_key.data.arn" {
			t.Errorf("%s of %v", sc.Launch.Operation, sc.Snapshots)
		}
		if got := keyOf(l, 0, 0); got != "aws_kms_key.images.arn" {
			t.Errorf("the copy is under %s", got)
		}
	})
	t.Run("the tag that fixes an id is taken at its word", func(t *testing.T) {
		v := find(t, p, "aws_volume_attachment.data").Scenario.Launch.ExistingVolumes[0]
		if v.Key == nil || !strings.HasSuffix(*v.Key, ":key/1a2b3c4d-5e6f-4a2b-8c4d-5e6f1a2b3c4d") {
			t.Errorf("the volume is %+v", v)
		}
	})
}

func TestOptions(t *testing.T) {
	const made = "aws_ebs_volume.counted[0]"
	l := find(t, read(t, "modules/plan.json", tfplan.Options{}), made)
	if len(l.Assumed) != 1 || !strings.Contains(l.Assumed[0], "whoever applies the plan in account 111122223333") {
		t.Errorf("assumed is %q", l.Assumed)
	}
	l = find(t, read(t, "modules/plan.json", tfplan.Options{Strict: true}), made)
	if len(l.Assumed) != 0 || !strings.Contains(l.Scenario.Unknown["/principals/0/policies"], "does not say what policies") {
		t.Errorf("assumed is %q, unknown %q", l.Assumed, l.Scenario.Unknown)
	}
	l = find(t, read(t, "modules/plan.json", tfplan.Options{PlainImages: true}), `module.group["red"].aws_autoscaling_group.this`)
	if _, unknown := l.Scenario.Unknown["/launch/templates/0/imageId"]; unknown || len(l.Assumed) == 0 {
		t.Errorf("assumed is %q, unknown %q", l.Assumed, l.Scenario.Unknown)
	}
}

func TestGrantsOfAPlanAreMadeByWhoAppliesIt(t *testing.T) {
	l := find(t, read(t, "two-accounts/good.json", tfplan.Options{}), web)
	want := []format.Step{{Call: format.CallCreateGrant, As: "arn:aws:iam::111122223333:role/terraform", Params: format.Params{
		Key:              l.Scenario.Keys[0].ARN,
		GranteePrincipal: "arn:aws:iam::111122223333:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling",
		Operations:       []string{"CreateGrant", "Decrypt", "DescribeKey", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo"},
	}}}
	if diff := cmp.Diff(want, l.Scenario.Setup); diff != "" {
		t.Errorf("the setup (-want +got):\n%s", diff)
	}
	if at := l.At("/setup/0/params/operations"); at != "aws_kms_grant.autoscaling" {
		t.Errorf("the step is of %s", at)
	}
	if k := l.Scenario.Keys[0]; k.Account != "444455556666" {
		t.Errorf("the key is of %s", k.Account)
	}
}

func TestNodeGroups(t *testing.T) {
	p := read(t, "modules/plan.json", tfplan.Options{PlainImages: true})
	l := find(t, p, "aws_eks_node_group.nodes")
	if g := l.Scenario.Launch.Group; g == nil || g.Name != "nodes" || g.Desired != 2 || g.ServiceLinkedRoleARN != nil || l.Scenario.Launch.Templates[0].Market != format.MarketSpot {
		t.Errorf("the launch is %+v", l.Scenario.Launch)
	}
	// The block is dynamic, and the module is given one key.
	if got := keyOf(l, 0, 0); got != "aws_kms_key.own[0].arn" {
		t.Errorf("the key is %s", got)
	}
	const assumed = "module.fleet.aws_launch_template.this.block_device_mappings[0].ebs[0].kms_key_id is of aws_kms_key.own[0], the only one that module.fleet is given: the block is dynamic"
	if !slices.Contains(l.Assumed, assumed) {
		t.Errorf("assumed is %q", l.Assumed)
	}
	l = find(t, p, "aws_eks_node_group.plain")
	if d := l.Scenario.Launch.Templates[0].BlockDevices; len(d) != 1 || d[0].EBS != (format.BlockVolume{}) || len(l.Assumed) != 1 {
		t.Errorf("devices are %+v, assumed is %q", d, l.Assumed)
	}
}

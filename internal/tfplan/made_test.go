package tfplan_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/scenario/format"
	"github.com/kagimori/kagimori/internal/tfplan"
)

// A part is a resource of a plan made by hand, for what is hard to have Terraform plan: address,
// attributes, unknown attributes and expressions as JSON objects; before the latter there may be
// "for_each EXPRESSION".
type part struct{ addr, values, unknown, exprs string }

// made makes a plan. A data source with unknown attributes is read during apply. What is not a data source is created unless its address begins with "=".
func made(t *testing.T, provider string, parts ...part) *tfplan.Plan {
	t.Helper()
	return madeWith(t, provider, tfplan.Options{}, parts...)
}

func madeWith(t *testing.T, provider string, opt tfplan.Options, parts ...part) *tfplan.Plan {
	t.Helper()
	or := func(s, instead string) json.RawMessage {
		if s == "" {
			s = instead
		}
		return json.RawMessage(s)
	}
	var changes, read, blocks []any
	for _, p := range parts {
		addr, same := strings.CutPrefix(p.addr, "=")
		mode, kind := "managed", addr
		if data, ok := strings.CutPrefix(addr, "data."); ok {
			mode, kind = "data", data
		}
		typ, name, _ := strings.Cut(kind, ".")
		name, _, _ = strings.Cut(name, "[")
		r := map[string]any{"address": addr, "mode": mode, "type": typ, "name": name}
		block := map[string]any{"mode": mode, "type": typ, "name": name, "provider_config_key": "aws", "expressions": or(p.exprs, "{}")}
		if forEach, ok := strings.CutPrefix(p.exprs, "for_each "); ok {
			each, exprs, _ := strings.Cut(forEach, " ")
			block["for_each_expression"], block["expressions"] = json.RawMessage(each), json.RawMessage(exprs)
		}
		blocks = append(blocks, block)
		if mode == "data" && p.unknown == "" {
			r["values"] = or(p.values, "{}")
			read = append(read, r)
			continue
		}
		action := "create"
		if same {
			action = "no-op"
		}
		r["change"] = map[string]any{"actions": []string{action}, "after": or(p.values, "{}"), "after_unknown": or(p.unknown, "{}")}
		changes = append(changes, r)
	}
	data, err := json.Marshal(map[string]any{
		"format_version": "1.2", "resource_changes": changes, "prior_state": map[string]any{"values": map[string]any{"root_module": map[string]any{"resources": read}}},
		"variables": map[string]any{"role": map[string]any{"value": "arn:aws:iam::777788889999:role/ci/deployer"}},
		"configuration": map[string]any{
			"provider_config": map[string]any{"aws": map[string]any{"name": "aws", "expressions": or(provider, `{"region":{"constant_value":"us-west-2"}}`)}},
			"root_module":     map[string]any{"resources": blocks},
		},
	})
	check(t, err)
	p, err := tfplan.Read(data, opt)
	check(t, err)
	for i := range p.Launches {
		sound(t, &p.Launches[i])
	}
	return p
}

const volume = "aws_ebs_volume.a"

func TestAccountsOfProviders(t *testing.T) {
	const region = `"region":{"constant_value":"us-west-2"}`
	rootOf := func(account string) string {
		return fmt.Sprintf(`{"policy":"{\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"kms:*\",\"Resource\":\"*\",\"Principal\":{\"AWS\":\"arn:aws:iam::%s:root\"}}]}"}`, account)
	}
	for _, tt := range []struct {
		name, provider  string
		parts           []part
		account, caller string // account "" if it is not known
	}{
		{"nothing says it", "{" + region + "}", nil, "", "role/terraform"},
		{"who was asked", "{" + region + "}", []part{{"data.aws_caller_identity.me", `{"account_id":"111122223333","arn":"arn:aws:sts::111122223333:assumed-role/ci/session"}`, "", ""}},
			"111122223333", "role/ci"},
		{"a root user", "{" + region + "}", []part{{"data.aws_caller_identity.me", `{"account_id":"111122223333","arn":"arn:aws:iam::111122223333:root"}`, "", ""}},
			"111122223333", "root"},
		{"the role to be assumed, by a variable", "{" + region + `,"assume_role":[{"role_arn":{"references":["var.role"]}}]}`, nil, "777788889999", "role/ci/deployer"},
		{"the only one allowed", "{" + region + `,"allowed_account_ids":{"constant_value":["444455556666"]}}`, nil, "444455556666", "role/terraform"},
		{"one of two allowed", "{" + region + `,"allowed_account_ids":{"constant_value":["444455556666","111122223333"]}}`, nil, "", "role/terraform"},
		{"an ARN", "{" + region + "}", []part{{"=aws_iam_role.r", `{"arn":"arn:aws:iam::222233334444:role/r","name":"r"}`, "", ""}}, "222233334444", "role/terraform"},
		{"ARNs of two accounts", "{" + region + "}", []part{
			{"=aws_iam_role.r", `{"arn":"arn:aws:iam::222233334444:role/r","name":"r"}`, "", ""},
			{"=aws_iam_role.s", `{"arn":"arn:aws:iam::333344445555:role/s","name":"s"}`, "", ""},
		}, "", "role/terraform"},
		{"who administers the key", "{" + region + "}", []part{{"aws_kms_key.k", rootOf("555566667777"), "", ""}}, "555566667777", "role/terraform"},
		{"who administers the key, by a document that is known after apply", "{" + region + "}", []part{
			{"aws_kms_key.k", "", `{"policy":true}`, `{"policy":{"references":["data.aws_iam_policy_document.d.json","data.aws_iam_policy_document.d"]}}`},
			{"data.aws_iam_policy_document.d", `{"statement":[{"effect":null,"actions":["kms:*"],"resources":["*"],"principals":[{"type":"AWS","identifiers":["arn:aws:iam::555566667777:root"]}]},
				{"effect":"Deny","actions":["kms:*"],"resources":["*"],"principals":[{"type":"AWS","identifiers":["arn:aws:iam::666677778888:root"]}]},
				{"effect":"Allow","actions":["kms:Decrypt"],"resources":["*"],"principals":[{"type":"AWS","identifiers":["arn:aws:iam::777788889999:root"]}]}]}`, `{"json":true}`, ""},
		}, "555566667777", "role/terraform"},
		{"the policy of a key that is a resource of its own", "{" + region + "}", []part{{"aws_kms_key_policy.k", rootOf("555566667777"), "", ""}}, "555566667777", "role/terraform"},
		{"the role of a group", "{" + region + "}", []part{{"aws_autoscaling_group.g",
			`{"service_linked_role_arn":"arn:aws:iam::555566667777:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling_x"}`, "", ""}},
			"555566667777", "role/terraform"},
		{"who administers the keys differs", "{" + region + "}", []part{{"aws_kms_key.k", rootOf("555566667777"), "", ""}, {"aws_kms_key.l", rootOf("666677778888"), "", ""}},
			"", "role/terraform"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := find(t, made(t, tt.provider, append(tt.parts, part{volume, `{"encrypted":true}`, "", ""})...), volume)
			sc := l.Scenario
			if caller := *sc.Launch.Caller; !strings.HasSuffix(caller, ":"+tt.caller) {
				t.Errorf("the caller is %s", caller)
			}
			known := l.Names[sc.Launch.Account] != "<account id of aws>"
			if known != (tt.account != "") || known && sc.Launch.Account != tt.account {
				t.Errorf("the account is %s, called %q", sc.Launch.Account, l.Names[sc.Launch.Account])
			}
			if why := sc.Unknown["/launch/templates/0/imageId"]; why != "" {
				t.Error(why)
			}
		})
	}
}

// Which account a provider is of matters where others are named by their numbers: it may be one of them.
func TestAnAccountThatIsNotKnownMattersBesideOthers(t *testing.T) {
	const underKey = `{"kms_key_id":{"references":["aws_kms_key.k.arn","aws_kms_key.k"]}}`
	lets := func(principal string) string {
		return fmt.Sprintf(`{"policy":"{\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"kms:*\",\"Resource\":\"*\",\"Principal\":{\"AWS\":\"%s\"}}]}"}`, principal)
	}
	const some, unknown = "arn:aws:iam::555566667777:role/a", `{"id":true,"arn":true}`
	for name, tt := range map[string]struct {
		policy string
		want   bool
	}{
		"the policy that KMS writes":   {"{}", false},
		"everybody":                    {lets("*"), false},
		"a role of a numbered account": {lets(some), true},
		"a number in a condition": {`{"policy":"{\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"kms:*\",\"Resource\":\"*\",\"Principal\":\"*\",` +
			`\"Condition\":{\"StringEquals\":{\"kms:CallerAccount\":\"555566667777\"}}}]}"}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			l := find(t, made(t, `{"region":{"constant_value":"us-west-2"}}`, part{"aws_kms_key.k", tt.policy, unknown, ""},
				part{volume, `{"encrypted":true}`, `{"kms_key_id":true}`, underKey}), volume)
			why := l.Scenario.Unknown["/launch/templates/0/imageId"]
			if got := strings.Contains(why, "the account of the provider aws is not in the plan; --account tells it"); got != tt.want {
				t.Errorf("unknown: %v, want %v: %v", got, tt.want, l.Scenario.Unknown)
			}
		})
	}
}

func TestRegions(t *testing.T) {
	const me = `{"account_id":"111122223333"}`
	for name, tt := range map[string]struct {
		parts []part
		want  string
	}{
		"nothing says it": {[]part{{volume, "", "", ""}}, ""},
		"who was asked":   {[]part{{volume, "", "", ""}, {"data.aws_region.here", `{"name":"ap-northeast-1"}`, "", ""}}, "ap-northeast-1"},
		"a zone":          {[]part{{volume, `{"availability_zone":"eu-central-1b"}`, "", ""}}, "eu-central-1"},
		"a local zone":    {[]part{{volume, `{"availability_zone":"us-west-2-lax-1a"}`, "", ""}}, ""},
		"an ARN":          {[]part{{volume, "", "", ""}, {"=aws_kms_key.k", `{"arn":"arn:aws:kms:sa-east-1:111122223333:key/a"}`, "", ""}}, "sa-east-1"},
	} {
		t.Run(name, func(t *testing.T) {
			sc := find(t, made(t, "{}", append(tt.parts, part{"data.aws_caller_identity.me", me, "", ""})...), volume).Scenario
			why, unknown := sc.Unknown["/launch/templates/0/imageId"]
			if unknown != (tt.want == "") || !unknown && sc.Region != tt.want {
				t.Errorf("the region is %s, unknown: %q", sc.Region, why)
			}
		})
	}
}

// group is a group with what it launches, in account 111122223333 in us-west-2.
func group(t *testing.T, attributes, exprs string, parts ...part) *tfplan.Launch {
	t.Helper()
	parts = append(parts, part{"data.aws_caller_identity.me", `{"account_id":"111122223333"}`, "", ""}, part{web, attributes, "", exprs})
	return find(t, made(t, "", parts...), web)
}

func TestMarkets(t *testing.T) {
	lt := part{"=aws_launch_template.t", `{"id":"lt-1","name":"t","latest_version":1,"default_version":1}`, "", ""}
	spec := `"launch_template":[{"launch_template_specification":[{"launch_template_id":"lt-1","version":"$Default"}],"override":[{"instance_type":"m5.large"},{"instance_type":"c5.large"}]}]`
	for name, tt := range map[string]struct {
		attributes string
		parts      []part
		want       string
	}{
		"a template":               {`{"launch_template":[{"id":"lt-1"}]}`, []part{lt}, format.MarketOnDemand},
		"a template by name":       {`{"launch_template":[{"id":"unknown","name":"t","version":"$Latest"}]}`, []part{lt}, format.MarketOnDemand},
		"a template of Spot":       {`{"launch_template":[{"id":"lt-2"}]}`, []part{{"=aws_launch_template.t", `{"id":"lt-2","name":"t","instance_market_options":[{"market_type":"spot"}]}`, "", ""}}, format.MarketSpot},
		"mixed without a word":     {`{"mixed_instances_policy":[{` + spec + `}]}`, []part{lt}, format.MarketOnDemand},
		"mixed, all On-Demand":     {`{"mixed_instances_policy":[{` + spec + `,"instances_distribution":[{"on_demand_percentage_above_base_capacity":100}]}]}`, []part{lt}, format.MarketOnDemand},
		"mixed, all Spot":          {`{"mixed_instances_policy":[{` + spec + `,"instances_distribution":[{"on_demand_base_capacity":0,"on_demand_percentage_above_base_capacity":0}]}]}`, []part{lt}, format.MarketSpot},
		"mixed, a base On-Demand":  {`{"mixed_instances_policy":[{` + spec + `,"instances_distribution":[{"on_demand_base_capacity":1,"on_demand_percentage_above_base_capacity":0}]}]}`, []part{lt}, format.MarketMixed},
		"mixed, half of each":      {`{"mixed_instances_policy":[{` + spec + `,"instances_distribution":[{"on_demand_percentage_above_base_capacity":50}]}]}`, []part{lt}, format.MarketMixed},
		"a configuration":          {`{"launch_configuration":"c"}`, []part{{"=aws_launch_configuration.c", `{"name":"c","spot_price":""}`, "", ""}}, format.MarketOnDemand},
		"a configuration of Spot":  {`{"launch_configuration":"c"}`, []part{{"=aws_launch_configuration.c", `{"name":"c","spot_price":"0.1"}`, "", ""}}, format.MarketSpot},
		"an image and no template": {`{}`, nil, format.MarketOnDemand},
	} {
		t.Run(name, func(t *testing.T) {
			sc := group(t, tt.attributes, "", tt.parts...).Scenario
			if ts := sc.Launch.Templates; len(ts) != 1 || ts[0].Market != tt.want {
				t.Fatalf("templates are %+v", ts)
			}
			if name == "mixed, half of each" && !slices.Equal(sc.Launch.Templates[0].InstanceTypes, []string{"m5.large", "c5.large"}) {
				t.Errorf("types are %v", sc.Launch.Templates[0].InstanceTypes)
			}
			spot := slices.ContainsFunc(sc.Principals, func(p format.Principal) bool { return strings.HasSuffix(p.ARN, "/AWSServiceRoleForEC2Spot") })
			if spot != (name == "a configuration of Spot") {
				t.Errorf("the role of Spot is there: %v", spot)
			}
		})
	}
}

func TestVersionsOfTemplates(t *testing.T) {
	for _, tt := range []struct {
		version, template string
		known             bool
	}{
		{`"$Latest"`, `"latest_version":3,"default_version":1`, true},
		{`"3"`, `"latest_version":3,"default_version":1`, true},
		{`"2"`, `"latest_version":3,"default_version":1`, false},
		{`"$Default"`, `"latest_version":3,"default_version":3`, true},
		{`"$Default"`, `"latest_version":3,"default_version":1`, false},
		{`null`, `"latest_version":3,"default_version":1`, false},
	} {
		sc := group(t, `{"launch_template":[{"id":"lt-1","version":`+tt.version+`}]}`, "",
			part{"=aws_launch_template.t", `{"id":"lt-1","name":"t","image_id":"ami-1","block_device_mappings":[],` + tt.template + `}`, "", ""},
			part{"data.aws_ami.a", `{"id":"ami-1","owner_id":"111122223333","block_device_mappings":[{"device_name":"/dev/xvda","ebs":{"snapshot_id":"snap-1","encrypted":"false"}}]}`, "", ""},
		).Scenario
		why, unknown := sc.Unknown["/launch/templates/0/imageId"]
		if unknown == tt.known || unknown && !strings.Contains(why, "another version") {
			t.Errorf("version %s of %s: unknown is %q", tt.version, tt.template, why)
		}
	}
}

func TestMappingsThatAreNoVolumes(t *testing.T) {
	l := group(t, `{"launch_template":[{"id":"lt-1","version":"$Latest"}]}`, "", part{"=aws_launch_template.t", `{"id":"lt-1","name":"t","block_device_mappings":[
		{"device_name":"/dev/sdb","virtual_name":"ephemeral0","ebs":[]},
		{"device_name":"/dev/xvda","no_device":"true","ebs":[]},
		{"device_name":"/dev/sdf","ebs":[{"encrypted":"","volume_size":5}]}]}`, "", ""})
	if d := l.Scenario.Launch.Templates[0].BlockDevices; len(d) != 1 || d[0].Device != "/dev/sdf" || d[0].EBS.Encrypted != nil {
		t.Errorf("devices are %+v", d)
	}
	if why := l.Scenario.Unknown["/launch/templates/0/imageId"]; !strings.Contains(why, "leaves out the image's device /dev/xvda") {
		t.Errorf("the image is unknown for %q", why)
	}
}

// TestHowSourcesAreEncrypted follows a volume to what its snapshot was made of.
func TestHowSourcesAreEncrypted(t *testing.T) {
	const own, other = `"arn:aws:kms:us-west-2:111122223333:key/own"`, `"arn:aws:kms:us-west-2:111122223333:key/other"`
	ref := func(s string) string { return `{"references":["` + s + `.id","` + s + `"]}` }
	off := part{"aws_ebs_encryption_by_default.d", `{"enabled":false}`, "", ""}
	on := part{"aws_ebs_encryption_by_default.d", `{"enabled":true}`, "", ""}
	key := part{"aws_ebs_default_kms_key.d", `{"key_arn":` + other + `}`, "", ""}
	snap := part{"aws_ebs_snapshot.s", "", `{"encrypted":true,"id":true,"volume_id":true}`, `{"volume_id":` + ref("aws_ebs_volume.v") + `}`}
	for _, tt := range []struct {
		name  string
		parts []part
		want  string // the snapshot's key, "" if it has none, "?" if that is not known
	}{
		{"of a plain volume", []part{off, snap, {"aws_ebs_volume.v", `{}`, `{"id":true}`, ""}}, ""},
		{"of a volume of which the defaults decide", []part{snap, {"aws_ebs_volume.v", `{}`, `{"id":true}`, ""}}, "?"},
		{"of a volume under a key", []part{off, snap, {"aws_ebs_volume.v", `{"encrypted":true,"kms_key_id":` + own + `}`, `{"id":true}`, ""}}, "own"},
		{"of a volume under the default key", []part{on, key, snap, {"aws_ebs_volume.v", `{}`, `{"id":true}`, ""}}, "other"},
		{"of a volume that is there", []part{snap, {"=aws_ebs_volume.v", `{"id":"vol-1","encrypted":true,"kms_key_id":` + own + `}`, "", ""}}, "own"},
		{"of a volume of an encrypted snapshot", []part{
			off, snap, {"aws_ebs_volume.v", `{"snapshot_id":"snap-2"}`, `{"id":true}`, ""},
			{"data.aws_ebs_snapshot.x", `{"id":"snap-2","encrypted":true,"kms_key_id":` + own + `,"owner_id":"111122223333"}`, "", ""},
		}, "own"},
		{"of a volume of another's encrypted snapshot", []part{
			off, key, snap, {"aws_ebs_volume.v", `{"snapshot_id":"snap-2"}`, `{"id":true}`, ""},
			{"data.aws_ebs_snapshot.x", `{"id":"snap-2","encrypted":true,"kms_key_id":` + own + `,"owner_id":"444455556666"}`, "", ""},
		}, "other"},
		{"of a volume that nobody knows", []part{{"aws_ebs_snapshot.s", `{"volume_id":"vol-9"}`, `{"encrypted":true,"id":true}`, ""}}, "?"},
		{"a copy under a key", []part{
			off, {"aws_ebs_snapshot_copy.s", `{"encrypted":true,"kms_key_id":` + own + `,"source_snapshot_id":"snap-9"}`, `{"id":true}`, ""},
		}, "own"},
		{"a plain copy of a plain snapshot", []part{
			off, {"aws_ebs_snapshot_copy.s", `{"source_snapshot_id":"snap-2"}`, `{"id":true}`, ""}, {"data.aws_ebs_snapshot.x", `{"id":"snap-2","encrypted":false}`, "", ""},
		}, ""},
		{"a plain copy of what nobody knows", []part{off, {"aws_ebs_snapshot_copy.s", `{"source_snapshot_id":"snap-9"}`, `{"id":true}`, ""}}, "?"},
		{"a copy under the default key, which nobody knows", []part{off, {"aws_ebs_snapshot_copy.s", `{"encrypted":true,"source_snapshot_id":"snap-9"}`, `{"id":true}`, ""}}, "?"},
		{"a copy under the AWS managed key", []part{
			off, {"aws_ebs_default_kms_key.d", `{"key_arn":"alias/aws/ebs"}`, "", ""}, {"aws_ebs_snapshot_copy.s", `{"encrypted":true,"source_snapshot_id":"snap-9"}`, `{"id":true}`, ""},
		}, "aws"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			made := made(t, "", append(tt.parts, part{"data.aws_caller_identity.me", `{"account_id":"111122223333"}`, "", ""},
				part{"aws_ebs_volume.a", `{}`, `{"id":true,"snapshot_id":true}`, `{"snapshot_id":{"references":["aws_ebs_snapshot.s.id","aws_ebs_snapshot.s","aws_ebs_snapshot_copy.s.id","aws_ebs_snapshot_copy.s"]}}`})...)
			sc := find(t, made, volume).Scenario
			if len(sc.Snapshots) != 1 {
				t.Fatalf("snapshots %+v, unknown %v", sc.Snapshots, sc.Unknown)
			}
			s, got := sc.Snapshots[0], ""
			_, unknown := sc.Unknown["/snapshots/0/encrypted"]
			_, unknownKey := sc.Unknown["/snapshots/0/key"]
			switch {
			case unknown || unknownKey:
				got = "?"
			case s.Key != nil && sc.Key(*s.Key).Manager == format.ManagerAWS:
				got = "aws"
			case s.Key != nil:
				_, got, _ = strings.Cut(*s.Key, ":key/")
			}
			if got != tt.want {
				t.Errorf("the key is %q, want %q: %+v, unknown %v", got, tt.want, s, sc.Unknown)
			}
		})
	}
}

func TestInstances(t *testing.T) {
	me := part{"data.aws_caller_identity.me", `{"account_id":"111122223333","arn":"arn:aws:iam::111122223333:user/admin"}`, "", ""}
	ami := part{"data.aws_ami.a", `{"id":"ami-1","owner_id":"137112412989","root_device_name":"/dev/sda1","block_device_mappings":[
		{"device_name":"/dev/sda1","ebs":{"snapshot_id":"snap-1","encrypted":"false"}},{"device_name":"/dev/sdz","ebs":{},"virtual_name":"ephemeral0"}]}`, "", ""}
	lt := part{"=aws_launch_template.t", `{"id":"lt-1","name":"t","image_id":"ami-1","instance_type":"m5.large","block_device_mappings":[{"device_name":"/dev/sda1","ebs":[{"encrypted":"true"}]}]}`, "", ""}
	const instance = "aws_instance.i"
	for _, tt := range []struct {
		name, values, unknown, exprs string
		devices                      []string
		market, why                  string
	}{
		{"nothing but an image", `{"ami":"ami-1"}`, `{"ebs_block_device":true,"root_block_device":true}`, `{"ami":{"constant_value":"ami-1"}}`, nil, format.MarketOnDemand, ""},
		{"a root device whose name AWS knows", `{"ami":"ami-1","root_block_device":[{"encrypted":true}],"instance_market_options":[{"market_type":"spot"}]}`,
			`{"root_block_device":[{"device_name":true,"kms_key_id":true}]}`, `{"root_block_device":[{"encrypted":{"constant_value":true}}]}`, []string{"/dev/sda1"}, format.MarketSpot, ""},
		{"devices that are known only later", `{"ami":"ami-1"}`, `{"ebs_block_device":true}`, `{"ebs_block_device":[]}`, nil, format.MarketOnDemand, "aws_instance.i.ebs_block_device is not known before apply"},
		{"a template", `{"launch_template":[{"name":"t"}]}`, "", "", []string{"/dev/sda1"}, format.MarketOnDemand, ""},
		{"a template and a device of its own", `{"launch_template":[{"name":"t"}],"ami":"ami-1","ebs_block_device":[{"device_name":"/dev/sdf"}]}`, "", "", []string{"/dev/sda1", "/dev/sdf"}, format.MarketOnDemand, ""},
		{"both map one device", `{"launch_template":[{"name":"t"}],"root_block_device":[{"device_name":"/dev/sda1"}]}`, "", "", []string{"/dev/sda1", "/dev/sda1"}, format.MarketOnDemand,
			"aws_instance.i maps /dev/sda1, and so does its launch template"},
		{"a template of elsewhere", `{"launch_template":[{"id":"lt-9"}],"ami":"ami-1"}`, "", "", nil, format.MarketOnDemand, "launch template lt-9 is not in the plan"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sc := find(t, made(t, "", me, ami, lt, part{instance, tt.values, tt.unknown, tt.exprs}), instance).Scenario
			l := sc.Launch
			if l.Operation != format.RunInstances || len(l.Templates) != 1 || l.Templates[0].Market != tt.market {
				t.Fatalf("the launch is %+v", l)
			}
			var devices []string
			for _, d := range l.Templates[0].BlockDevices {
				devices = append(devices, d.Device)
			}
			if !slices.Equal(devices, tt.devices) {
				t.Errorf("devices are %q, want %q", devices, tt.devices)
			}
			if why := sc.Unknown["/launch/templates/0/imageId"]; (why == "") != (tt.why == "") || !strings.Contains(why, tt.why) {
				t.Errorf("unknown is %q, want %q", why, tt.why)
			}
			if len(sc.Images) == 1 && (len(sc.Images[0].Devices) != 1 || !slices.Equal(sc.Images[0].SharedWith, []string{"111122223333"})) {
				t.Errorf("the image is %+v", sc.Images[0])
			}
		})
	}
}

func TestKeysOfElsewhere(t *testing.T) {
	const key = "arn:aws:kms:us-west-2:444455556666:key/1234abcd-12ab-34cd-56ef-1234567890ab"
	const ours = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
	me := part{"data.aws_caller_identity.me", `{"account_id":"111122223333"}`, "", ""}
	grant := part{"=aws_kms_grant.g", `{"key_id":"` + key + `","grant_id":"g1","grantee_principal":"arn:aws:iam::111122223333:role/r","operations":["Decrypt"],
		"constraints":[{"encryption_context_equals":{"a":"b"},"encryption_context_subset":{}}]}`, "", ""}
	for _, tt := range []struct {
		name, written string
		parts         []part
		unknown       []string // members of the key
		check         func(k *format.Key) bool
	}{
		{"only its ARN", key, nil, []string{"grants", "policy", "spec", "state", "usage"}, func(k *format.Key) bool { return k.ARN == key && k.Account == "444455556666" }},
		{"with a grant of the plan", key, []part{grant}, []string{"grants", "policy", "spec", "state", "usage"}, func(k *format.Key) bool {
			return len(k.Grants) == 1 && k.Grants[0].ID == "g1" && k.Grants[0].Constraints.EncryptionContextEquals["a"] == "b" && k.Grants[0].IssuingAccount == "111122223333"
		}},
		{"with a data source", key, []part{{"data.aws_kms_key.k", `{"key_id":"alias/x","arn":"` + key + `","key_state":"Disabled","key_spec":"SYMMETRIC_DEFAULT","key_usage":"ENCRYPT_DECRYPT"}`, "", ""}},
			[]string{"grants", "policy"}, func(k *format.Key) bool { return k.State == "Disabled" }},
		{"by an alias that a data source has", "alias/x", []part{{"data.aws_kms_alias.a", `{"name":"alias/x","target_key_arn":"` + ours + `"}`, "", ""}},
			[]string{"grants", "policy", "spec", "state", "usage"}, func(k *format.Key) bool { return k.ARN == ours && slices.Equal(k.Aliases, []string{"alias/x"}) }},
		{"by an alias that nobody has", "alias/y", nil, []string{"grants", "policy", "spec", "state", "usage"},
			func(k *format.Key) bool {
				return k.Account == "111122223333" && slices.Equal(k.Aliases, []string{"alias/y"})
			}},
		{"by its id", "1234abcd-12ab-34cd-56ef-1234567890ab", nil, []string{"grants", "policy", "spec", "state", "usage"}, func(k *format.Key) bool { return k.Account == "111122223333" }},
		{"a grant that is not known as a whole", key, []part{{"aws_kms_grant.g", `{"key_id":"` + key + `","operations":["Decrypt"]}`, `{"grantee_principal":true}`, `{"grantee_principal":{"references":["local.x"]}}`}},
			[]string{"grants", "policy", "spec", "state", "usage"}, func(k *format.Key) bool { return true }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sc := find(t, made(t, "", append(tt.parts, me, part{volume, `{"encrypted":true,"kms_key_id":"` + tt.written + `"}`, "", ""})...), volume).Scenario
			if len(sc.Keys) != 1 || !tt.check(&sc.Keys[0]) {
				t.Fatalf("keys are %+v", sc.Keys)
			}
			var unknown []string
			for _, member := range []string{"grants", "policy", "spec", "state", "usage"} {
				if _, ok := sc.Unknown["/keys/0/"+member]; ok {
					unknown = append(unknown, member)
				}
			}
			if !slices.Equal(unknown, tt.unknown) {
				t.Errorf("unknown are %q, want %q", unknown, tt.unknown)
			}
			if got := sc.Launch.Templates[0].BlockDevices[0].EBS.KmsKeyID; got != tt.written {
				t.Errorf("the volume names %s", got)
			}
		})
	}
	t.Run("the AWS managed key is none of them", func(t *testing.T) {
		if sc := find(t, made(t, "", me, part{volume, `{"encrypted":true,"kms_key_id":"alias/aws/ebs"}`, "", ""}), volume).Scenario; len(sc.Keys) != 0 {
			t.Errorf("keys are %+v", sc.Keys)
		}
	})
}

// The state of modules tells the resources of a module before its address.
func TestStatesOfModules(t *testing.T) {
	const key = "arn:aws:kms:eu-west-3:222233334444:key/1234abcd-12ab-34cd-56ef-1234567890ab"
	resource := func(address, typ, values string) string {
		return `{"address":"` + address + `","mode":"managed","type":"` + typ + `","name":"x","values":` + values + `}`
	}
	p, err := tfplan.Read([]byte(`{"format_version":"1.0","values":{"root_module":{"resources":[`+
		resource("aws_kms_key.x", "aws_kms_key", `{"arn":"`+key+`","key_id":"1234abcd-12ab-34cd-56ef-1234567890ab","is_enabled":true,"policy":"{}"}`)+
		`],"child_modules":[{"resources":[`+
		resource("module.m.aws_launch_template.x", "aws_launch_template", `{"id":"lt-1","name":"t","latest_version":1,"default_version":1,"block_device_mappings":[{"device_name":"/dev/sdf","ebs":[{"encrypted":"true","kms_key_id":"`+key+`"}]}],
			"arn":"arn:aws:ec2:eu-west-3:222233334444:launch-template/lt-1"}`)+`,`+
		resource("module.m.aws_autoscaling_group.x", "aws_autoscaling_group", `{"name":"g","desired_capacity":3,"launch_template":[{"id":"lt-1","version":"1"}],
			"arn":"arn:aws:autoscaling:eu-west-3:222233334444:autoScalingGroup:u:autoScalingGroupName/g"}`)+
		`],"address":"module.m"}]}}}`), tfplan.Options{PlainImages: true})
	check(t, err)
	l := find(t, p, "module.m.aws_autoscaling_group.x")
	sound(t, l)
	sc := l.Scenario
	if sc.Region != "eu-west-3" || sc.Launch.Account != "222233334444" || sc.Launch.Group.Desired != 3 || len(sc.Keys) != 1 || sc.Keys[0].ARN != key {
		t.Errorf("the scenario is %+v", sc)
	}
	if at := l.At("/launch/templates/0/blockDevices/0"); at != "module.m.aws_launch_template.x" || l.At("/keys/0/state") != "aws_kms_key.x" {
		t.Errorf("the template is %s", at)
	}
}

func TestWhichInstanceIsMeant(t *testing.T) {
	me := part{"data.aws_caller_identity.me", `{"account_id":"111122223333"}`, "", ""}
	keys := func(names ...string) []part {
		parts := []part{me}
		for _, n := range names {
			parts = append(parts, part{"aws_kms_key.k[" + n + "]", "", `{"arn":true}`, ""})
		}
		return parts
	}
	const unknown = `{"kms_key_id":true}`
	for _, tt := range []struct {
		name          string
		keys, volumes []string
		exprs         string
		launch, want  string // want "" is not known
		assumed       string
	}{
		{"count.index among as many", []string{"0", "1"}, []string{"0", "1"}, `{"kms_key_id":{"references":["aws_kms_key.k","count.index"]}}`, "[1]", "aws_kms_key.k[1].arn", ""},
		{"count.index among less, where it may be changed", []string{"0", "1"}, []string{"0", "1", "2"}, `{"kms_key_id":{"references":["aws_kms_key.k","count.index"]}}`, "[1]", "", ""},
		{"count.index, but there is one", []string{"0"}, []string{"0", "1"}, `{"kms_key_id":{"references":["aws_kms_key.k","count.index"]}}`, "[1]", "aws_kms_key.k[0].arn", ""},
		{"each.key", []string{`"a"`, `"b"`}, []string{`"a"`}, `{"kms_key_id":{"references":["aws_kms_key.k","each.key"]}}`, `["a"]`, `aws_kms_key.k["a"].arn`, ""},
		{"each.value over keys", []string{`"a"`, `"b"`}, []string{`"a"`, `"b"`},
			`for_each {"references":["aws_kms_key.k"]} {"kms_key_id":{"references":["each.value.arn","each.value"]}}`, `["b"]`, `aws_kms_key.k["b"].arn`, ""},
		{"one that is named", []string{`"a"`, `"b"`}, []string{`"a"`}, `{"kms_key_id":{"references":["aws_kms_key.k[\"b\"].arn","aws_kms_key.k[\"b\"]","aws_kms_key.k"]}}`, `["a"]`, `aws_kms_key.k["b"].arn`, ""},
		{"one that is not there, and one that is", []string{"0"}, []string{"0"},
			`{"kms_key_id":{"references":["aws_kms_key.k[7].arn","aws_kms_key.k[7]","aws_kms_key.k","aws_kms_key.k[0].arn","aws_kms_key.k[0]","aws_kms_key.k"]}}`, "[0]", "aws_kms_key.k[0].arn", ""},
		{"one that is not there", []string{"0"}, []string{"0"}, `{"kms_key_id":{"references":["aws_kms_key.k[7].arn","aws_kms_key.k[7]","aws_kms_key.k"]}}`, "[0]", "", ""},
		{"one, or a local value", []string{"0"}, []string{"0"}, `{"kms_key_id":{"references":["local.key","aws_kms_key.k[0].arn","aws_kms_key.k[0]","aws_kms_key.k"]}}`, "[0]", "aws_kms_key.k[0].arn",
			"aws_ebs_volume.v[0].kms_key_id is of aws_kms_key.k[0]: local.key is a local value, and plans do not tell those"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			parts := keys(tt.keys...)
			for _, v := range tt.volumes {
				parts = append(parts, part{"aws_ebs_volume.v[" + v + "]", `{"encrypted":true}`, unknown, tt.exprs})
			}
			l := find(t, made(t, "", parts...), "aws_ebs_volume.v"+tt.launch)
			got := keyOf(l, 0, 0)
			if why, unknown := l.Scenario.Unknown["/launch/templates/0/blockDevices/0/ebs/kmsKeyId"]; unknown != (tt.want == "") || !unknown && got != tt.want {
				t.Errorf("the key is %s, want %s; unknown for %q", got, tt.want, why)
			}
			if i := slices.IndexFunc(l.Assumed, func(s string) bool { return strings.HasPrefix(s, "aws_ebs_volume") }); (i >= 0) != (tt.assumed != "") || i >= 0 && l.Assumed[i] != tt.assumed {
				t.Errorf("assumed is %q", l.Assumed)
			}
		})
	}
}

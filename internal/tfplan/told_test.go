package tfplan_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/doctor"
	"github.com/kagimori/kagimori/internal/tfplan"
)

// The account that the user tells is that of the provider, and of those with the same credentials.
func TestToldAccounts(t *testing.T) {
	const plan = `{"format_version":"1.2","resource_changes":[%s],"configuration":{
		"provider_config":{
			"aws":{"name":"aws","expressions":{"region":{"constant_value":"us-west-2"},"profile":{"constant_value":"web"}}},
			"aws.far":{"name":"aws","alias":"far","expressions":{"region":{"constant_value":"us-east-1"},"profile":{"constant_value":"web"}}},
			"aws.keys":{"name":"aws","alias":"keys","expressions":{"region":{"constant_value":"us-west-2"},"profile":{"constant_value":"keys"}}}},
		"root_module":{"resources":[%s]}}}`
	read := func(opt tfplan.Options, more ...string) map[string]string {
		t.Helper()
		var changes, blocks []string
		for _, name := range []string{"aws", "aws.far", "aws.keys"} {
			typ := strings.ReplaceAll(name, ".", "_")
			changes = append(changes, fmt.Sprintf(`{"address":"aws_ebs_volume.%s","mode":"managed","type":"aws_ebs_volume","name":%[1]q,"change":{"actions":["create"],"after":{"encrypted":true}}}`, typ))
			blocks = append(blocks, fmt.Sprintf(`{"mode":"managed","type":"aws_ebs_volume","name":%q,"provider_config_key":%q}`, typ, name))
		}
		for _, r := range more {
			change, block, _ := strings.Cut(r, "|")
			changes, blocks = append(changes, change), append(blocks, block)
		}
		p, err := tfplan.Read(fmt.Appendf(nil, plan, strings.Join(changes, ","), strings.Join(blocks, ",")), opt)
		check(t, err)
		out := map[string]string{}
		for _, l := range p.Launches {
			if len(l.Names) == 0 || l.Names[l.Scenario.Launch.Account] == "" {
				out[strings.TrimPrefix(l.Address, "aws_ebs_volume.")] = l.Scenario.Launch.Account
			}
		}
		return out
	}
	const key = `{"address":"aws_kms_key.k","mode":"managed","type":"aws_kms_key","name":"k","change":{"actions":["create"],"after":` +
		`{"policy":"{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"kms:*\",\"Resource\":\"*\",\"Principal\":{\"AWS\":\"555566667777\"}}}"}}}|` +
		`{"mode":"managed","type":"aws_kms_key","name":"k","provider_config_key":"aws.far"}`
	for _, tt := range []struct {
		name string
		got  map[string]string
		want map[string]string
	}{
		{"nobody tells", read(tfplan.Options{}), map[string]string{}},
		{"that of the default provider", read(tfplan.Options{Accounts: map[string]string{"": "111122223333"}}), map[string]string{"aws": "111122223333", "aws_far": "111122223333"}},
		{"that of another", read(tfplan.Options{Accounts: map[string]string{"": "111122223333", "aws.keys": "444455556666"}}),
			map[string]string{"aws": "111122223333", "aws_far": "111122223333", "aws_keys": "444455556666"}},
		{"a provider that differs in the region tells", read(tfplan.Options{Accounts: map[string]string{"": "111122223333"}}, key), map[string]string{"aws": "555566667777", "aws_far": "555566667777"}},
	} {
		if diff := cmp.Diff(tt.want, tt.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// The root device of an image that nobody describes is there, whether the template maps it or not.
func TestRootDeviceOfPlainImages(t *testing.T) {
	const settings = `{"enabled":true}`
	group := []part{
		{"aws_launch_configuration.l", `{"name":"l","image_id":"ami-1","ebs_block_device":[{"device_name":"/dev/sdf","encrypted":false}]}`, "", ""},
		{"aws_autoscaling_group.g", `{"launch_configuration":"l"}`, "", `{"launch_configuration":{"references":["aws_launch_configuration.l.name","aws_launch_configuration.l"]}}`},
	}
	for _, tt := range []struct {
		name    string
		opt     tfplan.Options
		parts   []part
		verdict string
	}{
		{"encryption by default under a key that nobody may use", tfplan.Options{}, []part{
			{"aws_ebs_encryption_by_default.e", settings, "", ""},
			{"aws_ebs_default_kms_key.d", "", `{"key_arn":true}`, `{"key_arn":{"references":["aws_kms_key.k.arn","aws_kms_key.k"]}}`},
			{"aws_kms_key.k", `{"policy":"{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"kms:*\",\"Resource\":\"*\",\"Principal\":{\"AWS\":\"111122223333\"}}}"}`, "", ""},
		}, "fails"},
		{"it is not told", tfplan.Options{}, nil, "cannot-tell"},
		{"it is told to be off", tfplan.Options{DefaultEncryption: tfplan.EncryptionOff}, nil, "launches"},
		{"it is told to be under AWS's key", tfplan.Options{DefaultEncryption: "alias/aws/ebs"}, nil, "launches"},
		{"it is told to be under a key of which nothing is known", tfplan.Options{DefaultEncryption: "arn:aws:kms:us-west-2:111122223333:key/1a2b3c4d-5e6f-1a2b-3c4d-5e6f1a2b3c4d"}, nil, "cannot-tell"},
	} {
		tt.opt.PlainImages, tt.opt.Accounts = true, map[string]string{"": "111122223333"}
		l := find(t, madeWith(t, "", tt.opt, append(tt.parts, group...)...), "aws_autoscaling_group.g")
		if r := doctor.Check(l.Scenario); r.Verdict != tt.verdict {
			t.Errorf("%s: the verdict is %s, want %s; depends on %q", tt.name, r.Verdict, tt.verdict, r.Depends)
		}
		if d := l.Scenario.Launch.Templates[0].BlockDevices; len(d) != 2 || d[1].Device != "/dev/xvda" {
			t.Errorf("%s: the devices are %v", tt.name, d)
		}
	}
}

// A policy that the plan does not tell is read in the files that it was made of, if they fit it.
func TestPoliciesInTheFiles(t *testing.T) {
	folder := func(edit func(name string, src []byte) []byte) fstest.MapFS {
		t.Helper()
		out := fstest.MapFS{}
		for _, name := range []string{"main.tf", "unknown-policy.tf"} {
			src, err := os.ReadFile("testdata/one-account/" + name)
			check(t, err)
			if edit != nil {
				src = edit(name, src)
			}
			out[name] = &fstest.MapFile{Data: src}
		}
		return out
	}
	swap := func(old, instead string) func(string, []byte) []byte {
		return func(_ string, src []byte) []byte { return []byte(strings.ReplaceAll(string(src), old, instead)) }
	}
	for _, tt := range []struct {
		name, verdict, assumed string
		files                  fstest.MapFS
	}{
		{"as they are", "launches", "aws_kms_key.volumes.policy is as unknown-policy.tf:", folder(nil)},
		{"without the grant", "fails", "aws_kms_key.volumes.policy is as unknown-policy.tf:", folder(swap(`"kms:*"`, `"kms:Decrypt"`))},
		{"other files", "cannot-tell", "", folder(swap("aws_iam_service_linked_role.autoscaling.arn", "aws_iam_service_linked_role.other.arn"))},
		{"no such key", "cannot-tell", "", folder(swap(`"volumes"`, `"other"`))},
		{"no files", "cannot-tell", "", fstest.MapFS{}},
	} {
		l := find(t, read(t, "one-account/unknown-policy.json", tfplan.Options{Files: tt.files}), web)
		if r := doctor.Check(l.Scenario); r.Verdict != tt.verdict {
			t.Errorf("%s: the verdict is %s, want %s; depends on %q", tt.name, r.Verdict, tt.verdict, r.Depends)
		}
		if got := strings.Join(l.Assumed, "\n"); !strings.Contains(got, tt.assumed) || tt.assumed == "" && strings.Contains(got, "does not tell") {
			t.Errorf("%s: assumed is %q", tt.name, got)
		}
	}
}

// What dynamic blocks and local values say is read from the files: which template a group launches, under which key a
// device is, and to whom the key's policy gives it.
func TestBlocksOfTheFiles(t *testing.T) {
	folder := func(old, instead string) fstest.MapFS {
		out := fstest.MapFS{}
		for _, name := range []string{"main.tf", "group/main.tf", "key/main.tf"} {
			src, err := os.ReadFile("testdata/blocks/" + name)
			check(t, err)
			out[name] = &fstest.MapFile{Data: []byte(strings.ReplaceAll(string(src), old, instead))}
		}
		return out
	}
	for _, tt := range []struct {
		name, group, verdict, depends string
		files                         fstest.MapFS
	}{
		{"a template", "plain", "launches", "", folder("", "")},
		{"a mixed instances policy", "mixed", "launches", "", folder("", "")},
		{"the key's policy names somebody else", "plain", "fails", "", folder(`identifiers = var.launchers`, `identifiers = [local.root]`)},
		{"a key and no encryption", "plain", "fails", "", folder(`encrypted  = ebs.value.encrypted`, `encrypted  = false`)},
		{"another template", "plain", "cannot-tell", "launch_template[0].id is not known before apply", folder(`aws_launch_template.this[0].id : var`, `aws_launch_template.other.id : var`)},
		{"no files", "plain", "cannot-tell", "launch_template[0].name is not known before apply", fstest.MapFS{}},
	} {
		p := read(t, "blocks/plan.json", tfplan.Options{Files: tt.files, PlainImages: true})
		l := find(t, p, `module.group["`+tt.group+`"].aws_autoscaling_group.this`)
		r := doctor.Check(l.Scenario)
		if r.Verdict != tt.verdict || !strings.Contains(strings.Join(r.Depends, "\n"), tt.depends) {
			t.Errorf("%s: the verdict is %s, want %s; depends on %q; failures %+v", tt.name, r.Verdict, tt.verdict, r.Depends, r.Failures)
		}
		if tt.verdict != "launches" {
			continue
		}
		if d := l.Scenario.Launch.Templates[0].BlockDevices; len(d) != 1 || d[0].EBS.Encrypted == nil || !*d[0].EBS.Encrypted {
			t.Errorf("%s: the devices are %+v", tt.name, d)
		}
		for _, want := range []string{"kms_key_id is as group/main.tf:", "id is as group/main.tf:", ".this is as key/main.tf:"} {
			if assumed := strings.Join(l.Assumed, "\n"); !strings.Contains(assumed, want) {
				t.Errorf("%s: assumed is %q, and not %q", tt.name, assumed, want)
			}
		}
	}
}

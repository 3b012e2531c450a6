package tfplan_test

import (
	"slices"
	"testing"

	"github.com/kagimori/kagimori/internal/scenario/format"
)

// EC2 launches fleets as service-linked roles, and instant ones as who makes them.
func TestFleets(t *testing.T) {
	const key = "arn:aws:kms:us-west-2:111122223333:key/1a2b3c4d-5e6f-1a2b-3c4d-5e6f1a2b3c4d"
	const roles = "arn:aws:iam::111122223333:role/aws-service-role/"
	template := part{"=aws_launch_template.t", `{"id": "lt-0123456789abcdef0", "name": "t", "latest_version": 1, "default_version": 1, "image_id": "ami-0123456789abcdef0",
		"block_device_mappings": [{"device_name": "/dev/xvda", "ebs": [{"encrypted": "true", "kms_key_id": "` + key + `"}]}]}`, "", ""}
	me := part{"data.aws_caller_identity.me", `{"account_id": "111122223333", "arn": "arn:aws:iam::111122223333:user/me"}`, "", ""}
	spec := `"launch_template_config": [{"launch_template_specification": [{"launch_template_id": "lt-0123456789abcdef0", "version": "1"}], "override": [{"instance_type": "m5.large"}]}]`
	capacity := func(c string) string { return `, "target_capacity_specification": [{` + c + `}]}` }
	for name, tt := range map[string]struct {
		fleet                  part
		caller, market, device string
	}{
		"maintain": {part{"aws_ec2_fleet.f", `{"type": "maintain", ` + spec + capacity(`"default_target_capacity_type": "spot", "total_target_capacity": 5`), "", ""},
			roles + "ec2fleet.amazonaws.com/AWSServiceRoleForEC2Fleet", format.MarketSpot, "/dev/xvda"},
		"mixed": {part{"aws_ec2_fleet.f", `{"type": "request", ` + spec + capacity(`"default_target_capacity_type": "spot", "total_target_capacity": 5, "on_demand_target_capacity": 1`), "", ""},
			roles + "ec2fleet.amazonaws.com/AWSServiceRoleForEC2Fleet", format.MarketMixed, "/dev/xvda"},
		"instant": {part{"aws_ec2_fleet.f", `{"type": "instant", ` + spec + capacity(`"default_target_capacity_type": "on-demand", "total_target_capacity": 5`), "", ""},
			"arn:aws:iam::111122223333:user/me", format.MarketOnDemand, "/dev/xvda"},
		"spot with a template": {part{"aws_spot_fleet_request.f", `{"launch_template_config": [{"launch_template_specification": [{"id": "lt-0123456789abcdef0", "version": "1"}], "overrides": []}]}`, "", ""},
			roles + "spotfleet.amazonaws.com/AWSServiceRoleForEC2SpotFleet", format.MarketSpot, "/dev/xvda"},
		"spot with a specification": {part{"aws_spot_fleet_request.f", `{"launch_specification": [{"ami": "ami-0123456789abcdef0", "instance_type": "m5.large",
			"ebs_block_device": [{"device_name": "/dev/sdf", "encrypted": true, "kms_key_id": "` + key + `"}]}]}`, "", ""},
			roles + "spotfleet.amazonaws.com/AWSServiceRoleForEC2SpotFleet", format.MarketSpot, "/dev/sdf"},
	} {
		t.Run(name, func(t *testing.T) {
			p := made(t, "", template, me, tt.fleet)
			l := find(t, p, tt.fleet.addr)
			sound(t, l)
			sc := l.Scenario
			if sc.Launch.Operation != format.RunInstances || sc.Launch.Caller == nil || *sc.Launch.Caller != tt.caller {
				t.Errorf("the launch is %+v", sc.Launch)
			}
			if !slices.ContainsFunc(sc.Principals, func(q format.Principal) bool { return q.ARN == tt.caller }) {
				t.Errorf("%s is not among the principals", tt.caller)
			}
			got := sc.Launch.Templates
			if len(got) != 1 || got[0].Market != tt.market || len(got[0].BlockDevices) != 1 || got[0].BlockDevices[0].Device != tt.device || got[0].BlockDevices[0].EBS.KmsKeyID != key {
				t.Errorf("the templates are %+v", got)
			}
		})
	}
}

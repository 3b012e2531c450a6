package app_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/app"
	"github.com/kagimori/kagimori/internal/testkit"
)

func TestEventsGoToAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events")
	s := testkit.Start(t, testkit.Options{Configure: func(c *app.Config) { c.Events = "file:" + path }})
	c := s.As(testkit.Admin("123456789012"))
	image := testkit.Call[ec2api.DescribeImagesResult](c.EC2, "DescribeImages", &ec2api.DescribeImagesRequest{Owners: []string{"amazon"}}).Images[0].ImageId
	testkit.Call[ec2api.CreateLaunchTemplateResult](c.EC2, "CreateLaunchTemplate", &ec2api.CreateLaunchTemplateRequest{
		LaunchTemplateName: new("web"), LaunchTemplateData: &ec2api.RequestLaunchTemplateData{ImageId: image, InstanceType: new("t3.micro")},
	})
	testkit.Must(c.AutoScaling, "CreateAutoScalingGroup", &autoscalingapi.CreateAutoScalingGroupType{
		AutoScalingGroupName: new("web"), MinSize: new(int32(1)), MaxSize: new(int32(1)), AvailabilityZones: []string{testkit.Region + "a"},
		LaunchTemplate: &autoscalingapi.LaunchTemplateSpecification{LaunchTemplateName: new("web")},
	})
	s.Advance(time.Minute)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	var e struct {
		DetailType string `json:"detail-type"`
		Account    string `json:"account"`
	}
	if err := json.Unmarshal([]byte(lines[0]), &e); err != nil || len(lines) != 1 || e.DetailType != "EC2 Instance Launch Successful" || e.Account != "123456789012" {
		t.Errorf("events (%v): %s", err, data)
	}
}

func TestParseEvents(t *testing.T) {
	for spec, good := range map[string]bool{
		"file:/var/log/events": true, "https://hooks.example.com/x": true, "file:": false, "http://hooks.example.com": false, "https://u:p@example.com": false, "events": false,
	} {
		if err := app.ParseEvents(spec); (err == nil) != good {
			t.Errorf("%q: %v", spec, err)
		}
	}
}

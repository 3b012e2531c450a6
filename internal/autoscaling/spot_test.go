package autoscaling_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/trail"
)

const (
	groupSession = "arn:aws:sts::" + account + ":assumed-role/AWSServiceRoleForAutoScaling/AutoScaling"
	spotSession  = "arn:aws:sts::" + account + ":assumed-role/AWSServiceRoleForEC2Spot/EC2Spot"
)

func spotConfiguration(name, price string) *autoscalingapi.CreateLaunchConfigurationType {
	in := configuration(name)
	in.SpotPrice = &price
	return in
}

// A launch configuration with a Spot price is launched by the role of EC2 Spot, which the group's
// role makes if it is not there (S21).
func TestSpotConfiguration(t *testing.T) {
	w := newWorld(t)
	w.ec2.run = true
	w.must("CreateLaunchConfiguration", spotConfiguration("spot", "0.05"))
	w.must("CreateAutoScalingGroup", byConfig("g", "spot", 2))
	w.Advance(3 * time.Second)
	if got := w.states("g"); got != "InService InService" {
		t.Fatalf("states: %q, %v", got, w.history("g"))
	}
	if diff := cmp.Diff([]string{spotSession, spotSession}, w.ec2.callers); diff != "" {
		t.Errorf("launched by (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"arn:aws:iam::" + account + ":user/admin", groupSession}, w.roles.makers); diff != "" {
		t.Errorf("roles made by (-want +got):\n%s", diff)
	}
	want := &ec2api.InstanceMarketOptionsRequest{
		MarketType: new("spot"), SpotOptions: &ec2api.SpotMarketOptions{MaxPrice: new("0.05"), SpotInstanceType: new("one-time")},
	}
	if diff := cmp.Diff(want, w.ec2.requests[0].InstanceMarketOptions); diff != "" {
		t.Errorf("market (-want +got):\n%s", diff)
	}
	var use map[string][]string
	role := "arn:aws:iam::" + account + ":role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot"
	w.View(func(tx store.Tx) (err error) {
		use, err = w.service.RoleUsage(tx, role)
		return err
	})
	if diff := cmp.Diff(map[string][]string{"us-west-2": {*w.group("g").AutoScalingGroupARN}}, use); diff != "" {
		t.Errorf("use of the Spot role (-want +got):\n%s", diff)
	}
}

// A price below the market's fails as AWS says it; the group tries again.
func TestSpotPriceTooLow(t *testing.T) {
	w := newWorld(t)
	w.must("CreateLaunchConfiguration", spotConfiguration("cheap", "0.001"))
	w.must("CreateAutoScalingGroup", byConfig("g", "cheap", 1))
	w.Advance(0)
	text := "Your Spot request price of 0.001 is lower than the minimum required Spot request fulfillment price of 0.0031. Launching EC2 instance failed."
	wantHistory(t, w, "g", "Failed | "+text+" | Launching a new EC2 instance.  Status Reason: "+text)
	w.Advance(65 * time.Second)
	if got := len(w.history("g")); got != 2 {
		t.Errorf("%d attempts after a minute", got)
	}
}

// Without the right to make the Spot role nothing launches, and the group says so.
func TestSpotRoleNotMade(t *testing.T) {
	w := newWorld(t)
	w.ec2.run = true
	w.must("CreateLaunchConfiguration", spotConfiguration("spot", "0.05"))
	w.must("CreateAutoScalingGroup", byConfig("g", "spot", 0))
	w.Advance(0)
	w.roles.refuseSpot = apierr.New("AccessDenied", "No Spot role for you.")
	w.must("SetDesiredCapacity", &autoscalingapi.SetDesiredCapacityType{AutoScalingGroupName: new("g"), DesiredCapacity: new(int32(1))})
	w.Advance(0)
	if got := w.history("g"); len(got) != 1 || !strings.HasPrefix(got[0], "Failed | No Spot role for you. Launching EC2 instance failed. | ") {
		t.Errorf("activities: %q", got)
	}
	w.roles.refuseSpot = nil
	w.Advance(2 * time.Minute)
	if got := w.states("g"); got != "InService" {
		t.Errorf("after the role could be made: %q", got)
	}
}

// The Spot role that is there is used, and not made again.
func TestSpotRoleExists(t *testing.T) {
	w := newWorld(t)
	w.ec2.run = true
	w.roles.putOf(account, "spot.amazonaws.com", "AWSServiceRoleForEC2Spot")
	w.must("CreateLaunchConfiguration", spotConfiguration("spot", "0.05"))
	w.must("CreateAutoScalingGroup", byConfig("g", "spot", 1))
	w.Advance(3 * time.Second)
	if got := w.states("g"); got != "InService" || len(w.roles.makers) != 1 {
		t.Errorf("states %q, roles made by %v", got, w.roles.makers)
	}
}

// Spot in a launch template is the template's matter: the group's own role launches.
func TestSpotTemplate(t *testing.T) {
	w := newWorld(t)
	w.ec2.run = true
	w.ec2.templates = map[string]*ec2api.ResponseLaunchTemplateData{
		"spot": {InstanceMarketOptions: &ec2api.LaunchTemplateInstanceMarketOptions{MarketType: new("spot")}},
	}
	in := request("g", 1)
	in.LaunchTemplate.LaunchTemplateName = new("spot")
	w.must("CreateAutoScalingGroup", in)
	w.Advance(3 * time.Second)
	if got := w.states("g"); got != "InService" || w.ec2.callers[0] != groupSession || w.ec2.requests[0].InstanceMarketOptions != nil {
		t.Errorf("states %q, launched by %v, market %+v", got, w.ec2.callers, w.ec2.requests[0].InstanceMarketOptions)
	}
}

// User data is not in the trail: it often holds passwords.
func TestUserDataIsNotRecorded(t *testing.T) {
	w := newWorld(t)
	lc := configuration("lc")
	lc.UserData = new("c2VjcmV0IHBhc3N3b3Jk")
	w.must("CreateLaunchConfiguration", lc)
	nobody := w.User(account, "nobody")
	lc = configuration("other")
	lc.UserData = new("c2VjcmV0IHBhc3N3b3Jk")
	if _, err := w.do(nobody, "CreateLaunchConfiguration", lc); apierr.Code(err) != "AccessDenied" {
		t.Errorf("nobody: %v", err)
	}
	records, err := w.Trail.Find(t.Context(), trail.Filter{EventName: "CreateLaunchConfiguration"})
	w.Must(err)
	if len(records) != 2 {
		t.Fatalf("%d records", len(records))
	}
	for _, r := range records {
		if p := string(r.RequestParameters); strings.Contains(p, "c2Vj") || !strings.Contains(p, "redacted") {
			t.Errorf("recorded: %s", p)
		}
	}
}

// What a launch configuration bids is a positive decimal number.
func TestPrices(t *testing.T) {
	w := newWorld(t)
	ok := []string{"0.05", "1", "12.5", ".5"}
	for i, price := range append(slices.Clone(ok), "", "0", "0.0", "-1", "1e-3", "0x1", "NaN", "Inf", "1,5", "1000001") {
		if err := w.try("CreateLaunchConfiguration", spotConfiguration("lc"+string(rune('a'+i)), price)); (err == nil) != slices.Contains(ok, price) {
			t.Errorf("%q: %v", price, err)
		}
	}
	if got := api.Val(w.configurations(&autoscalingapi.LaunchConfigurationNamesType{})[0].SpotPrice); got != "0.05" {
		t.Errorf("shown: %s", got)
	}
}

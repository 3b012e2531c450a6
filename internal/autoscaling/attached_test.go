package autoscaling_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/guard/guardtest"
)

const (
	target   = "arn:aws:elasticloadbalancing:us-west-2:" + account + ":targetgroup/web/0123456789abcdef"
	services = "arn:aws:vpc-lattice:us-west-2:" + account + ":targetgroup/tg-0123456789abcdef0"
	topic    = "arn:aws:sns:us-west-2:" + account + ":events"
)

// sources are the traffic sources of a group as "id state".
func (w *world) sources(typ *string) string {
	w.T.Helper()
	out, err := w.do(w.admin, "DescribeTrafficSources", &autoscalingapi.DescribeTrafficSourcesRequest{AutoScalingGroupName: new("g"), TrafficSourceType: typ})
	w.Must(err)
	var all []string
	for _, s := range out.(*autoscalingapi.DescribeTrafficSourcesResponse).TrafficSources {
		if *s.TrafficSource != *s.Identifier {
			w.T.Errorf("source = %s", jsonOf(w.T.(*testing.T), s))
		}
		all = append(all, *s.Type+":"+*s.State)
	}
	return strings.Join(all, " ")
}

func TestTrafficSourcesGoThroughTheirStates(t *testing.T) {
	w := newWorld(t)
	w.ec2.run = true
	in := request("g", 1)
	in.LoadBalancerNames, in.HealthCheckType = []string{"classic"}, new("ELB")
	w.must("CreateAutoScalingGroup", in)
	w.must("AttachLoadBalancerTargetGroups", &autoscalingapi.AttachLoadBalancerTargetGroupsType{AutoScalingGroupName: new("g"), TargetGroupARNs: []string{target}})
	w.must("AttachTrafficSources", &autoscalingapi.AttachTrafficSourcesType{AutoScalingGroupName: new("g"), TrafficSources: []autoscalingapi.TrafficSourceIdentifier{{Identifier: new(services)}}})
	if got := w.sources(nil); got != "elbv2:Adding vpc-lattice:Adding elb:Adding" {
		t.Errorf("at once: %s", got)
	}
	w.Advance(time.Minute)
	if got := w.sources(nil); got != "elbv2:InService vpc-lattice:Added elb:InService" {
		t.Errorf("later: %s", got)
	}
	if got := w.sources(new("elb")); got != "elb:InService" {
		t.Errorf("of one type: %s", got)
	}
	g := w.group("g")
	if len(g.TrafficSources) != 3 || g.LoadBalancerNames[0] != "classic" || g.TargetGroupARNs[0] != target {
		t.Errorf("group = %s", jsonOf(t, g))
	}
	out, err := w.do(w.admin, "DescribeLoadBalancers", &autoscalingapi.DescribeLoadBalancersRequest{AutoScalingGroupName: new("g")})
	w.Must(err)
	if l := out.(*autoscalingapi.DescribeLoadBalancersResponse).LoadBalancers; len(l) != 1 || *l[0].LoadBalancerName != "classic" || *l[0].State != "InService" {
		t.Errorf("load balancers = %s", jsonOf(t, l))
	}
	out, err = w.do(w.admin, "DescribeLoadBalancerTargetGroups", &autoscalingapi.DescribeLoadBalancerTargetGroupsRequest{AutoScalingGroupName: new("g")})
	w.Must(err)
	if l := out.(*autoscalingapi.DescribeLoadBalancerTargetGroupsResponse).LoadBalancerTargetGroups; len(l) != 1 || *l[0].LoadBalancerTargetGroupARN != target {
		t.Errorf("target groups = %s", jsonOf(t, l))
	}
	w.must("DetachLoadBalancerTargetGroups", &autoscalingapi.DetachLoadBalancerTargetGroupsType{AutoScalingGroupName: new("g"), TargetGroupARNs: []string{target}})
	w.must("DetachLoadBalancers", &autoscalingapi.DetachLoadBalancersType{AutoScalingGroupName: new("g"), LoadBalancerNames: []string{"classic"}})
	if got := w.sources(nil); got != "elbv2:Removing vpc-lattice:Added elb:Removing" || len(w.group("g").TargetGroupARNs) != 0 {
		t.Errorf("when detached: %s", got)
	}
	w.Advance(time.Minute)
	w.must("DetachTrafficSources", &autoscalingapi.DetachTrafficSourcesType{AutoScalingGroupName: new("g"), TrafficSources: []autoscalingapi.TrafficSourceIdentifier{{Identifier: new(services), Type: new("vpc-lattice")}}})
	w.Advance(time.Minute)
	if got := w.sources(nil); got != "" {
		t.Errorf("in the end: %s", got)
	}
}

func TestTrafficSourceRefusals(t *testing.T) {
	w := newWorld(t)
	w.must("CreateAutoScalingGroup", request("g", 0))
	attach := func(s ...autoscalingapi.TrafficSourceIdentifier) error {
		return w.try("AttachTrafficSources", &autoscalingapi.AttachTrafficSourcesType{AutoScalingGroupName: new("g"), TrafficSources: s})
	}
	guardtest.WantError(t, attach(autoscalingapi.TrafficSourceIdentifier{Identifier: new("x"), Type: new("dns")}), "ValidationError", "*")
	guardtest.WantError(t, attach(autoscalingapi.TrafficSourceIdentifier{Identifier: new("x"), Type: new("elbv2")}), "ValidationError", "Provided Target Groups may not be valid. Please ensure they exist and try again.")
	guardtest.WantError(t, attach(autoscalingapi.TrafficSourceIdentifier{Identifier: new("a:b"), Type: new("elb")}), "ValidationError", "Provided Load Balancers may not be valid. Please ensure they exist and try again.")
	many := make([]autoscalingapi.TrafficSourceIdentifier, 11)
	for i := range many {
		many[i].Identifier = new(fmt.Sprint("b", i))
	}
	guardtest.WantError(t, attach(many...), "ValidationError", "*")
	guardtest.WantError(t, w.try("DetachLoadBalancers", &autoscalingapi.DetachLoadBalancersType{AutoScalingGroupName: new("g"), LoadBalancerNames: []string{"x"}}), "ValidationError", "*")
	for i := range 50 {
		w.Must(attach(autoscalingapi.TrafficSourceIdentifier{Identifier: new(fmt.Sprint("b", i))}))
	}
	guardtest.WantError(t, attach(autoscalingapi.TrafficSourceIdentifier{Identifier: new("more")}), "LimitExceeded", "*")
	w.Must(attach(autoscalingapi.TrafficSourceIdentifier{Identifier: new("b1")})) // is there already
	in := request("h", 0)
	in.TargetGroupARNs = []string{"nonsense"}
	guardtest.WantError(t, w.try("CreateAutoScalingGroup", in), "ValidationError", "*")
}

func TestNotificationConfigurations(t *testing.T) {
	w := newWorld(t)
	w.must("CreateAutoScalingGroup", request("g", 0))
	put := func(topic string, types ...string) error {
		return w.try("PutNotificationConfiguration", &autoscalingapi.PutNotificationConfigurationType{AutoScalingGroupName: new("g"), TopicARN: &topic, NotificationTypes: types})
	}
	list := func(in *autoscalingapi.DescribeNotificationConfigurationsType) *autoscalingapi.DescribeNotificationConfigurationsAnswer {
		out, err := w.do(w.admin, "DescribeNotificationConfigurations", in)
		w.Must(err)
		return out.(*autoscalingapi.DescribeNotificationConfigurationsAnswer)
	}
	guardtest.WantError(t, put("topic", "autoscaling:TEST_NOTIFICATION"), "ValidationError", "*")
	guardtest.WantError(t, put(topic, "autoscaling:NONSENSE"), "ValidationError", "*")
	w.Must(put(topic, "autoscaling:TEST_NOTIFICATION"))
	w.Must(put(topic, "autoscaling:EC2_INSTANCE_TERMINATE", "autoscaling:EC2_INSTANCE_LAUNCH", "autoscaling:EC2_INSTANCE_LAUNCH"))
	page := list(&autoscalingapi.DescribeNotificationConfigurationsType{MaxRecords: new(int32(1))})
	rest := list(&autoscalingapi.DescribeNotificationConfigurationsType{MaxRecords: new(int32(1)), NextToken: page.NextToken})
	if *page.NotificationConfigurations[0].NotificationType != "autoscaling:EC2_INSTANCE_LAUNCH" || *rest.NotificationConfigurations[0].NotificationType != "autoscaling:EC2_INSTANCE_TERMINATE" ||
		rest.NextToken != nil || *rest.NotificationConfigurations[0].TopicARN != topic {
		t.Errorf("pages = %s, %s", jsonOf(t, page), jsonOf(t, rest))
	}
	if got := list(&autoscalingapi.DescribeNotificationConfigurationsType{AutoScalingGroupNames: []string{"x"}}); len(got.NotificationConfigurations) != 0 {
		t.Errorf("of another group: %s", jsonOf(t, got))
	}
	for i := range 9 {
		w.Must(put(fmt.Sprint(topic, i), "autoscaling:TEST_NOTIFICATION"))
	}
	guardtest.WantError(t, put(topic+"10", "autoscaling:TEST_NOTIFICATION"), "LimitExceeded", "*")
	w.Must(put(topic, "autoscaling:TEST_NOTIFICATION"))
	drop := &autoscalingapi.DeleteNotificationConfigurationType{AutoScalingGroupName: new("g"), TopicARN: new(topic)}
	w.must("DeleteNotificationConfiguration", drop)
	guardtest.WantError(t, w.try("DeleteNotificationConfiguration", drop), "ValidationError", "*")
}

func TestMetricsCollection(t *testing.T) {
	w := newWorld(t)
	w.must("CreateAutoScalingGroup", request("g", 0))
	enabled := func() string {
		var all []string
		for _, m := range w.group("g").EnabledMetrics {
			all = append(all, *m.Metric+"/"+*m.Granularity)
		}
		return strings.Join(all, " ")
	}
	enable := func(granularity string, metrics ...string) error {
		return w.try("EnableMetricsCollection", &autoscalingapi.EnableMetricsCollectionQuery{AutoScalingGroupName: new("g"), Granularity: &granularity, Metrics: metrics})
	}
	guardtest.WantError(t, enable("5Minutes"), "ValidationError", "*")
	guardtest.WantError(t, enable("1Minute", "GroupJoy"), "ValidationError", "*")
	w.Must(enable("1Minute", "GroupMaxSize", "GroupMinSize"))
	if got := enabled(); got != "GroupMinSize/1Minute GroupMaxSize/1Minute" {
		t.Errorf("enabled: %s", got)
	}
	w.Must(enable("1Minute"))
	if n := len(w.group("g").EnabledMetrics); n != 20 {
		t.Errorf("%d metrics are all", n)
	}
	disable := func(metrics ...string) {
		w.must("DisableMetricsCollection", &autoscalingapi.DisableMetricsCollectionQuery{AutoScalingGroupName: new("g"), Metrics: metrics})
	}
	disable("GroupMinSize")
	if got := enabled(); !strings.HasPrefix(got, "GroupMaxSize/1Minute ") {
		t.Errorf("without one: %s", got)
	}
	disable()
	if got := enabled(); got != "" {
		t.Errorf("disabled: %s", got)
	}
}

package autoscaling

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
)

// maxSteps is the most steps of a policy. Source: User Guide, "Quotas for Auto Scaling resources and
// groups".
const maxSteps = 20

// Adjustment types. Source: API Reference, PutScalingPolicy.
const (
	changeInCapacity  = "ChangeInCapacity"
	exactCapacity     = "ExactCapacity"
	percentInCapacity = "PercentChangeInCapacity"
)

var adjustmentTypes = []string{changeInCapacity, exactCapacity, percentInCapacity}

// completePolicy checks the parameters of a policy against its type and fills in the defaults.
// Source: API Reference, PutScalingPolicy.
func completePolicy(p *autoscalingapi.PutScalingPolicyType) error {
	if p.PolicyType == nil {
		p.PolicyType = new(simpleScaling)
	}
	if p.Enabled == nil {
		p.Enabled = new(true)
	}
	typ := *p.PolicyType
	if !slices.Contains(policyTypes, typ) {
		return validation("Invalid PolicyType: %s. Valid values are %s.", typ, strings.Join(policyTypes, ", "))
	}
	dropZeros(p)
	if strings.Contains(api.Val(p.PolicyName), ":") {
		return validation("Invalid policy name: a name may not contain a colon.")
	}
	for _, m := range []struct {
		name  string
		given bool
		types []string
	}{
		{"AdjustmentType", p.AdjustmentType != nil, []string{simpleScaling, stepScaling}},
		{"MinAdjustmentStep", p.MinAdjustmentStep != nil, []string{simpleScaling, stepScaling}},
		{"MinAdjustmentMagnitude", p.MinAdjustmentMagnitude != nil, []string{simpleScaling, stepScaling}},
		{"ScalingAdjustment", p.ScalingAdjustment != nil, []string{simpleScaling}},
		{"Cooldown", p.Cooldown != nil, []string{simpleScaling}},
		{"StepAdjustments", len(p.StepAdjustments) > 0, []string{stepScaling}},
		{"MetricAggregationType", p.MetricAggregationType != nil, []string{stepScaling}},
		{"EstimatedInstanceWarmup", p.EstimatedInstanceWarmup != nil, []string{stepScaling, targetTracking}},
		{"TargetTrackingConfiguration", p.TargetTrackingConfiguration != nil, []string{targetTracking}},
		{"PredictiveScalingConfiguration", p.PredictiveScalingConfiguration != nil, []string{predictiveScaling}},
	} {
		if m.given && !slices.Contains(m.types, typ) {
			return validation("%s is not supported for policy type %s.", m.name, typ)
		}
	}
	switch typ {
	case targetTracking:
		if err := checkTracking(p.TargetTrackingConfiguration); err != nil {
			return err
		}
		if p.TargetTrackingConfiguration.DisableScaleIn == nil {
			with := *p.TargetTrackingConfiguration
			with.DisableScaleIn = new(false) // the default is shown: CLI reference, describe-policies
			p.TargetTrackingConfiguration = &with
		}
		return nil
	case predictiveScaling:
		return completePredictive(p.PredictiveScalingConfiguration)
	}
	return completeAdjustment(p)
}

// dropZeros takes away zeros of members that the type does not have: Terraform's provider sends
// them with updates, and AWS takes them.
func dropZeros(p *autoscalingapi.PutScalingPolicyType) {
	typ := *p.PolicyType
	for _, m := range []struct {
		value **int32
		here  bool // zero means something
	}{
		{&p.Cooldown, typ == simpleScaling}, {&p.ScalingAdjustment, typ == simpleScaling}, {&p.MinAdjustmentMagnitude, false}, {&p.MinAdjustmentStep, false},
		{&p.EstimatedInstanceWarmup, typ == stepScaling || typ == targetTracking},
	} {
		if !m.here && api.Val(*m.value) == 0 {
			*m.value = nil
		}
	}
}

// completeAdjustment is for simple and step policies.
func completeAdjustment(p *autoscalingapi.PutScalingPolicyType) error {
	typ, least := *p.PolicyType, p.MinAdjustmentMagnitude
	switch {
	case p.AdjustmentType == nil:
		return validation("AdjustmentType is required for policy type %s.", typ)
	case !slices.Contains(adjustmentTypes, *p.AdjustmentType):
		return validation("Invalid AdjustmentType: %s. Valid values are %s.", *p.AdjustmentType, strings.Join(adjustmentTypes, ", "))
	case least != nil && p.MinAdjustmentStep != nil:
		return validation("MinAdjustmentStep and MinAdjustmentMagnitude cannot both be specified.")
	case (least != nil || p.MinAdjustmentStep != nil) && *p.AdjustmentType != percentInCapacity:
		return validation("MinAdjustmentMagnitude is only supported with the adjustment type %s.", percentInCapacity)
	case least != nil && *least < 1, p.MinAdjustmentStep != nil && *p.MinAdjustmentStep < 1:
		return validation("MinAdjustmentMagnitude must be at least 1.")
	case p.Cooldown != nil && *p.Cooldown < 0:
		return validation("Cooldown must not be negative.")
	case p.EstimatedInstanceWarmup != nil && *p.EstimatedInstanceWarmup < 0:
		return validation("EstimatedInstanceWarmup must not be negative.")
	}
	if typ == simpleScaling {
		switch {
		case p.ScalingAdjustment == nil:
			return validation("ScalingAdjustment is required for policy type %s.", typ)
		case *p.AdjustmentType == exactCapacity && *p.ScalingAdjustment < 0:
			return validation("ScalingAdjustment must not be negative with the adjustment type %s.", exactCapacity)
		}
		return nil
	}
	if p.MetricAggregationType == nil {
		p.MetricAggregationType = new("Average")
	}
	if !slices.Contains([]string{"Minimum", "Maximum", "Average"}, *p.MetricAggregationType) {
		return validation("Invalid MetricAggregationType: %s. Valid values are Minimum, Maximum and Average.", *p.MetricAggregationType)
	}
	return checkSteps(p.StepAdjustments, *p.AdjustmentType)
}

// bounds are the interval of a step; a bound that is not given is infinite.
func bounds(s *autoscalingapi.StepAdjustment) (lower, upper float64) {
	lower, upper = math.Inf(-1), math.Inf(1)
	set(&lower, s.MetricIntervalLowerBound)
	set(&upper, s.MetricIntervalUpperBound)
	return lower, upper
}

// checkSteps checks that steps neither overlap nor leave a gap, and are open at an end where they
// reach beyond the threshold, but not at both. Source: API Reference, StepAdjustment; User Guide, "Step and simple scaling policies".
func checkSteps(steps []autoscalingapi.StepAdjustment, adjustment string) error {
	switch {
	case len(steps) == 0:
		return validation("At least one StepAdjustment is required for policy type %s.", stepScaling)
	case len(steps) > maxSteps:
		return validation("At most %d step adjustments can be specified.", maxSteps)
	}
	sorted := slices.SortedFunc(slices.Values(steps), func(a, b autoscalingapi.StepAdjustment) int {
		la, _ := bounds(&a)
		lb, _ := bounds(&b)
		return cmp.Compare(la, lb)
	})
	for i := range sorted {
		lower, upper := bounds(&sorted[i])
		switch {
		case math.IsNaN(lower) || math.IsNaN(upper):
			return validation("A bound of a StepAdjustment is not a number.")
		case sorted[i].MetricIntervalLowerBound == nil && sorted[i].MetricIntervalUpperBound == nil:
			return validation("The upper and lower bound can't be null in the same step adjustment.")
		case lower >= upper:
			return validation("The upper bound of a StepAdjustment must be greater than the lower bound.")
		case adjustment == exactCapacity && api.Val(sorted[i].ScalingAdjustment) < 0:
			return validation("ScalingAdjustment must not be negative with the adjustment type %s.", exactCapacity)
		}
		if i == 0 {
			continue
		}
		switch _, before := bounds(&sorted[i-1]); {
		case sorted[i].MetricIntervalLowerBound == nil:
			return validation("At most one StepAdjustment may have an unspecified lower bound")
		case sorted[i-1].MetricIntervalUpperBound == nil:
			if sorted[i].MetricIntervalUpperBound == nil {
				return validation("At most one StepAdjustment may have an unspecified upper bound")
			}
			return validation("StepAdjustment intervals can't overlap")
		case before > lower:
			return validation("StepAdjustment intervals can't overlap")
		case before < lower:
			return validation("StepAdjustment intervals can't have gaps between them")
		}
	}
	first, _ := bounds(&sorted[0])
	_, last := bounds(&sorted[len(sorted)-1])
	switch {
	case first < 0 && !math.IsInf(first, -1):
		return validation("There must be a StepAdjustment with an unspecified lower bound when one StepAdjustment has a negative lower bound")
	case last > 0 && !math.IsInf(last, 1):
		return validation("There must be a StepAdjustment with an unspecified upper bound (i.e., upper bound is null) when one StepAdjustment has a positive upper bound")
	}
	return nil
}

// checkTracking checks what a target tracking policy follows.
// Source: API Reference, TargetTrackingConfiguration.
func checkTracking(t *autoscalingapi.TargetTrackingConfiguration) error {
	if t == nil {
		return validation("TargetTrackingConfiguration is required for policy type %s.", targetTracking)
	}
	predefined, own := t.PredefinedMetricSpecification, t.CustomizedMetricSpecification
	switch {
	case (predefined == nil) == (own == nil):
		return validation("You must specify either a PredefinedMetricSpecification or a CustomizedMetricSpecification.")
	case api.Val(t.TargetValue) <= 0 || math.IsInf(*t.TargetValue, 0) || math.IsNaN(*t.TargetValue):
		return validation("TargetValue must be a number greater than zero.")
	case predefined != nil:
		return checkLabel(api.Val(predefined.PredefinedMetricType), predefined.ResourceLabel)
	case len(own.Metrics) > 0:
		if own.MetricName != nil || own.Namespace != nil || own.Statistic != nil || len(own.Dimensions) > 0 {
			return validation("A CustomizedMetricSpecification has either Metrics or a single metric, not both.")
		}
		returned := 0
		for _, q := range own.Metrics {
			if q.ReturnData == nil || *q.ReturnData {
				returned++
			}
			if (q.Expression == nil) == (q.MetricStat == nil) {
				return validation("Each metric data query needs either an Expression or a MetricStat.")
			}
		}
		if returned != 1 {
			return validation("Exactly one element of the metrics list should return data.")
		}
	case own.MetricName == nil || own.Namespace == nil || own.Statistic == nil:
		return validation("A CustomizedMetricSpecification needs MetricName, Namespace and Statistic.")
	}
	return nil
}

// checkPredictiveLabel is [checkLabel] for predictive scaling, where labels of other metrics are let be: clients'
// examples have them. Source: API Reference, PredictiveScalingPredefinedMetricPair.
func checkPredictiveLabel(metric string, label *string) error {
	if !strings.HasPrefix(metric, "ALB") {
		return nil
	}
	return checkLabel(metric, label)
}

// checkLabel checks the label of a predefined metric of target tracking: that of a load balancer's target group.
// Source: API Reference, PredefinedMetricSpecification.
func checkLabel(metric string, label *string) error {
	ofBalancer := strings.HasPrefix(metric, "ALB")
	switch {
	case ofBalancer && label == nil:
		return validation("ResourceLabel is required for the predefined metric %s.", metric)
	case !ofBalancer && label != nil:
		return validation("ResourceLabel is not supported for the predefined metric %s.", metric)
	case ofBalancer && (!strings.HasPrefix(*label, "app/") || !strings.Contains(*label, "/targetgroup/")):
		return validation("Invalid ResourceLabel: %s. Its form is app/load-balancer-name/id/targetgroup/target-group-name/id.", *label)
	}
	return nil
}

// completePredictive is for predictive policies.
// Source: API Reference, PredictiveScalingConfiguration and PredictiveScalingMetricSpecification.
func completePredictive(p *autoscalingapi.PredictiveScalingConfiguration) error {
	switch {
	case p == nil:
		return validation("PredictiveScalingConfiguration is required for policy type %s.", predictiveScaling)
	case len(p.MetricSpecifications) != 1:
		return validation("Exactly one metric specification is required for policy type %s.", predictiveScaling)
	case api.Val(p.SchedulingBufferTime) > 3600:
		return validation("SchedulingBufferTime must be at most 3600 seconds.")
	}
	if p.Mode == nil {
		p.Mode = new("ForecastOnly")
	}
	if p.MaxCapacityBreachBehavior == nil {
		p.MaxCapacityBreachBehavior = new("HonorMaxCapacity")
	}
	grows := *p.MaxCapacityBreachBehavior == "IncreaseMaxCapacity"
	switch {
	case grows && p.MaxCapacityBuffer == nil:
		return validation("MaxCapacityBuffer is required when MaxCapacityBreachBehavior is IncreaseMaxCapacity.")
	case !grows && p.MaxCapacityBuffer != nil:
		return validation("MaxCapacityBuffer is only supported when MaxCapacityBreachBehavior is IncreaseMaxCapacity.")
	}
	m := &p.MetricSpecifications[0]
	if api.Val(m.TargetValue) <= 0 {
		return validation("TargetValue must be greater than zero.")
	}
	scaling := m.PredefinedScalingMetricSpecification != nil || m.CustomizedScalingMetricSpecification != nil
	load := m.PredefinedLoadMetricSpecification != nil || m.CustomizedLoadMetricSpecification != nil
	switch pair := m.PredefinedMetricPairSpecification; {
	case pair != nil && (scaling || load):
		return validation("A metric specification has either a metric pair or a scaling metric and a load metric, not both.")
	case pair != nil:
		return checkPredictiveLabel(api.Val(pair.PredefinedMetricType), pair.ResourceLabel)
	case !scaling || !load:
		return validation("A metric specification needs a metric pair, or a scaling metric and a load metric.")
	case m.PredefinedScalingMetricSpecification != nil && m.CustomizedScalingMetricSpecification != nil,
		m.PredefinedLoadMetricSpecification != nil && m.CustomizedLoadMetricSpecification != nil:
		return validation("A metric is either predefined or customized, not both.")
	}
	if l := m.PredefinedLoadMetricSpecification; l != nil {
		if err := checkPredictiveLabel(api.Val(l.PredefinedMetricType), l.ResourceLabel); err != nil {
			return err
		}
	}
	if l := m.PredefinedScalingMetricSpecification; l != nil {
		return checkPredictiveLabel(api.Val(l.PredefinedMetricType), l.ResourceLabel)
	}
	return nil
}

package tfplan

import (
	"fmt"

	"github.com/kagimori/kagimori/internal/scenario/format"
)

// fleet runs the instances of a fleet. EC2 launches those of a fleet that maintains its capacity, or
// requests it, as a service-linked role; an instant fleet is launched by who makes it. Source: EC2
// User Guide, "EC2 Fleet prerequisites" and "Spot Fleet permissions", on keys of customers.
func (b *builder) fleet() {
	r := b.r
	b.sc.Launch.Operation = format.RunInstances
	service, market := "ec2fleet.amazonaws.com", b.fleetMarket()
	if r.typ == "aws_spot_fleet_request" {
		service, market = "spotfleet.amazonaws.com", format.MarketSpot
	}
	switch x := r.attr("type"); {
	case r.typ == "aws_ec2_fleet" && x.isUnknown():
		b.missing(place(r, []any{"type"}) + x.why())
		b.caller()
	case x.string() == "instant":
		b.caller()
	default:
		role := linkedRole(b.home.account, service)
		b.person(role, true)
		b.sc.Launch.Caller = &role
	}
	n, ok := r.attr("launch_template_config").length()
	if !ok {
		b.missing(place(r, []any{"launch_template_config"}) + r.attr("launch_template_config").why())
	}
	overrides := "override"
	if r.typ == "aws_spot_fleet_request" {
		overrides = "overrides"
	}
	for i := range n {
		b.overridden(market, []any{"launch_template_config", i}, overrides)
	}
	n, _ = r.attr("launch_specification").length()
	for j := range n {
		name := r.addr
		if n > 1 {
			name = fmt.Sprintf("%s-%d", r.addr, j)
		}
		i := b.begin(r, format.Template{Name: name, Kind: format.KindLaunchTemplate, Market: market})
		b.imageAt(i, r, "launch_specification", j, "ami")
		b.instanceDevices(i, r, "launch_specification", j)
	}
	if len(b.sc.Launch.Templates) == 0 {
		b.missing("no launch template of " + r.addr + " is known")
	}
}

// fleetMarket is what the capacity of an EC2 Fleet is made of. Source: EC2 API Reference,
// "TargetCapacitySpecificationRequest".
func (b *builder) fleetMarket() string {
	path := func(attr string) value { return b.r.attr("target_capacity_specification", 0, attr) }
	demand, _ := path("on_demand_target_capacity").v.(float64)
	spot, _ := path("spot_target_capacity").v.(float64)
	kind := path("default_target_capacity_type").string()
	total, _ := path("total_target_capacity").v.(float64)
	switch {
	case demand > 0 && spot > 0, kind == "spot" && demand > 0 && total > demand, kind != "spot" && spot > 0 && total > spot:
		return format.MarketMixed
	case kind == "spot" && demand == 0, spot > 0:
		return format.MarketSpot
	}
	return format.MarketOnDemand
}

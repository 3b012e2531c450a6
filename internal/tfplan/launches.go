package tfplan

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/kagimori/kagimori/internal/scenario/format"
)

// launch makes a scenario of a resource that launches something, or nothing of any other.
func (m *model) launch(r *resource) *Launch {
	b := m.builder(r)
	starts := r.action == actionCreate || m.state
	switch {
	case r.kind() == "aws_autoscaling_group":
		b.group()
	case r.kind() == "aws_eks_node_group":
		b.nodeGroup()
	case r.kind() == "aws_instance" && starts, r.kind() == "aws_spot_instance_request" && starts:
		b.instance()
	case r.kind() == "aws_ec2_fleet" && starts, r.kind() == "aws_spot_fleet_request" && starts:
		b.fleet()
	case r.kind() == "aws_ebs_volume" && r.action == actionCreate:
		b.newVolume()
	case r.kind() == "aws_volume_attachment" && starts:
		b.attachment()
	case r.kind() == "aws_ebs_snapshot_copy" && r.action == actionCreate:
		b.copy()
	default:
		return nil
	}
	return b.finish()
}

// group launches what the templates of an Auto Scaling group say.
func (b *builder) group() {
	r, m := b.r, b.m
	b.sc.Launch.Operation = format.AutoScalingLaunch
	g := &format.Group{Name: r.known("name"), Desired: r.number("desired_capacity")}
	if g.Desired == 0 {
		g.Desired = max(1, r.number("min_size"))
	}
	if g.Name == "" {
		g.Name = r.addr
	}
	role := m.text(r, wantPerson, "service_linked_role_arn")
	if role.why != "" {
		b.unknown("/launch/group/serviceLinkedRoleArn", role.why)
		b.depends = append(b.depends, role.why)
	}
	if role.s != "" {
		g.ServiceLinkedRoleARN = &role.s
	}
	b.sc.Launch.Group = g
	b.person(cmp.Or(role.s, linkedRole(b.home.account, "autoscaling.amazonaws.com")), true)

	if lc := r.attr("launch_configuration"); lc.isUnknown() || lc.string() != "" {
		b.launchConfiguration()
	}
	if n, _ := r.attr("launch_template").length(); n > 0 {
		if lt := b.templateAt("launch_template", 0); lt != nil {
			b.template(lt, "", "launch_template", 0)
		}
	}
	n, ok := r.attr("mixed_instances_policy").length()
	if e, told := m.expr(r, "mixed_instances_policy"); !ok && !r.given && !(told && e == nil) {
		b.missing(r.addr + ".mixed_instances_policy" + r.attr("mixed_instances_policy").why())
	}
	if n > 0 {
		b.mixed()
	}
	for _, attr := range []string{"launch_template", "mixed_instances_policy"} {
		if x := r.attr(attr); r.given && x.isUnknown() {
			b.missing(place(r, []any{attr}) + x.why())
		}
	}
	if len(b.sc.Launch.Templates) == 0 && len(b.depends) == 0 {
		b.missing("no launch template of " + r.addr + " is known")
	}
}

// nodeGroup launches what a managed node group of EKS does: EKS makes an Auto Scaling group of its
// own, which has the default role, and a template after the one that it is given. Source: EKS User
// Guide, "Customize managed nodes with launch templates".
func (b *builder) nodeGroup() {
	r := b.r
	b.sc.Launch.Operation = format.AutoScalingLaunch
	b.sc.Launch.Group = &format.Group{Name: cmp.Or(r.known("node_group_name"), r.addr), Desired: max(1, r.number("scaling_config", 0, "desired_size"))}
	b.person(linkedRole(b.home.account, "autoscaling.amazonaws.com"), true)
	market := format.MarketOnDemand
	if r.known("capacity_type") == "SPOT" {
		market = format.MarketSpot
	}
	n, ok := r.attr("launch_template").length()
	switch {
	case n > 0:
		if lt := b.templateAt("launch_template", 0); lt != nil {
			b.template(lt, market, "launch_template", 0)
		}
	case !ok && !b.computed(r, "launch_template"):
		b.missing(r.addr + ".launch_template" + r.attr("launch_template").why())
	default: // a template of EKS
		i := b.begin(r, format.Template{Name: r.addr, Kind: format.KindLaunchTemplate, Market: market})
		b.sc.Launch.Templates[i].BlockDevices = append(b.sc.Launch.Templates[i].BlockDevices, format.BlockDevice{Device: "/dev/xvda"})
		b.assume(r.addr + " has the image of EKS, whose only device is not encrypted")
	}
}

// mixed launches the template of a mixed instances policy and those of its overrides.
func (b *builder) mixed() {
	market := mixedMarket(b.r)
	b.overridden(market, []any{"mixed_instances_policy", 0, "launch_template", 0}, "override")
}

// overridden launches the template that is specified below base and those of its overrides.
func (b *builder) overridden(market string, base []any, attr string) {
	spec := append(slices.Clone(base), "launch_template_specification", 0)
	var used []*resource
	add := func(path []any) {
		if lt := b.templateAt(path...); lt != nil && !slices.Contains(used, lt) {
			used = append(used, lt)
			b.template(lt, market, path...)
		}
	}
	add(spec)
	overrides := append(slices.Clone(base), attr)
	n, _ := b.r.attr(overrides...).length()
	for i := range n {
		own := append(slices.Clone(overrides), i, "launch_template_specification")
		if n, _ := b.r.attr(own...).length(); n > 0 {
			add(append(own, 0))
		}
		if typ := b.r.known(append(slices.Clone(overrides), i, "instance_type")...); typ != "" && len(b.sc.Launch.Templates) > 0 {
			t := &b.sc.Launch.Templates[len(b.sc.Launch.Templates)-1]
			if t.InstanceTypes = slices.DeleteFunc(t.InstanceTypes, func(s string) bool { return s == typ }); true {
				t.InstanceTypes = append(t.InstanceTypes, typ)
			}
		}
	}
}

// mixedMarket is the market of a mixed instances policy. Source: EC2 Auto Scaling API Reference,
// "InstancesDistribution": all are On-Demand Instances unless the percentage says otherwise.
func mixedMarket(r *resource) string {
	path := []any{"mixed_instances_policy", 0, "instances_distribution", 0}
	x := r.attr(append(path, "on_demand_percentage_above_base_capacity")...)
	base := r.attr(append(path, "on_demand_base_capacity")...)
	percent, ok := x.v.(float64)
	switch {
	case x.isUnknown() || !ok && x.v != nil:
		return format.MarketMixed
	case !ok || percent == 100:
		return format.MarketOnDemand
	case percent == 0 && (base.v == nil || base.v == 0.0) && !base.isUnknown():
		return format.MarketSpot
	}
	return format.MarketMixed
}

// templateAt finds the launch template that a block names by id or name.
func (b *builder) templateAt(path ...any) *resource {
	why := ""
	for _, attr := range []string{"id", "launch_template_id", "name", "launch_template_name"} {
		t, lt := b.m.link(b.r, wantLT, append(slices.Clone(path), attr)...)
		switch {
		case lt != nil:
			b.assume(t.assumed)
			return lt
		case t.why != "":
			why = t.why
		case t.s != "" && t.s != "unknown": // the provider puts "unknown" into the id of a template given by name
			if lt := b.m.templates[templateName(b.home, t.s)]; lt != nil {
				return lt
			}
			why = "launch template " + t.s + " is not in " + b.m.words.File
		}
	}
	b.missing(cmp.Or(why, "the launch template of "+b.r.addr+" is not known"))
	return nil
}

// templateName is where readTemplates puts a template.
func templateName(h *home, name string) string { return h.account + " " + h.region + " " + name }

// readTemplates makes launch templates findable by name and id.
func (m *model) readTemplates() {
	m.templates = map[string]*resource{}
	for _, r := range m.of("data.aws_launch_template", "aws_launch_template") {
		for _, attr := range []string{"id", "name"} {
			if s := r.known(attr); s != "" {
				m.templates[templateName(m.homeOf(r), s)] = r
			}
		}
	}
}

// template adds a launch template, which the block at path names.
func (b *builder) template(lt *resource, market string, path ...any) {
	if other := b.staleVersion(lt, path); other != "" {
		b.missing(other)
	}
	t := format.Template{Name: cmp.Or(lt.known("name"), lt.addr), Kind: format.KindLaunchTemplate, Market: market}
	if t.Market == "" {
		t.Market = format.MarketOnDemand
		if lt.known("instance_market_options", 0, "market_type") == "spot" {
			t.Market = format.MarketSpot
		}
	}
	i := b.begin(lt, t)
	if b.ownImage() {
		b.place(fmt.Sprintf("/launch/templates/%d/imageId", i), b.r.addr)
		b.imageAt(i, b.r, "ami")
	} else {
		b.imageAt(i, lt, "image_id")
	}
	n, ok := lt.attr("block_device_mappings").length()
	if !ok {
		b.unknown(fmt.Sprintf("/launch/templates/%d/imageId", i), lt.addr+".block_device_mappings"+lt.attr("block_device_mappings").why())
	}
	for j := range n {
		b.device(i, lt, lt.known("block_device_mappings", j, "device_name"), "block_device_mappings", j, "ebs", 0)
	}
}

// ownImage reports whether an instance names its image, which counts more than that of its template.
func (b *builder) ownImage() bool {
	x := b.r.attr("ami")
	_, public := x.v.(PublicImage)
	return public || x.string() != "" || x.isUnknown() && !b.computed(b.r, "ami")
}

// staleVersion tells why the version that the group launches is not the one that is read, which is
// the latest. A template that is updated keeps its default version unless it says otherwise.
func (b *builder) staleVersion(lt *resource, path []any) string {
	x := b.r.attr(append(slices.Clone(path), "version")...)
	version := x.string()
	other := b.r.addr + " launches another version of " + lt.addr + " than the latest"
	latest, ok := lt.attr("latest_version").v.(float64)
	switch {
	case version == "$Latest" || x.isUnknown() || lt.action == actionCreate:
		return ""
	case lt.action == actionUpdate && (version == "" || version == "$Default"):
		if lt.attr("update_default_version").v == true {
			return ""
		}
		return other
	case lt.action == actionUpdate:
		return other // a number that is known is that of an older one
	case version == "" || version == "$Default":
		if byDefault, known := lt.attr("default_version").v.(float64); ok && known && byDefault != latest {
			return other
		}
	case ok && version != fmt.Sprint(int(latest)):
		return other
	}
	return ""
}

// launchConfiguration adds that of the group.
func (b *builder) launchConfiguration() {
	t, lc := b.m.link(b.r, wantLC, "launch_configuration")
	for _, r := range b.m.of("aws_launch_configuration") {
		if lc == nil && t.s != "" && (r.known("name") == t.s || r.known("id") == t.s) {
			lc = r
		}
	}
	if lc == nil {
		b.missing(cmp.Or(t.why, "launch configuration "+t.s+" is not in "+b.m.words.File))
		return
	}
	market := format.MarketOnDemand
	if price := lc.attr("spot_price"); price.string() != "" || price.isUnknown() && !b.computed(lc, "spot_price") {
		market = format.MarketSpot
		b.person(linkedRole(b.home.account, "spot.amazonaws.com"), true)
	}
	i := b.begin(lc, format.Template{Name: cmp.Or(lc.known("name"), lc.addr), Kind: format.KindLaunchConfiguration, Market: market})
	b.imageAt(i, lc, "image_id")
	b.instanceDevices(i, lc)
}

// computed reports whether an unknown attribute was left to AWS.
func (b *builder) computed(r *resource, path ...any) bool {
	e, ok := b.m.expr(r, path...)
	return ok && e == nil
}

// instanceDevices adds the root and the other devices of an instance, launch configuration or
// specification of a fleet. below leads to what tells of them.
func (b *builder) instanceDevices(i int, r *resource, below ...any) {
	at := func(path ...any) []any { return append(slices.Clone(below), path...) }
	if n, _ := r.attr(at("root_block_device")...).length(); n > 0 {
		name := r.known(at("root_block_device", 0, "device_name")...)
		if name == "" {
			name = b.rootDevice(i)
		}
		b.device(i, r, name, at("root_block_device", 0)...)
	}
	n, ok := r.attr(at("ebs_block_device")...).length()
	if !ok && !b.computed(r, at("ebs_block_device")...) {
		b.unknown(fmt.Sprintf("/launch/templates/%d/imageId", i), place(r, at("ebs_block_device"))+r.attr(at("ebs_block_device")...).why())
	}
	for j := range n {
		b.device(i, r, r.known(at("ebs_block_device", j, "device_name")...), at("ebs_block_device", j)...)
	}
}

// rootDevice is the name of the root device of a template's image.
func (b *builder) rootDevice(i int) string {
	if id := b.sc.Launch.Templates[i].ImageID; id != nil {
		if r := b.m.sources.images[*id]; r != nil {
			if name := r.known("root_device_name"); name != "" {
				return name
			}
		}
		for _, im := range b.sc.Images {
			if im.ID == *id && len(im.Devices) > 0 {
				return im.Devices[0].Device
			}
		}
	}
	return "/dev/xvda"
}

// instance runs an instance, from a launch template or from its own attributes, or both.
func (b *builder) instance() {
	b.sc.Launch.Operation = format.RunInstances
	b.caller()
	market := format.MarketOnDemand
	if b.r.typ == "aws_spot_instance_request" || b.r.known("instance_market_options", 0, "market_type") == "spot" {
		market = format.MarketSpot
	}
	var lt *resource
	if n, _ := b.r.attr("launch_template").length(); n > 0 {
		lt = b.templateAt("launch_template", 0)
	}
	if lt == nil {
		i := b.begin(b.r, format.Template{Name: b.r.addr, Kind: format.KindLaunchTemplate, Market: market})
		b.imageAt(i, b.r, "ami")
		b.instanceDevices(i, b.r)
		return
	}
	b.template(lt, "", "launch_template", 0)
	i := len(b.sc.Launch.Templates) - 1
	// What the instance says of a device counts more than what the template says.
	own := len(b.sc.Launch.Templates[i].BlockDevices)
	b.instanceDevices(i, b.r)
	b.override(i, own)
}

// newVolume makes a volume.
func (b *builder) newVolume() {
	b.sc.Launch.Operation = format.CreateVolume
	b.caller()
	i := b.begin(b.r, format.Template{Name: b.r.addr, Kind: format.KindVolume, Market: format.MarketOnDemand})
	b.device(i, b.r, "")
}

// copy copies a snapshot.
func (b *builder) copy() {
	b.sc.Launch.Operation = format.CopySnapshot
	b.caller()
	if from := b.r.known("source_region"); from != "" && from != b.home.region {
		b.missing("the snapshot that " + b.r.addr + " copies is in another region")
		return
	}
	i := b.begin(b.r, format.Template{Name: b.r.addr, Kind: format.KindVolume, Market: format.MarketOnDemand})
	b.device(i, b.r, "")
}

// attachment attaches a volume to an instance.
func (b *builder) attachment() {
	b.sc.Launch.Operation = format.AttachVolume
	b.caller()
	id := b.m.text(b.r, wantVolume, "volume_id")
	v := format.ExistingVolume{ID: cmp.Or(id.s, newID("vol-", b.r.addr)), Device: b.r.known("device_name")}
	at := "/launch/existingVolumes/0"
	b.place(at, b.r.addr)
	switch r := b.m.sources.volumes[id.s]; {
	case r == nil:
		b.unknown(at+"/key", cmp.Or(id.why, "volume "+id.s+" is not in "+b.m.words.File))
	default:
		b.place(at, r.addr)
		on, key, why := b.m.volume(r)
		if why != "" {
			b.unknown(at+"/key", why)
		} else if on {
			name, why := b.keyARN(key, r.addr)
			if v.Key = &name; why != "" {
				b.unknown(at+"/key", why)
			}
		}
	}
	b.sc.Launch.ExistingVolumes = []format.ExistingVolume{v}
}

package ec2

import (
	"context"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/ec2/instancetype"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// An edit is a change of one attribute of an instance.
type edit struct {
	name  string // as ec2:Attribute has it
	value string // if it is a text, number or truth value
	// resting tells that the instance must be stopped.
	resting bool
	groups  []group // security groups to be set
	apply   func(tx store.Tx, i *instanceRecord) error
}

// ModifyInstanceAttribute changes one attribute of an instance.
// Source: EC2 API Reference, ModifyInstanceAttribute.
func (s *Service) ModifyInstanceAttribute(ctx context.Context, c *guard.Call, in *ec2api.ModifyInstanceAttributeRequest) error {
	defer s.locks.Lock(api.Val(in.InstanceId))()
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		e, err := s.editOf(tx, c, in)
		if err != nil {
			return err
		}
		found, err := s.lookupInstances(tx, c, []string{api.Val(in.InstanceId)})
		if err != nil {
			return err
		}
		i := found[0]
		tags, err := tagsOf(tx, i.Region, i.Account, i.ID)
		if err != nil {
			return err
		}
		p := s.instancePart(c, "ec2:ModifyInstanceAttribute", &i, tags)
		setAttribute(&p, e.name, e.value)
		c.Touch(i.arn(), i.Account, "AWS::EC2::Instance")
		parts := []authz.Part{p}
		for _, g := range e.groups {
			if tags, err = tagsOf(tx, c.Region, c.Account(), g.ID); err != nil {
				return err
			}
			gp := s.part(c, "ec2:ModifyInstanceAttribute", "security-group/"+g.ID, tags)
			g.describe(&gp)
			parts = append(parts, gp)
		}
		if _, err := s.g.Authorize(tx, c, guard.Check{Parts: parts}); err != nil {
			return err
		}
		if err := dryRun(in.DryRun); err != nil {
			return err
		}
		switch {
		case i.State == terminated || i.State == shuttingDown:
			return apierr.Newf("IncorrectInstanceState", "The instance '%s' is terminated.", i.ID)
		case e.resting && (i.State != stopped || i.Work != ""):
			return apierr.Newf("IncorrectInstanceState", "The instance '%s' is not in the 'stopped' state.", i.ID)
		}
		if err := e.apply(tx, &i); err != nil {
			return err
		}
		return putInstance(tx, i)
	})
}

// editOf reads the one change that a request asks for, in either of its forms.
func (s *Service) editOf(tx store.Tx, c *guard.Call, in *ec2api.ModifyInstanceAttributeRequest) (edit, error) {
	var all []edit
	flag := func(name string, v *ec2api.AttributeBooleanValue, set func(o *instanceOptions, on bool)) {
		if v != nil {
			all = append(all, flagEdit(name, api.Val(v.Value), set))
		}
	}
	flag("DisableApiTermination", in.DisableApiTermination, func(o *instanceOptions, on bool) { o.ProtectTermination = on })
	flag("DisableApiStop", in.DisableApiStop, func(o *instanceOptions, on bool) { o.ProtectStop = on })
	if v := in.EbsOptimized; v != nil {
		e := flagEdit("EbsOptimized", api.Val(v.Value), func(o *instanceOptions, on bool) { o.EbsOptimized = on })
		e.resting = true
		all = append(all, e)
	}
	if v := in.InstanceInitiatedShutdownBehavior; v != nil {
		all = append(all, shutdownEdit(api.Val(v.Value)))
	}
	if v := in.InstanceType; v != nil {
		all = append(all, typeEdit(api.Val(v.Value)))
	}
	if v := in.UserData; v != nil {
		all = append(all, userDataEdit(base64.StdEncoding.EncodeToString(v.Value)))
	}
	if v := in.EnclaveOptions; v != nil {
		all = append(all, enclaveEdit(api.Val(v.Enabled)))
	}
	flag("SourceDestCheck", in.SourceDestCheck, func(o *instanceOptions, on bool) { o.NoSourceCheck = !on })
	// Every instance here has enhanced networking: what asks for it changes nothing.
	if v := in.EnaSupport; v != nil && api.Val(v.Value) {
		e := flagEdit("EnaSupport", true, func(*instanceOptions, bool) {})
		e.resting = true
		all = append(all, e)
	}
	if v := in.SriovNetSupport; v != nil && api.Val(v.Value) == "simple" {
		e := flagEdit("SriovNetSupport", true, func(*instanceOptions, bool) {})
		e.value, e.resting = "simple", true
		all = append(all, e)
	}
	if v := in.EnaSupport; v != nil && !api.Val(v.Value) || in.SriovNetSupport != nil && api.Val(in.SriovNetSupport.Value) != "simple" || in.Kernel != nil || in.Ramdisk != nil {
		return edit{}, apierr.New("UnsupportedOperation", "This server does not support changes of that attribute.")
	}
	if len(in.Groups) > 0 {
		e, err := s.groupsEdit(tx, c, in.Groups)
		if err != nil {
			return edit{}, err
		}
		all = append(all, e)
	}
	if len(in.BlockDeviceMappings) > 0 {
		all = append(all, mappingsEdit(in.BlockDeviceMappings))
	}
	if name := api.Val(in.Attribute); name != "" && in.Value != nil {
		e, err := namedEdit(name, in.Value.Reveal())
		if err != nil {
			return edit{}, err
		}
		all = append(all, e)
	}
	switch len(all) {
	case 1:
		return all[0], nil
	case 0:
		return edit{}, apierr.New("MissingParameter", "The request must contain the parameter attribute and value")
	}
	return edit{}, apierr.New("InvalidParameterCombination", "Fields for multiple attribute types specified: the request can change one attribute")
}

// namedEdit is the form with Attribute and Value.
func namedEdit(name, value string) (edit, error) {
	flags := map[string]func(*instanceOptions, bool){
		"disableApiTermination": func(o *instanceOptions, on bool) { o.ProtectTermination = on },
		"disableApiStop":        func(o *instanceOptions, on bool) { o.ProtectStop = on },
		"ebsOptimized":          func(o *instanceOptions, on bool) { o.EbsOptimized = on },
	}
	if set, ok := flags[name]; ok {
		on := strings.EqualFold(value, "true")
		if !on && !strings.EqualFold(value, "false") {
			return edit{}, invalidValue("Value (%s) for parameter value is invalid. Expecting true or false.", value)
		}
		e := flagEdit(strings.ToUpper(name[:1])+name[1:], on, set)
		e.resting = name == "ebsOptimized"
		return e, nil
	}
	switch name {
	case "instanceInitiatedShutdownBehavior":
		return shutdownEdit(value), nil
	case "instanceType":
		return typeEdit(value), nil
	case "userData":
		return userDataEdit(value), nil
	}
	return edit{}, invalidValue("Value (%s) for parameter attribute is invalid. It cannot be modified.", name)
}

func flagEdit(name string, on bool, set func(*instanceOptions, bool)) edit {
	return edit{name: name, value: boolOf(on)[0], apply: func(_ store.Tx, i *instanceRecord) error {
		set(&i.Options, on)
		return nil
	}}
}

func shutdownEdit(value string) edit {
	return edit{name: "InstanceInitiatedShutdownBehavior", value: value, apply: func(_ store.Tx, i *instanceRecord) error {
		if value != "stop" && value != "terminate" {
			return invalidValue("Value (%s) for parameter instanceInitiatedShutdownBehavior is invalid. Expecting stop or terminate.", value)
		}
		i.Options.Shutdown = value
		return nil
	}}
}

func typeEdit(value string) edit {
	return edit{name: "InstanceType", value: value, resting: true, apply: func(_ store.Tx, i *instanceRecord) error {
		kind, ok := instancetype.Lookup(value)
		switch {
		case !ok:
			return invalidValue("Invalid value '%s' for InstanceType.", value)
		case !kind.Runs(i.Architecture):
			return apierr.Newf("InvalidParameterCombination", "The instance type '%s' does not match the architecture '%s' of the instance.", value, i.Architecture)
		}
		if i.Options.Hibernation { // Source: EC2 User Guide, "Hibernate your Amazon EC2 instance", limitations
			return apierr.Newf("UnsupportedOperation", "The type of the instance '%s' cannot be changed: it is enabled for hibernation.", i.ID)
		}
		if err := instancetype.CheckVolumes(value, len(i.Devices)); err != nil {
			return err
		}
		i.Type, i.Options.CoreCount, i.Options.ThreadsPerCore = value, kind.Cores(), kind.Threads()
		return nil
	}}
}

// userDataEdit takes base64. The value is no condition key: it may hold secrets.
func userDataEdit(data string) edit {
	return edit{name: "UserData", resting: true, apply: func(_ store.Tx, i *instanceRecord) error {
		if err := checkUserData(data); err != nil {
			return err
		}
		i.Options.UserData = data
		return nil
	}}
}

func (s *Service) groupsEdit(tx store.Tx, c *guard.Call, ids []string) (edit, error) {
	e := edit{name: "GroupSet"}
	for _, id := range ids {
		g, err := s.lookupGroup(tx, c, id)
		if err != nil {
			return e, err
		}
		e.groups = append(e.groups, g)
	}
	if err := enoughGroups(e.groups); err != nil {
		return e, err
	}
	e.apply = func(_ store.Tx, i *instanceRecord) error {
		i.Groups, i.GroupsBy = nil, nil
		for _, g := range e.groups {
			i.Groups, i.GroupsBy = append(i.Groups, g.ID), append(i.GroupsBy, g.Name)
		}
		return nil
	}
	return e, nil
}

// mappingsEdit changes whether volumes are deleted with the instance.
// enclaveEdit changes whether a stopped instance can be the parent of enclaves.
func enclaveEdit(on bool) edit {
	e := flagEdit("EnclaveOptions", on, nil)
	e.resting = true
	e.apply = func(_ store.Tx, i *instanceRecord) error {
		kind, ok := instancetype.Lookup(i.Type)
		switch {
		case on && ok && !kind.Enclaves():
			return apierr.Newf("InvalidParameterCombination", "The instance type %s does not support enclaves.", kind.Name)
		case on && i.Options.Hibernation: // Source: EC2 API Reference, EnclaveOptionsRequest
			return apierr.New("InvalidParameterCombination", "An instance cannot be enabled for both enclaves and hibernation.")
		}
		i.Options.Enclave = on
		return nil
	}
	return e
}

func mappingsEdit(mappings []ec2api.InstanceBlockDeviceMappingSpecification) edit {
	return edit{name: "BlockDeviceMapping", apply: func(tx store.Tx, i *instanceRecord) error {
		i.Devices = slices.Clone(i.Devices)
		for _, m := range mappings {
			at := slices.IndexFunc(i.Devices, func(d attachedDevice) bool { return d.Name == api.Val(m.DeviceName) })
			if at < 0 {
				return apierr.Newf("InvalidInstanceAttributeValue", "No device is currently mapped at %s", api.Val(m.DeviceName))
			}
			d := &i.Devices[at]
			switch {
			case m.NoDevice != nil || api.Val(m.VirtualName) != "":
				return apierr.Newf("InvalidInstanceAttributeValue", "The mapping of the device %s can change only whether its volume is deleted on termination.", d.Name)
			case m.Ebs != nil && api.Val(m.Ebs.VolumeId) != "" && *m.Ebs.VolumeId != d.Volume:
				return apierr.Newf("InvalidInstanceAttributeValue", "The volume %s is not mapped at %s", *m.Ebs.VolumeId, d.Name)
			case m.Ebs == nil || m.Ebs.DeleteOnTermination == nil:
				continue
			}
			d.DeleteOnTermination = *m.Ebs.DeleteOnTermination
			v, ok, err := volumeTable.Get(tx, i.Region, i.Account, d.Volume)
			if err != nil || !ok {
				return gone(d.Volume, err)
			}
			p := v.plug(i.ID)
			if p == nil {
				return gone(d.Volume, nil)
			}
			p.DeleteOnTermination = d.DeleteOnTermination
			if err := putVolume(tx, v); err != nil {
				return err
			}
		}
		return nil
	}}
}

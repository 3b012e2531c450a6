package ec2

import (
	"cmp"
	"maps"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/ec2/instancetype"
	"github.com/kagimori/kagimori/internal/store"
)

// States of a Spot Instance request. Source: EC2 User Guide, "Spot Instance request states".
const (
	spotOpen      = "open"
	spotActive    = "active"
	spotClosed    = "closed"
	spotCancelled = "cancelled"
	spotFailed    = "failed"
	spotDisabled  = "disabled" // its instance is stopped
)

// A spotRecord is a Spot Instance request: made by RequestSpotInstances, or by a launch that asks
// for Spot Instances.
type spotRecord struct {
	Region       string        `json:"region"`
	Account      string        `json:"account"`
	ID           string        `json:"id"`
	Type         string        `json:"type"` // one-time, persistent
	State        string        `json:"state"`
	Status       string        `json:"status"`
	Said         string        `json:"said"` // the status in words
	Updated      time.Time     `json:"updated"`
	Created      time.Time     `json:"created"`
	Price        string        `json:"price"` // the most that is paid an hour
	Interruption string        `json:"interruption"`
	From         time.Time     `json:"from,omitzero"`
	Until        time.Time     `json:"until,omitzero"`
	Group        string        `json:"group,omitempty"` // LaunchGroup
	ZoneGroup    string        `json:"zoneGroup,omitempty"`
	Launch       *storedLaunch `json:"launch,omitempty"` // nil: RunInstances made it
	Spec         *spotSpec     `json:"spec,omitempty"`
	Instance     string        `json:"instance,omitempty"`
	Zone         string        `json:"zone,omitempty"`
	ZoneID       string        `json:"zoneId,omitempty"`
	Fault        *reason       `json:"fault,omitempty"`
}

// spotKind is what requests for Spot Instances are called among resources.
const spotKind = "spot-instances-request"

// spotTable is keyed by (region, account, request id).
var spotTable = store.Table[spotRecord]{Bucket: "ec2/spot-request", Version: 1}

func putSpot(tx store.Tx, r spotRecord) error {
	return spotTable.Put(tx, r, r.Region, r.Account, r.ID)
}

// spotWords are the statuses in words. Source: EC2 User Guide, "Spot request status codes".
var spotWords = map[string]string{
	"pending-evaluation":                    "Your Spot request has been submitted for review, and is pending evaluation.",
	"pending-fulfillment":                   "Your Spot request is pending fulfillment.",
	"not-scheduled-yet":                     "Your Spot request will not be evaluated until the scheduled date.",
	"fulfilled":                             "Your Spot request is fulfilled.",
	"price-too-low":                         "Your Spot request price is lower than the minimum required Spot request fulfillment price.",
	"schedule-expired":                      "Your Spot request has expired because it was not fulfilled before the specified date.",
	"canceled-before-fulfillment":           "Your Spot request is canceled before it was fulfilled.",
	"request-canceled-and-instance-running": "Your Spot request is canceled, but your instance is still running.",
	"instance-terminated-by-user":           "Your Spot Instance was terminated by a user.",
	"instance-stopped-by-user":              "You stopped your instance from the instance or ran the shutdown command from the instance.",
	"bad-parameters":                        "Your Spot request failed because of a problem with its parameters.",
}

// to moves a request to a state and status.
func (r *spotRecord) to(now time.Time, state, status string) {
	r.State, r.Status, r.Said, r.Updated = state, status, spotWords[status], now
}

// expire ends a request whose time is over and that was not fulfilled.
func (r *spotRecord) expire(now time.Time) bool {
	if r.State != spotOpen || r.Until.IsZero() || now.Before(r.Until) {
		return false
	}
	r.to(now, spotCancelled, "schedule-expired")
	return true
}

// wire is a request as answers carry it.
func (r *spotRecord) wire(tags map[string]string) (ec2api.SpotInstanceRequest, error) {
	w := ec2api.SpotInstanceRequest{
		SpotInstanceRequestId: &r.ID, Type: &r.Type, State: &r.State, CreateTime: &r.Created, SpotPrice: &r.Price, ProductDescription: new(instancetype.SpotProduct),
		InstanceInterruptionBehavior: &r.Interruption, InstanceId: api.Opt(r.Instance), Tags: apiTags(tags),
		Status:                   &ec2api.SpotInstanceStatus{Code: &r.Status, Message: &r.Said, UpdateTime: &r.Updated},
		LaunchedAvailabilityZone: api.Opt(r.Zone), LaunchedAvailabilityZoneId: api.Opt(r.ZoneID), LaunchGroup: api.Opt(r.Group), AvailabilityZoneGroup: api.Opt(r.ZoneGroup),
	}
	if !r.From.IsZero() {
		w.ValidFrom = &r.From
	}
	if !r.Until.IsZero() {
		w.ValidUntil = &r.Until
	}
	if r.Fault != nil {
		w.Fault = &ec2api.SpotInstanceStateFault{Code: &r.Fault.Code, Message: &r.Fault.Message}
	}
	if r.Launch == nil {
		if r.Spec != nil {
			w.LaunchSpecification = r.Spec.wire()
		}
		return w, nil
	}
	in, err := r.Launch.request()
	if err != nil {
		return w, err
	}
	w.LaunchSpecification = &ec2api.LaunchSpecification{
		ImageId: in.ImageId, InstanceType: in.InstanceType, KeyName: in.KeyName, SubnetId: in.SubnetId, EbsOptimized: in.EbsOptimized,
		BlockDeviceMappings: in.BlockDeviceMappings, IamInstanceProfile: in.IamInstanceProfile, NetworkInterfaces: in.NetworkInterfaces,
		UserData: in.UserData, Monitoring: &ec2api.RunInstancesMonitoringEnabled{Enabled: new(in.Monitoring != nil && api.Val(in.Monitoring.Enabled))},
	}
	w.LaunchSpecification.SecurityGroups = r.Spec.groups(in.SecurityGroupIds)
	if p := in.Placement; p != nil {
		w.LaunchSpecification.Placement = &ec2api.SpotPlacement{AvailabilityZone: p.AvailabilityZone, GroupName: p.GroupName, Tenancy: p.Tenancy}
	}
	return w, nil
}

// spotFields are the filters of DescribeSpotInstanceRequests.
func spotFields() fields[ec2api.SpotInstanceRequest] {
	type request = ec2api.SpotInstanceRequest
	text := func(get func(request) *string) func(request) []string {
		return func(r request) []string { return oneOf(api.Val(get(r))) }
	}
	spec := func(get func(*ec2api.LaunchSpecification) *string) func(request) []string {
		return func(r request) []string {
			if r.LaunchSpecification == nil {
				return nil
			}
			return oneOf(api.Val(get(r.LaunchSpecification)))
		}
	}
	out := fields[request]{
		"spot-instance-request-id":       text(func(r request) *string { return r.SpotInstanceRequestId }),
		"state":                          text(func(r request) *string { return r.State }),
		"status-code":                    text(func(r request) *string { return r.Status.Code }),
		"status-message":                 text(func(r request) *string { return r.Status.Message }),
		"type":                           text(func(r request) *string { return r.Type }),
		"instance-id":                    text(func(r request) *string { return r.InstanceId }),
		"spot-price":                     text(func(r request) *string { return r.SpotPrice }),
		"product-description":            text(func(r request) *string { return r.ProductDescription }),
		"launched-availability-zone":     text(func(r request) *string { return r.LaunchedAvailabilityZone }),
		"launched-availability-zone-id":  text(func(r request) *string { return r.LaunchedAvailabilityZoneId }),
		"launch-group":                   text(func(r request) *string { return r.LaunchGroup }),
		"availability-zone-group":        text(func(r request) *string { return r.AvailabilityZoneGroup }),
		"instance-interruption-behavior": text(func(r request) *string { return r.InstanceInterruptionBehavior }),
		"create-time":                    func(r request) []string { return oneOf(r.CreateTime.UTC().Format(time.RFC3339)) },
		"valid-from":                     func(r request) []string { return timeText(r.ValidFrom) },
		"valid-until":                    func(r request) []string { return timeText(r.ValidUntil) },
		"fault-code": func(r request) []string {
			if r.Fault == nil {
				return nil
			}
			return oneOf(*r.Fault.Code)
		},
		"launch.image-id":      spec(func(l *ec2api.LaunchSpecification) *string { return l.ImageId }),
		"launch.instance-type": spec(func(l *ec2api.LaunchSpecification) *string { return l.InstanceType }),
		"launch.key-name":      spec(func(l *ec2api.LaunchSpecification) *string { return l.KeyName }),
		"launch.group-id": func(r request) []string {
			if r.LaunchSpecification == nil {
				return nil
			}
			return each(r.LaunchSpecification.SecurityGroups, func(g ec2api.GroupIdentifier) *string { return g.GroupId })
		},
		"network-interface.subnet-id": spec(func(l *ec2api.LaunchSpecification) *string { return l.SubnetId }),
		"fault-message": func(r request) []string {
			if r.Fault == nil {
				return nil
			}
			return oneOf(api.Val(r.Fault.Message))
		},
	}
	maps.Copy(out, spotLaunchFields())
	return out
}

// spotLaunchFields are the filters about lists in what a request launches.
func spotLaunchFields() fields[ec2api.SpotInstanceRequest] {
	type request = ec2api.SpotInstanceRequest
	device := func(get func(*ec2api.BlockDeviceMapping) []string) func(request) []string {
		return func(r request) (out []string) {
			if l := r.LaunchSpecification; l != nil {
				for i := range l.BlockDeviceMappings {
					out = append(out, get(&l.BlockDeviceMappings[i])...)
				}
			}
			return out
		}
	}
	ebs := func(get func(*ec2api.EbsBlockDevice) []string) func(request) []string {
		return device(func(d *ec2api.BlockDeviceMapping) []string {
			if d.Ebs == nil {
				return nil
			}
			return get(d.Ebs)
		})
	}
	face := func(get func(*ec2api.InstanceNetworkInterfaceSpecification) []string) func(request) []string {
		return func(r request) (out []string) {
			if l := r.LaunchSpecification; l != nil {
				for i := range l.NetworkInterfaces {
					out = append(out, get(&l.NetworkInterfaces[i])...)
				}
			}
			return out
		}
	}
	return fields[request]{
		"launch.block-device-mapping.device-name":           device(func(d *ec2api.BlockDeviceMapping) []string { return optional(d.DeviceName, oneOf) }),
		"launch.block-device-mapping.delete-on-termination": ebs(func(e *ec2api.EbsBlockDevice) []string { return optional(e.DeleteOnTermination, boolOf) }),
		"launch.block-device-mapping.snapshot-id":           ebs(func(e *ec2api.EbsBlockDevice) []string { return optional(e.SnapshotId, oneOf) }),
		"launch.block-device-mapping.volume-size":           ebs(func(e *ec2api.EbsBlockDevice) []string { return optional(e.VolumeSize, intOf[int32]) }),
		"launch.block-device-mapping.volume-type":           ebs(func(e *ec2api.EbsBlockDevice) []string { return optional(e.VolumeType, oneOf) }),
		"launch.monitoring-enabled": func(r request) []string {
			if l := r.LaunchSpecification; l != nil && l.Monitoring != nil {
				return optional(l.Monitoring.Enabled, boolOf)
			}
			return nil
		},
		"launch.group-name": func(r request) []string {
			if l := r.LaunchSpecification; l != nil {
				return each(l.SecurityGroups, func(g ec2api.GroupIdentifier) *string { return g.GroupName })
			}
			return nil
		},
		"launch.kernel-id":  fixed[request](),
		"launch.ramdisk-id": fixed[request](),
		"network-interface.addresses.primary": face(func(n *ec2api.InstanceNetworkInterfaceSpecification) (out []string) {
			for _, a := range n.PrivateIpAddresses {
				out = append(out, optional(a.Primary, boolOf)...)
			}
			return out
		}),
		"network-interface.delete-on-termination": face(func(n *ec2api.InstanceNetworkInterfaceSpecification) []string {
			return optional(n.DeleteOnTermination, boolOf)
		}),
		"network-interface.description": face(func(n *ec2api.InstanceNetworkInterfaceSpecification) []string { return optional(n.Description, oneOf) }),
		"network-interface.device-index": face(func(n *ec2api.InstanceNetworkInterfaceSpecification) []string {
			return optional(n.DeviceIndex, intOf[int32])
		}),
		"network-interface.group-id": face(func(n *ec2api.InstanceNetworkInterfaceSpecification) []string { return n.Groups }),
		"network-interface.network-interface-id": face(func(n *ec2api.InstanceNetworkInterfaceSpecification) []string {
			return optional(n.NetworkInterfaceId, oneOf)
		}),
		"network-interface.private-ip-address": face(func(n *ec2api.InstanceNetworkInterfaceSpecification) []string {
			return optional(n.PrivateIpAddress, oneOf)
		}),
	}
}

// spotOf is the request behind a Spot Instance that RunInstances launches. The request lives and
// dies with the instance.
func (i *instanceRecord) spotOf(o *ec2api.SpotMarketOptions, kind instancetype.Type) spotRecord {
	r := spotRecord{
		Region: i.Region, Account: i.Account, ID: i.spotRequest(), Type: "one-time", Created: i.Launched, Price: cmp.Or(api.Val(o.MaxPrice), kind.OnDemandPrice()),
		Interruption: cmp.Or(api.Val(o.InstanceInterruptionBehavior), "terminate"), Until: api.Val(o.ValidUntil),
		Instance: i.ID, Zone: i.Zone, ZoneID: i.ZoneID, Spec: i.spotSpec(),
	}
	if i.Options.SpotPersistent {
		r.Type = "persistent"
	}
	r.to(i.Launched, spotActive, "fulfilled")
	return r
}

package vpc

import (
	"cmp"
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

const (
	flowKind = "vpc-flow-log"

	// flowPrincipal is who has the role of a flow log.
	// Source: VPC User Guide, "IAM role for publishing flow logs to CloudWatch Logs".
	flowPrincipal = "vpc-flow-logs.amazonaws.com"

	// maxFlows is how many flow logs a VPC, subnet or network interface has. Source: VPC User Guide, "Amazon VPC quotas".
	maxFlows = 2

	// flowFormat is the format of flow logs that name none. Source: AWS CLI Command Reference, examples of describe-flow-logs.
	flowFormat = "${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} ${protocol} ${packets} ${bytes} ${start} ${end} ${action} ${log-status}"
)

// A flowRecord is a flow log. Nothing is captured: it is a record.
type flowRecord struct {
	own
	Resource     string       `json:"resource"`
	Traffic      string       `json:"traffic"`
	Kind         string       `json:"kind"` // of the destination
	Destination  string       `json:"destination,omitempty"`
	Group        string       `json:"group,omitempty"` // of CloudWatch Logs
	Role         string       `json:"role,omitempty"`
	CrossAccount string       `json:"crossAccount,omitempty"` // role
	Format       string       `json:"format"`
	Interval     int32        `json:"interval"` // seconds
	Options      *flowOptions `json:"options,omitempty"`
	Created      time.Time    `json:"created"`
}

type flowOptions struct {
	File    string `json:"file"`
	Hive    bool   `json:"hive,omitempty"`
	PerHour bool   `json:"perHour,omitempty"`
}

// flowTable is keyed by (region, account, id).
var flowTable = store.Table[flowRecord]{Bucket: "ec2/flow-log", Version: 1}

func (s *Service) flowOperations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"CreateFlowLogs":   guard.Handle(s.CreateFlowLogs),
		"DeleteFlowLogs":   guard.Handle(s.DeleteFlowLogs),
		"DescribeFlowLogs": guard.Handle(s.DescribeFlowLogs),
	}
}

func errFlow(id string) error {
	return apierr.Newf("InvalidFlowLogId.NotFound", "These flow log ids in the input list are not found: [TotalCount: 1] %s", id)
}

func (f flowRecord) wire() ec2api.FlowLog {
	w := ec2api.FlowLog{
		FlowLogId: &f.ID, ResourceId: &f.Resource, TrafficType: &f.Traffic, LogDestinationType: &f.Kind, LogDestination: api.Opt(f.Destination),
		LogGroupName: api.Opt(f.Group), DeliverLogsPermissionArn: api.Opt(f.Role), DeliverCrossAccountRole: api.Opt(f.CrossAccount), LogFormat: &f.Format,
		MaxAggregationInterval: &f.Interval, FlowLogStatus: new("ACTIVE"), DeliverLogsStatus: new("SUCCESS"), CreationTime: &f.Created,
	}
	if o := f.Options; o != nil {
		w.DestinationOptions = &ec2api.DestinationOptionsResponse{FileFormat: &o.File, HiveCompatiblePartitions: &o.Hive, PerHourPartition: &o.PerHour}
	}
	return w
}

var flowFields = idiom.Fields[ec2api.FlowLog]{
	"deliver-log-status":   func(f ec2api.FlowLog) []string { return idiom.One(*f.DeliverLogsStatus) },
	"log-destination-type": func(f ec2api.FlowLog) []string { return idiom.One(*f.LogDestinationType) },
	"flow-log-id":          func(f ec2api.FlowLog) []string { return idiom.One(*f.FlowLogId) },
	"log-group-name":       func(f ec2api.FlowLog) []string { return idiom.One(api.Val(f.LogGroupName)) },
	"resource-id":          func(f ec2api.FlowLog) []string { return idiom.One(*f.ResourceId) },
	"traffic-type":         func(f ec2api.FlowLog) []string { return idiom.One(*f.TrafficType) },
}

// DescribeFlowLogs lists the caller's flow logs. Source: EC2 API Reference, DescribeFlowLogs.
func (s *Service) DescribeFlowLogs(ctx context.Context, c *guard.Call, in *ec2api.DescribeFlowLogsRequest) (*ec2api.DescribeFlowLogsResult, error) {
	out := new(ec2api.DescribeFlowLogsResult)
	return out, s.g.View(ctx, c, func(tx store.Tx) error {
		if err := s.desk.List(tx, c, in.DryRun); err != nil {
			return err
		}
		have, err := all(tx, c, flowTable, nil)
		if err != nil {
			return err
		}
		var items []ec2api.FlowLog
		for _, f := range have {
			items = append(items, f.wire())
		}
		out.FlowLogs, out.NextToken, err = idiom.Query[ec2api.FlowLog]{
			IDs: in.FlowLogIds, Missing: errFlow, Fields: flowFields, Filters: in.Filter, Limits: idiom.Limits{Least: 1, Most: 1000}, Max: in.MaxResults, Token: in.NextToken,
			Described: func(f *ec2api.FlowLog) (string, *[]ec2api.Tag) { return *f.FlowLogId, &f.Tags },
		}.Answer(tx, c, items)
		return err
	})
}

// flowResources are the types of resources that there are, with their types in decisions.
var flowResources = map[string]string{"VPC": "vpc", "Subnet": "subnet", "NetworkInterface": "network-interface"}

var flowForm = regexp.MustCompile(`^\$\{[a-z0-9-]+\}( \$\{[a-z0-9-]+\})*$`)

// flowOf is the flow log that a request asks for, of no resource yet. Source: EC2 API Reference, CreateFlowLogs.
func flowOf(in *ec2api.CreateFlowLogsRequest) (f flowRecord, err error) {
	f = flowRecord{
		Traffic: api.Val(in.TrafficType), Kind: cmp.Or(api.Val(in.LogDestinationType), "cloud-watch-logs"), Destination: api.Val(in.LogDestination), Group: api.Val(in.LogGroupName),
		Role: api.Val(in.DeliverLogsPermissionArn), CrossAccount: api.Val(in.DeliverCrossAccountRole), Format: cmp.Or(api.Val(in.LogFormat), flowFormat),
		Interval: cmp.Or(api.Val(in.MaxAggregationInterval), 600),
	}
	bad := func(format string, args ...any) error { return apierr.Newf("InvalidParameter", format, args...) }
	watched := f.Kind == "cloud-watch-logs"
	switch {
	case flowResources[*in.ResourceType] == "":
		err = apierr.Newf("UnsupportedOperation", "This server has no resources of the type %s.", *in.ResourceType)
	case len(in.ResourceIds) > 1000:
		err = bad("The maximum number of resources is 1000.")
	case f.Traffic == "":
		err = apierr.New("MissingParameter", "The request must contain the parameter TrafficType")
	case f.Destination != "" && f.Group != "":
		err = bad("Please only provide LogGroupName or only provide LogDestination.")
	case f.Destination == "" && f.Group == "":
		err = bad("LogDestination can't be empty.")
	case f.Group != "" && !watched:
		err = bad("LogGroupName is only supported with the destination type cloud-watch-logs.")
	case f.Destination != "" && !strings.HasPrefix(f.Destination, "arn:"):
		err = bad("LogDestination %s is not an ARN.", f.Destination)
	case watched && f.Role == "":
		err = bad("DeliverLogsPermissionArn can't be empty if LogDestinationType is cloud-watch-logs.")
	case f.Kind == "s3" && f.Role != "":
		err = bad("DeliverLogsPermissionArn is not applicable for s3 delivery.")
	case f.Role != "" && !strings.HasPrefix(f.Role, "arn:"), f.CrossAccount != "" && !strings.HasPrefix(f.CrossAccount, "arn:"):
		err = bad("The role of a flow log is named by its ARN.")
	case f.Interval != 60 && f.Interval != 600:
		err = bad("MaxAggregationInterval is 60 or 600.")
	case !flowForm.MatchString(f.Format):
		err = bad("Unknown fields provided.")
	case in.DestinationOptions != nil && f.Kind != "s3":
		err = bad("DestinationOptions are only supported with the destination type s3.")
	}
	if o := in.DestinationOptions; o != nil {
		f.Options = &flowOptions{cmp.Or(api.Val(o.FileFormat), "plain-text"), api.Val(o.HiveCompatiblePartitions), api.Val(o.PerHourPartition)}
	}
	if _, group, ok := strings.Cut(f.Destination, ":log-group:"); ok && watched {
		f.Group = strings.TrimSuffix(group, ":*")
	}
	return f, err
}

// same reports whether two flow logs log the same to the same place.
func (f flowRecord) same(o flowRecord) bool {
	return f.Resource == o.Resource && f.Traffic == o.Traffic && f.Kind == o.Kind && f.Destination == o.Destination && f.Group == o.Group
}

// add makes a flow log of a resource, unless it cannot be.
func (f flowRecord) add(c *guard.Call, have []flowRecord, resource string, now time.Time) (flowRecord, error) {
	f.own, f.Resource, f.Created = newOwn(c, "fl"), resource, now
	switch {
	case slices.ContainsFunc(have, f.same):
		return f, apierr.New("FlowLogAlreadyExists", "Error. There is an existing Flow Log with the same configuration and log destination.")
	case count(have, func(o *flowRecord) bool { return o.Resource == resource }) >= maxFlows:
		return f, apierr.New("FlowLogsLimitExceeded", "The maximum number of flow logs has been reached.")
	}
	return f, nil
}

// unsuccessful is what a request could not do for one of its resources.
func unsuccessful(id string, err error) ec2api.UnsuccessfulItem {
	item := ec2api.UnsuccessfulItem{ResourceId: &id}
	if e, ok := errors.AsType[*apierr.Error](err); ok {
		item.Error = &ec2api.UnsuccessfulItemError{Code: &e.Code, Message: &e.Message}
	}
	return item
}

// CreateFlowLogs makes a flow log of each resource; what it could not make is told in the answer.
// Source: EC2 API Reference, CreateFlowLogs.
func (s *Service) CreateFlowLogs(ctx context.Context, c *guard.Call, in *ec2api.CreateFlowLogsRequest) (*ec2api.CreateFlowLogsResult, error) {
	flow, err := flowOf(in)
	if err != nil {
		return nil, err
	}
	specs, err := idiom.TagSpecs(c, in.TagSpecifications, flowKind)
	if err != nil {
		return nil, err
	}
	plain := *in
	plain.ClientToken, plain.DryRun = nil, nil
	token := idiom.NewToken(api.Val(in.ClientToken), idiom.Fingerprint(plain))
	made := &idiom.Made{Kind: flowKind, Tags: specs[flowKind]}
	for _, role := range []string{flow.Role, flow.CrossAccount} {
		if role != "" {
			made.Needs = append(made.Needs, authz.PassRole(role, c.Account(), flowPrincipal))
		}
	}
	ids := slices.Compact(slices.Sorted(slices.Values(in.ResourceIds)))
	out := new(ec2api.CreateFlowLogsResult)
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		*out = ec2api.CreateFlowLogsResult{ClientToken: in.ClientToken, FlowLogIds: []string{}, Unsuccessful: []ec2api.UnsuccessfulItem{}}
		var refs []idiom.Ref
		for _, id := range ids {
			refs = append(refs, idiom.On(flowResources[*in.ResourceType], id))
		}
		missing, err := s.desk.Decide(tx, c, made, refs...)
		if err == nil {
			err = idiom.DryRun(in.DryRun)
		}
		if err != nil {
			return err
		}
		if seen, err := token.Seen(tx, c); err != nil || seen != "" {
			out.FlowLogIds = strings.Fields(seen)
			return err
		}
		have, err := all(tx, c, flowTable, nil)
		if err != nil {
			return err
		}
		for n, id := range ids {
			f, err := flow.add(c, have, id, s.g.Now())
			if missing[n] != nil {
				err = missing[n]
			}
			if err != nil {
				out.Unsuccessful = append(out.Unsuccessful, unsuccessful(id, err))
				continue
			}
			have = append(have, f)
			c.Touch(arn.EC2(f.Region, f.Account, flowKind+"/"+f.ID), f.Account, touched[flowKind])
			if err := idiom.PutTags(tx, c.Region, c.Account(), f.ID, made.Tags); err != nil {
				return err
			}
			if err := put(tx, flowTable, f); err != nil {
				return err
			}
			out.FlowLogIds = append(out.FlowLogIds, f.ID)
		}
		if len(out.FlowLogIds) == 0 {
			return nil
		}
		return token.Remember(tx, c, s.g.Now(), strings.Join(out.FlowLogIds, " "))
	})
}

// DeleteFlowLogs deletes flow logs. Source: EC2 API Reference, DeleteFlowLogs.
func (s *Service) DeleteFlowLogs(ctx context.Context, c *guard.Call, in *ec2api.DeleteFlowLogsRequest) (*ec2api.DeleteFlowLogsResult, error) {
	ids := slices.Compact(slices.Sorted(slices.Values(in.FlowLogIds)))
	out := new(ec2api.DeleteFlowLogsResult)
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		out.Unsuccessful = []ec2api.UnsuccessfulItem{}
		var refs []idiom.Ref
		for _, id := range ids {
			refs = append(refs, idiom.On(flowKind, id))
		}
		missing, err := s.desk.Decide(tx, c, nil, refs...)
		if err == nil {
			err = idiom.DryRun(in.DryRun)
		}
		if err != nil {
			return err
		}
		have, err := all(tx, c, flowTable, nil)
		if err != nil {
			return err
		}
		for n, id := range ids {
			if missing[n] != nil {
				out.Unsuccessful = append(out.Unsuccessful, unsuccessful(id, missing[n]))
				continue
			}
			f, err := find(have, id, errFlow)
			if err == nil {
				err = drop(tx, c, flowTable, f, id, nil)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

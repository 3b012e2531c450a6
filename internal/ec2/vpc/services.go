package vpc

import (
	"context"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/ec2/prefixlist"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// Services that VPC endpoints of each kind lead to, by the last part of their names.
// Sources: VPC User Guide, "Gateway endpoints"; AWS PrivateLink Guide, "AWS services that integrate with AWS PrivateLink".
var (
	gatewayServices   = []string{"dynamodb", "s3"}
	interfaceServices = []string{
		"access-analyzer", "account", "acm-pca", "apigateway", "appconfig", "appconfigdata", "application-autoscaling", "appmesh",
		"appmesh-envoy-management", "appsync-api", "athena", "auditmanager", "autoscaling", "autoscaling-plans", "backup", "batch", "bedrock",
		"bedrock-agent", "bedrock-agent-runtime", "bedrock-runtime", "cloudformation", "cloudhsmv2", "cloudtrail", "codebuild", "codecommit",
		"codedeploy", "codedeploy-commands-secure", "codepipeline", "comprehend", "config", "databrew", "datasync", "dms", "ds", "dynamodb", "ebs",
		"ec2", "ec2messages", "ecr.api", "ecr.dkr", "ecs", "ecs-agent", "ecs-telemetry", "eks", "eks-auth", "elasticache", "elasticbeanstalk",
		"elasticbeanstalk-health", "elasticfilesystem", "elasticloadbalancing", "elasticmapreduce", "emr-containers", "emr-serverless", "events",
		"execute-api", "fis", "fsx", "git-codecommit", "glue", "guardduty", "guardduty-data", "imagebuilder", "inspector2", "kafka",
		"kinesis-firehose", "kinesis-streams", "kms", "kms-fips", "lakeformation", "lambda", "license-manager", "logs", "macie2", "memory-db",
		"monitoring", "polly", "ram", "rds", "rds-data", "redshift", "redshift-data", "rekognition", "s3", "scheduler", "secretsmanager",
		"securityhub", "servicecatalog", "servicediscovery", "sns", "sqs", "ssm", "ssm-contacts", "ssm-incidents", "ssmmessages", "states",
		"storagegateway", "sts", "swf", "synthetics", "textract", "transcribe", "transfer", "translate", "workspaces", "xray",
	}
)

func serviceName(region, label string) string { return "com.amazonaws." + region + "." + label }

// offers reports whether endpoints of a kind, or of any, lead to a service.
func offers(region, name, kind string) bool {
	label, ok := strings.CutPrefix(name, serviceName(region, ""))
	return ok && (kind != interfaceKind && slices.Contains(gatewayServices, label) || kind != gatewayKind && slices.Contains(interfaceServices, label))
}

// prefixList is the id of the list of a gateway service's addresses.
func prefixList(region, service string) string {
	label, _ := strings.CutPrefix(service, serviceName(region, ""))
	l := prefixlist.OfService(region, label)
	return l.ID
}

var errPrefixList = notFound("InvalidPrefixListID.NotFound", "prefix list")

// DescribePrefixLists lists the addresses of the services that gateway endpoints lead to.
// Source: EC2 API Reference, DescribePrefixLists.
func (s *Service) DescribePrefixLists(ctx context.Context, c *guard.Call, in *ec2api.DescribePrefixListsRequest) (*ec2api.DescribePrefixListsResult, error) {
	out := new(ec2api.DescribePrefixListsResult)
	id := func(p ec2api.PrefixList) string { return *p.PrefixListId }
	return out, s.g.View(ctx, c, func(tx store.Tx) error {
		if err := s.desk.List(tx, c, in.DryRun); err != nil {
			return err
		}
		var items []ec2api.PrefixList
		for _, label := range gatewayServices {
			l := prefixlist.OfService(c.Region, label)
			items = append(items, ec2api.PrefixList{PrefixListId: &l.ID, PrefixListName: &l.Name, Cidrs: l.CIDRs()})
		}
		items, err := idiom.Pick(items, in.PrefixListIds, id, errPrefixList)
		if err != nil {
			return err
		}
		passes, err := idiom.Fields[ec2api.PrefixList]{
			"prefix-list-id":   func(p ec2api.PrefixList) []string { return idiom.One(*p.PrefixListId) },
			"prefix-list-name": func(p ec2api.PrefixList) []string { return idiom.One(*p.PrefixListName) },
		}.Filter(in.Filters)
		if err != nil {
			return err
		}
		items = slices.DeleteFunc(items, func(p ec2api.PrefixList) bool { return !passes(p, nil) })
		out.PrefixLists, out.NextToken, err = idiom.Page(c.Operation, items, id, idiom.AnyPage, in.MaxResults, in.NextToken)
		return err
	})
}

// details are the services that endpoints lead to: one of each kind.
func details(region string, zones []string) (out []ec2api.ServiceDetail) {
	for kind, labels := range map[string][]string{gatewayKind: gatewayServices, interfaceKind: interfaceServices} {
		for _, label := range labels {
			name := serviceName(region, label)
			id := idiom.FixedID("vpce-svc", region, kind, label)
			d := ec2api.ServiceDetail{
				ServiceName: &name, ServiceId: &id, ServiceType: []ec2api.ServiceTypeDetail{{ServiceType: new(kind)}}, Owner: new("amazon"), AvailabilityZones: zones,
				ServiceRegion: &region, AcceptanceRequired: new(false), ManagesVpcEndpoints: new(false), VpcEndpointPolicySupported: new(true),
				BaseEndpointDnsNames: []string{label + "." + region + ".vpce.amazonaws.com"}, SupportedIpAddressTypes: []string{fourFamily, sixFamily}, Tags: []ec2api.Tag{},
			}
			if kind == gatewayKind {
				d.BaseEndpointDnsNames = []string{label + "." + region + ".amazonaws.com"}
			} else {
				private := label + "." + region + ".amazonaws.com"
				d.PrivateDnsName, d.PrivateDnsNames = &private, []ec2api.PrivateDnsDetails{{PrivateDnsName: &private}}
				d.PrivateDnsNameVerificationState = new("verified")
			}
			out = append(out, d)
		}
	}
	return out
}

var serviceFields = idiom.Fields[ec2api.ServiceDetail]{
	"service-name":               func(d ec2api.ServiceDetail) []string { return idiom.One(*d.ServiceName) },
	"service-region":             func(d ec2api.ServiceDetail) []string { return idiom.One(*d.ServiceRegion) },
	"service-type":               func(d ec2api.ServiceDetail) []string { return idiom.One(*d.ServiceType[0].ServiceType) },
	"owner":                      func(d ec2api.ServiceDetail) []string { return idiom.One(*d.Owner) },
	"supported-ip-address-types": func(d ec2api.ServiceDetail) []string { return d.SupportedIpAddressTypes },
}

// DescribeVpcEndpointServices lists the services that endpoints can be made for.
// Source: EC2 API Reference, DescribeVpcEndpointServices.
func (s *Service) DescribeVpcEndpointServices(ctx context.Context, c *guard.Call, in *ec2api.DescribeVpcEndpointServicesRequest) (*ec2api.DescribeVpcEndpointServicesResult, error) {
	out := new(ec2api.DescribeVpcEndpointServicesResult)
	return out, s.g.View(ctx, c, func(tx store.Tx) error {
		if err := s.desk.List(tx, c, in.DryRun); err != nil {
			return err
		}
		subnets, err := s.nets.Subnets(tx, c)
		if err != nil {
			return err
		}
		var zones []string
		for _, n := range subnets {
			if !slices.Contains(zones, n.Zone) {
				zones = append(zones, n.Zone)
			}
		}
		slices.Sort(zones)
		var offered []ec2api.ServiceDetail
		if len(in.ServiceRegions) == 0 || slices.Contains(in.ServiceRegions, c.Region) { // services of other Regions are not offered here
			offered = details(c.Region, zones)
		}
		items, err := idiom.Pick(offered, in.ServiceNames, func(d ec2api.ServiceDetail) string { return *d.ServiceName }, func(name string) error {
			return apierr.Newf("InvalidServiceName", "The Vpc Endpoint Service '%s' does not exist", name)
		})
		if err != nil {
			return err
		}
		passes, err := serviceFields.Filter(in.Filters)
		if err != nil {
			return err
		}
		items = slices.DeleteFunc(items, func(d ec2api.ServiceDetail) bool { return !passes(d, nil) })
		place := func(d ec2api.ServiceDetail) string { return *d.ServiceName + " " + *d.ServiceType[0].ServiceType }
		out.ServiceDetails, out.NextToken, err = idiom.Page(c.Operation, items, place, idiom.AnyPage, in.MaxResults, in.NextToken)
		out.ServiceNames = nil
		for _, d := range out.ServiceDetails {
			out.ServiceNames = append(out.ServiceNames, *d.ServiceName)
		}
		return err
	})
}

package vpc

import (
	"cmp"
	"context"
	"reflect"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// An absent kind is what an operation would list: parts of networks, hosts and reservations that there are none of, and
// that clients ask about before they do anything. An answer is decided on and checked like any other.
type absent struct {
	ids     string // parameter with ids; "" if it has none
	code    string // error for an id, without ".NotFound"
	says    string // of an id that the error is about; "" is "The ID '%s' does not exist"
	filters string // names, besides tags
}

// What AWS says of an attachment of a transit gateway. Texts of ids are as reported by users.
const noTransit = "Transit Gateway Attachment %s was deleted or does not exist."

// absences are the operations that list nothing. Sources: EC2 API Reference, the operations, Filters; "Error codes".
var absences = map[string]absent{
	"DescribeCarrierGateways":    {"CarrierGatewayIds", "InvalidCarrierGatewayID", "", "carrier-gateway-id state owner-id vpc-id"},
	"DescribeClientVpnEndpoints": {"ClientVpnEndpointIds", "InvalidClientVpnEndpointId", "Endpoint %s does not exist", "endpoint-id transport-protocol"},
	"DescribeCustomerGateways":   {"CustomerGatewayIds", "InvalidCustomerGatewayID", "", "bgp-asn customer-gateway-id ip-address state type"},
	"DescribeIpv6Pools":          {"PoolIds", "InvalidIpv6PoolID", "", ""},
	"DescribePublicIpv4Pools":    {"PoolIds", "InvalidPublicIpv4PoolID", "", ""},
	"DescribeReservedInstances": {"ReservedInstancesIds", "InvalidReservedInstancesId", "",
		"availability-zone availability-zone-id duration end fixed-price instance-type scope product-description reserved-instances-id start state usage-price"},
	"DescribeTransitGateways": {"TransitGatewayIds", "InvalidTransitGatewayID", "Transit Gateway %s was deleted or does not exist.",
		"options.propagation-default-route-table-id options.amazon-side-asn options.association-default-route-table-id " +
			"options.auto-accept-shared-attachments options.default-route-table-association options.default-route-table-propagation " +
			"options.dns-support options.vpn-ecmp-support owner-id state transit-gateway-id"},
	"DescribeTransitGatewayAttachments": {"TransitGatewayAttachmentIds", "InvalidTransitGatewayAttachmentID", noTransit,
		"association.state association.transit-gateway-route-table-id resource-id resource-owner-id resource-type state " +
			"transit-gateway-attachment-id transit-gateway-id transit-gateway-owner-id"},
	"DescribeTransitGatewayVpcAttachments": {"TransitGatewayAttachmentIds", "InvalidTransitGatewayAttachmentID", noTransit,
		"state transit-gateway-attachment-id transit-gateway-id vpc-id"},
	"DescribeVpcEndpointConnections": {"", "", "",
		"ip-address-type service-id vpc-endpoint-owner vpc-endpoint-region vpc-endpoint-state vpc-endpoint-id"},
	"DescribeVpcEndpointServiceConfigurations": {"ServiceIds", "InvalidVpcEndpointServiceId", "",
		"service-name service-id service-state supported-ip-address-types"},
	"DescribeVpnConnections": {"VpnConnectionIds", "InvalidVpnConnectionID", "The vpnConnection ID '%s' does not exist",
		"customer-gateway-configuration customer-gateway-id state option.static-routes-only route.destination-cidr-block bgp-asn type " +
			"vpn-connection-id vpn-gateway-id transit-gateway-id"},
	"DescribeVpnGateways": {"VpnGatewayIds", "InvalidVpnGatewayID", "The vpnGateway ID '%s' does not exist",
		"amazon-side-asn attachment.state attachment.vpc-id availability-zone state type vpn-gateway-id"},
}

func (s *Service) absentOperations() map[string]guard.Handler {
	ops, known := map[string]guard.Handler{}, ec2api.Service().Operations
	for name, k := range absences {
		ops[name] = k.handler(s, known[name])
	}
	return ops
}

func (k absent) handler(s *Service, op *api.Operation) guard.Handler {
	fields := idiom.Fields[string]{}
	for name := range strings.FieldsSeq(k.filters) {
		fields[name] = idiom.Fixed[string]()
	}
	return func(ctx context.Context, c *guard.Call, in any) (any, error) {
		asked := questionOf(reflect.ValueOf(in).Elem(), k.ids)
		return op.NewOutput(), s.g.View(ctx, c, func(tx store.Tx) error {
			if err := s.desk.List(tx, c, asked.dry); err != nil {
				return err
			}
			if len(asked.ids) > 0 {
				return apierr.Newf(k.code+".NotFound", cmp.Or(k.says, "The ID '%s' does not exist"), asked.ids[0])
			}
			if _, err := fields.Filter(asked.filters); err != nil {
				return err
			}
			_, _, err := idiom.Page(c.Operation, []string{}, func(id string) string { return id }, idiom.AnyPage, asked.max, asked.token)
			return err
		})
	}
}

// A question is what requests that list things have in common.
type question struct {
	dry     *bool
	ids     []string
	filters []ec2api.Filter
	max     *int32
	token   *string
}

// questionOf reads a request; ids is the parameter that names what to list.
func questionOf(in reflect.Value, ids string) (q question) {
	read(in, "DryRun", &q.dry)
	read(in, ids, &q.ids)
	read(in, "Filters", &q.filters)
	read(in, "Filter", &q.filters)
	read(in, "MaxResults", &q.max)
	read(in, "NextToken", &q.token)
	return q
}

// read sets out to a member, if the request has it.
func read[T any](in reflect.Value, member string, out *T) {
	if f := in.FieldByName(member); f.IsValid() {
		*out = f.Interface().(T)
	}
}

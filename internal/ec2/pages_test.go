package ec2_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
)

// A listing is an operation that pages.
type listing struct {
	s  *stage
	op string
	in func() reflect.Value // a fresh request, as a pointer
}

// call asks for a page; the items are those of the answer's only list.
func (l *listing) call(t *testing.T, size int32, token string, change func(reflect.Value)) (items []string, next string, err *apierr.Error) {
	t.Helper()
	in := l.in()
	if size != 0 {
		in.Elem().FieldByName("MaxResults").Set(reflect.ValueOf(&size))
	}
	if token != "" {
		in.Elem().FieldByName("NextToken").Set(reflect.ValueOf(&token))
	}
	if change != nil {
		change(in.Elem())
	}
	out := ec2api.Service().Operations[l.op].NewOutput()
	if e := l.s.ec2.Do(t.Context(), l.op, in.Interface(), out); e != nil {
		api, ok := e.(*apierr.Error)
		if !ok {
			t.Fatal(e)
		}
		return nil, "", api
	}
	v := reflect.ValueOf(out).Elem()
	for _, f := range v.Fields() {
		if f.Kind() == reflect.Slice {
			for n := range f.Len() {
				data, _ := json.Marshal(f.Index(n).Interface()) // answers always encode
				items = append(items, string(data))
			}
		}
	}
	if f := v.FieldByName("NextToken"); f.IsValid() && !f.IsNil() {
		next = f.Elem().String()
	}
	return items, next, nil
}

// TestPages: every listing gives its items in pages, refuses sizes out of range, tokens that it did not
// give, and filters that it has not got. Source: EC2 API Reference, "Pagination" and "Error codes".
func TestPages(t *testing.T) {
	s := newStage(t)
	needs := map[string]func(reflect.Value){
		"DescribeFleetInstances":         func(v reflect.Value) { v.FieldByName("FleetId").Set(reflect.ValueOf(&s.fleet)) },
		"DescribeSpotFleetInstances":     func(v reflect.Value) { v.FieldByName("SpotFleetRequestId").Set(reflect.ValueOf(&s.spotFleet)) },
		"DescribeLaunchTemplateVersions": func(v reflect.Value) { v.FieldByName("LaunchTemplateId").Set(reflect.ValueOf(&s.template)) },
		"GetInstanceTypesFromInstanceRequirements": func(v reflect.Value) {
			v.Set(reflect.ValueOf(ec2api.GetInstanceTypesFromInstanceRequirementsRequest{
				ArchitectureTypes: []string{"arm64"}, VirtualizationTypes: []string{"hvm"}, InstanceRequirements: &ec2api.InstanceRequirementsRequest{
					VCpuCount: &ec2api.VCpuCountRangeRequest{Min: new(int32(2)), Max: new(int32(2))}, MemoryMiB: &ec2api.MemoryMiBRequest{Min: new(int32(1))},
				},
			}))
		},
		"GetSpotPlacementScores": func(v reflect.Value) {
			v.Set(reflect.ValueOf(ec2api.GetSpotPlacementScoresRequest{InstanceTypes: []string{"m5.large", "c5.large", "r5.large"}, TargetCapacity: new(int32(1))}))
		},
		"DescribeStaleSecurityGroups":      func(v reflect.Value) { v.FieldByName("VpcId").Set(reflect.ValueOf(&s.vpc)) },
		"GetSecurityGroupsForVpc":          func(v reflect.Value) { v.FieldByName("VpcId").Set(reflect.ValueOf(&s.vpc)) },
		"GetSubnetCidrReservations":        func(v reflect.Value) { v.FieldByName("SubnetId").Set(reflect.ValueOf(&s.subnet)) },
		"GetManagedPrefixListEntries":      func(v reflect.Value) { v.FieldByName("PrefixListId").Set(reflect.ValueOf(s.list())) },
		"GetManagedPrefixListAssociations": func(v reflect.Value) { v.FieldByName("PrefixListId").Set(reflect.ValueOf(s.list())) },
		"GetCapacityReservationUsage":      func(v reflect.Value) { v.FieldByName("CapacityReservationId").Set(reflect.ValueOf(s.reserve())) },
		"GetGroupsForCapacityReservation":  func(v reflect.Value) { v.FieldByName("CapacityReservationId").Set(reflect.ValueOf(s.reserve())) },
		"DescribeFleetHistory": func(v reflect.Value) {
			v.FieldByName("FleetId").Set(reflect.ValueOf(&s.fleet))
			v.FieldByName("StartTime").Set(reflect.ValueOf(new(time.Now().Add(-time.Hour))))
		},
		"DescribeSpotFleetRequestHistory": func(v reflect.Value) {
			v.FieldByName("SpotFleetRequestId").Set(reflect.ValueOf(&s.spotFleet))
			v.FieldByName("StartTime").Set(reflect.ValueOf(new(time.Now().Add(-time.Hour))))
		},
	}
	// What answers a larger size with a page of 1,000.
	cuts := map[string]bool{"DescribeSnapshots": true, "DescribeSnapshotTierStatus": true, "DescribeImages": true, "DescribeSpotPriceHistory": true,
		"DescribeVpcEndpoints": true, "DescribeVpcEndpointServices": true, "DescribePrefixLists": true,
		"DescribeVpcEndpointAssociations": true, "DescribeVpcEndpointConnections": true, "DescribeVpcEndpointServiceConfigurations": true}
	least := map[string]int32{"DescribeInstanceEventWindows": 20, "GetSpotPlacementScores": 10} // of a page, where it is not 5 or less
	token := ""                                                                                 // of DescribeInstanceTypes
	types := &listing{s: s, op: "DescribeInstanceTypes", in: func() reflect.Value { return reflect.ValueOf(&ec2api.DescribeInstanceTypesRequest{}) }}
	if _, next, err := types.call(t, 5, "", nil); err != nil || next == "" {
		t.Fatal("no pages of instance types: ", err)
	} else {
		token = next
	}
	for name, op := range ec2api.Service().Operations {
		ty := reflect.TypeOf(op.NewInput()).Elem()
		_, sized := ty.FieldByName("MaxResults")
		_, filtered := ty.FieldByName("Filters")
		if reads := strings.HasPrefix(name, "Describe") || strings.HasPrefix(name, "Get"); !sized && !(filtered && reads) {
			continue
		}
		l := &listing{s: s, op: name, in: func() reflect.Value {
			v := reflect.New(ty)
			if need := needs[name]; need != nil {
				need(v.Elem())
			}
			return v
		}}
		t.Run(name, func(t *testing.T) {
			all, next, err := l.call(t, 0, "", nil)
			if err != nil {
				t.Fatal(err.Code, err.Message)
			}
			if filtered {
				_, _, err := l.call(t, 0, "", func(v reflect.Value) {
					v.FieldByName("Filters").Set(reflect.ValueOf([]ec2api.Filter{filter("no-such-filter", "x")}))
				})
				if err == nil || err.Code != "InvalidParameterValue" || err.Message != "The filter 'no-such-filter' is invalid" {
					t.Errorf("an unknown filter: %v", err)
				}
			}
			if !sized {
				return
			}
			for _, size := range []int32{-1, 1 << 30} {
				if size > 0 && cuts[name] {
					continue
				}
				if _, _, err := l.call(t, size, "", nil); err == nil || err.Code != "InvalidParameterValue" {
					t.Errorf("MaxResults %d: %v", size, err)
				}
			}
			for _, bad := range []string{"x", token} {
				if _, _, err := l.call(t, 0, bad, nil); name != "DescribeInstanceTypes" && (err == nil || err.Code != "InvalidNextToken") {
					t.Errorf("token %q: %v", bad, err)
				}
			}
			if next != "" { // the whole list is longer than a page
				return
			}
			var paged []string
			most := max(5, least[name])
			for at, n := "", 0; n == 0 || at != ""; n++ {
				items, next, err := l.call(t, most, at, nil)
				if err != nil {
					t.Fatal(err.Code, err.Message)
				}
				if len(items) > int(most) && !strings.HasSuffix(name, "History") && name != "DescribeVpcEndpointServices" || n > len(all) {
					t.Fatalf("page %d has %d items", n, len(items))
				}
				paged, at = append(paged, items...), next
			}
			slices.Sort(all)
			slices.Sort(paged)
			if !slices.Equal(all, paged) && len(all) < 500 {
				t.Errorf("%d items, %d in pages", len(all), len(paged))
			}
		})
	}
}

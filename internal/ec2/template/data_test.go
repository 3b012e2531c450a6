package template_test

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/ec2/ec2test"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/guard/guardtest"
	"github.com/kagimori/kagimori/internal/secret"
)

// fill sets every member to a value of its own, so that a lost or swapped one shows.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), n)
		fill(v.Index(1), n)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(int64(*n), 0).UTC()))
			return
		}
		for _, field := range v.Fields() {
			fill(field, n)
		}
	case reflect.String:
		v.SetString(fmt.Sprint("value", *n))
	case reflect.Bool:
		v.SetBool(*n%2 == 0)
	case reflect.Int32, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Float64:
		v.SetFloat(float64(*n) + 0.5)
	default:
		panic("no value for " + v.Type().String())
	}
}

// plain turns a value into maps, slices and scalars: the names and values of its members.
func plain(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return plain(v.Elem())
	case reflect.Slice:
		var out []any
		for i := range v.Len() {
			out = append(out, plain(v.Index(i)))
		}
		return out
	case reflect.Struct:
		if t, ok := v.Interface().(time.Time); ok {
			return t.Unix()
		}
		out := map[string]any{}
		for i := range v.NumField() {
			if m := plain(v.Field(i)); m != nil && !reflect.DeepEqual(m, []any(nil)) {
				out[v.Type().Field(i).Name] = m
			}
		}
		return out
	}
	if s, ok := v.Interface().(secret.String); ok {
		return s.Reveal()
	}
	return v.Interface()
}

// direct serves a request without the constraints of the model.
func (d *desk) direct(as guard.Caller, op string, in any) any {
	d.T.Helper()
	c := &guard.Call{ID: guard.NewRequestID(), Service: "ec2", Operation: op, Region: guardtest.Region, Caller: as, Time: d.Guard.Now()}
	out, err := d.Guard.Invoke(d.T.Context(), c, in, d.Ops[op])
	d.Must(err)
	return out
}

func TestTemplateDataComesBackAsSent(t *testing.T) {
	d := newDesk(t)
	full := new(ec2api.RequestLaunchTemplateData)
	n := 0
	fill(reflect.ValueOf(full).Elem(), &n)
	full.UserData = new(secret.String("IyEvYmluL3NoCg=="))
	full.InstanceType, full.InstanceRequirements.ExcludedInstanceTypes = nil, nil // they exclude others
	tests := []struct {
		name string
		data *ec2api.RequestLaunchTemplateData
	}{
		{"everything", full},
		{"almost nothing", &ec2api.RequestLaunchTemplateData{InstanceType: new("t3.micro")}},
		{"false and empty are not absent", &ec2api.RequestLaunchTemplateData{
			EbsOptimized: new(false), KeyName: new(""), UserData: new(secret.String("")),
			BlockDeviceMappings: []ec2api.LaunchTemplateBlockDeviceMappingRequest{{
				DeviceName: new("/dev/xvda"), Ebs: &ec2api.LaunchTemplateEbsBlockDeviceRequest{Encrypted: new(false), VolumeSize: new(int32(0))},
			}},
		}},
		{"the key in the form given", &ec2api.RequestLaunchTemplateData{
			BlockDeviceMappings: []ec2api.LaunchTemplateBlockDeviceMappingRequest{{
				DeviceName: new("/dev/xvda"),
				Ebs:        &ec2api.LaunchTemplateEbsBlockDeviceRequest{Encrypted: new(true), KmsKeyId: new("arn:aws:kms:us-west-2:" + ec2test.Account + ":alias/data")},
			}},
		}},
	}
	for i, tt := range tests {
		created := d.direct(d.Root(), "CreateLaunchTemplate", &ec2api.CreateLaunchTemplateRequest{
			LaunchTemplateName: new(fmt.Sprint("template", i)), LaunchTemplateData: tt.data,
		}).(*ec2api.CreateLaunchTemplateResult)
		out := ec2test.Ask[ec2api.DescribeLaunchTemplateVersionsResult](d.Desk, d.Root(), &ec2api.DescribeLaunchTemplateVersionsRequest{
			LaunchTemplateId: created.LaunchTemplate.LaunchTemplateId,
		})
		got := plain(reflect.ValueOf(out.LaunchTemplateVersions[0].LaunchTemplateData))
		if diff := cmp.Diff(plain(reflect.ValueOf(tt.data)), got); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}

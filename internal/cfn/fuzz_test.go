package cfn_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/kagimori/kagimori/internal/cfn"
	"github.com/kagimori/kagimori/internal/doctor"
)

// Whatever a template says, it is refused with a place, or every launch is a scenario that the doctor
// can judge.
func FuzzRead(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yaml")
	check(f, err)
	more, err := filepath.Glob("testdata/*/*.*")
	check(f, err)
	for _, name := range append(files, more...) {
		data, err := os.ReadFile(name)
		check(f, err)
		f.Add(data)
	}
	for _, text := range []string{
		"Resources: {Fn::Transform: {Name: AWS::Include}, A: {Type: AWS::KMS::Key, Properties: {KeyPolicy: !Sub x}}}",
		"Resources:\n  Fn::ForEach::Keys:\n    - Name\n    - [a, b]\n    - Key${Name}: {Type: AWS::KMS::Key, Properties: {Description: !Ref Name}}",
		"Resources: {A: {Type: AWS::EC2::Volume, Properties: {KmsKeyId: !GetAtt A.Arn, Encrypted: !Ref A, Size: !Ref B, SnapshotId: !Ref A}}}",
		"Resources: {A: {Type: AWS::AutoScaling::AutoScalingGroup, Properties: {LaunchTemplate: !If [x, y, z], MixedInstancesPolicy: [1]}}}",
		"Resources: {<<: &a {A: {Type: AWS::IAM::User, Properties: {Groups: [!Ref A], Policies: {x: y}}}}, B: *a}",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := cfn.Read([]cfn.File{{Name: "test.yaml", Data: data}}, cfn.Options{PlainImages: len(data)%2 == 0, Strict: len(data)%3 == 0})
		if err != nil {
			if _, ok := errors.AsType[*cfn.Error](err); !ok {
				t.Fatalf("the error is %v", err)
			}
			return
		}
		for i := range r.Launches {
			sound(t, r, &r.Launches[i])
			doctor.Check(r.Launches[i].Scenario)
		}
	})
}

package instancetype_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/ec2/instancetype"
)

// Rows of AWS's page, of each rule and exception.
func TestValidCores(t *testing.T) {
	for name, want := range map[string]string{
		"t2.micro": "[1]", "m5.large": "[1]", "c8g.medium": "[1]", "m6g.xlarge": "[1 2 3 4]", "c4.2xlarge": "[1 2 3 4]",
		"c4.8xlarge": "[2 4 6 8 10 12 14 16 18]", "x1e.32xlarge": "[4 8 12 16 20 24 28 32 36 40 44 48 52 56 60 64]",
		"m6i.xlarge": "[1 2]", "m6i.4xlarge": "[2 4 6 8]", "m5.xlarge": "[2]", "m5.4xlarge": "[2 4 6 8]", "t3.2xlarge": "[2 4]",
		"c5.9xlarge": "[4 6 8 10 12 14 16 18]", "c5d.9xlarge": "[2 4 6 8 10 12 14 16 18]", "c5d.12xlarge": "[4 6 8 10 12 14 16 18 20 22 24]",
		"m5.12xlarge": "[2 4 6 8 10 12 14 16 18 20 22 24]", "m5.16xlarge": "[4 6 8 10 12 14 16 18 20 22 24 26 28 30 32]",
		"m5a.8xlarge": "[4 6 8 10 12 14 16]", "m5ad.8xlarge": "[2 4 6 8 10 12 14 16]", "r5a.12xlarge": "[6 12 18 24]", "m5a.24xlarge": "[12 18 24 36 48]",
		"m5a.16xlarge": "[8 10 12 14 16 18 20 22 24 26 28 30 32]", "c5a.2xlarge": "[1 2 3 4]", "c5a.4xlarge": "[1 2 3 4 8]", "c5a.8xlarge": "[1 2 3 4 8 12 16]",
		"c6a.4xlarge": "[1 2 3 4 5 6 7 8]", "c6a.8xlarge": "[1 2 3 4 5 6 7 8 16]", "m6a.12xlarge": "[1 2 3 4 5 6 7 8 16 24]", "m6a.16xlarge": "[2 4 6 8 10 12 14 16 32]",
		"m6a.24xlarge": "[2 4 6 8 10 12 14 16 32 48]", "r6a.32xlarge": "[4 8 12 16 20 24 28 32 64]", "r6a.48xlarge": "[4 8 12 16 20 24 28 32 64 96]",
		"g4ad.8xlarge": "[2 4 8 16]", "g4dn.2xlarge": "[1 2 3 4]", "g4dn.12xlarge": "[4 6 8 10 12 14 16 18 20 22 24]",
		"m5.metal": "[]", "m7i.xlarge": "[]",
	} {
		kind, ok := instancetype.Lookup(name)
		if got := fmt.Sprint(kind.ValidCores()); !ok || got != want {
			t.Errorf("%s: %v %s, want %s", name, ok, got, want)
		}
	}
}

func TestValidCoresEndWithAllCores(t *testing.T) {
	for _, kind := range instancetype.All() {
		if got := kind.ValidCores(); got != nil && (!slices.IsSorted(got) || got[len(got)-1] != kind.Cores()) {
			t.Errorf("%s has %d cores, of which %v are valid", kind.Name, kind.Cores(), got)
		}
	}
}

func TestCoresThatATypeDoesNotHave(t *testing.T) {
	for _, tt := range []struct {
		name  string
		cores int32
		want  string
	}{
		{"m5.4xlarge", 4, ""},
		{"m5.4xlarge", 3, "Value (3) for parameter CoreCount is invalid for m5.4xlarge. Valid values: 2, 4, 6, 8."},
		{"m7i.2xlarge", 3, ""},
		{"m7i.2xlarge", 5, "Value (5) for parameter CoreCount is invalid for m7i.2xlarge. It is from 1 to 4."},
	} {
		kind, _ := instancetype.Lookup(tt.name)
		err := kind.CheckCPU(&ec2api.CpuOptionsRequest{CoreCount: &tt.cores, ThreadsPerCore: new(int32(1))})
		if tt.want == "" && err == nil {
			continue
		}
		var e *apierr.Error
		if !errors.As(err, &e) || e.Code != "InvalidParameterValue" || e.Message != tt.want {
			t.Errorf("%s with %d cores: %v", tt.name, tt.cores, err)
		}
	}
}

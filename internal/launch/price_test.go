package launch_test

import (
	"testing"

	"github.com/kagimori/kagimori/internal/launch"
)

func TestPrices(t *testing.T) {
	tests := []struct {
		name           string
		vcpu           int32
		mib, gpuMiB    int64
		burst          bool
		onDemand, spot string
	}{
		{"m5.large", 2, 8192, 0, false, "0.096", "0.0288"},
		{"c5.large", 2, 4096, 0, false, "0.081", "0.0243"},
		{"r5.large", 2, 16384, 0, false, "0.126", "0.0378"},
		{"t3.micro", 2, 1024, 0, true, "0.0104", "0.00312"},
		{"g4dn.xlarge", 4, 16384, 16384, false, "0.592", "0.1776"},
		{"t3.nano", 2, 512, 0, true, "0.0052", "0.00156"},
	}
	for _, tt := range tests {
		p := launch.OnDemandPrice(tt.vcpu, tt.mib, tt.gpuMiB, tt.burst)
		if od, spot := launch.Dollars(p), launch.Dollars(launch.SpotPrice(p)); od != tt.onDemand || spot != tt.spot {
			t.Errorf("%s costs %s, Spot %s; want %s, %s", tt.name, od, spot, tt.onDemand, tt.spot)
		}
	}
}

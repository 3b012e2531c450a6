package block_test

import (
	"net/netip"
	"testing"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/ec2/block"
)

// TestAdds: which ranges a VPC can have besides those that it has.
func TestAdds(t *testing.T) {
	tests := []struct {
		name  string
		have  []string
		adds  string
		works bool
	}{
		{"the same private network", []string{"10.0.0.0/16"}, "10.1.0.0/16", true},
		{"another private network", []string{"10.0.0.0/16"}, "192.168.0.0/16", false},
		{"a private network for a public one", []string{"50.0.0.0/16"}, "10.0.0.0/16", false},
		{"public addresses", []string{"10.0.0.0/16"}, "50.0.0.0/16", true},
		{"shared addresses", []string{"10.0.0.0/16"}, "100.64.0.0/16", true},
		{"more addresses than a VPC has", []string{"10.0.0.0/16"}, "100.64.0.0/10", false},
		{"fewer", []string{"10.0.0.0/16"}, "10.2.0.0/29", false},
		{"what AWS has for itself", []string{"10.0.0.0/16"}, "198.19.0.0/24", false},
		{"the first tens of a VPC with the second", []string{"10.1.0.0/16"}, "10.0.0.0/16", false},
		{"the first tens of a VPC without", []string{"10.2.0.0/16"}, "10.0.0.0/16", true},
		{"the range of default VPCs", []string{"172.16.0.0/16"}, "172.31.0.0/16", false},
		{"an overlap", []string{"10.2.0.0/16", "10.3.0.0/24"}, "10.3.0.0/28", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var have []netip.Prefix
			for _, h := range tt.have {
				have = append(have, netip.MustParsePrefix(h))
			}
			err := block.Adds(netip.MustParsePrefix(tt.adds), tt.adds, have)
			if tt.works != (err == nil) || err != nil && apierr.Code(err) != "InvalidVpc.Range" {
				t.Error(err)
			}
		})
	}
}

// TestReadSix: the prefix lengths that a subnet can have.
func TestReadSix(t *testing.T) {
	for text, code := range map[string]string{
		"2001:db8::/64": "", "2001:db8::1/60": "", "2001:db8::/44": "", "2001:db8::/40": "InvalidSubnet.Range", "2001:db8::/62": "InvalidSubnet.Range",
		"2001:db8::/68": "InvalidSubnet.Range", "10.0.0.0/24": "InvalidParameterValue", "x": "InvalidParameterValue", "::ffff:10.0.0.0/104": "InvalidParameterValue",
	} {
		if p, err := block.ReadSix(text); apierr.Code(err) != code || err == nil && p != p.Masked() {
			t.Errorf("%s: %v, %v", text, p, err)
		}
	}
}

// TestProvided: a /56 of the range for documentation, seldom the same.
func TestProvided(t *testing.T) {
	p := block.Provided()
	if p.Bits() != 56 || p != p.Masked() || !netip.MustParsePrefix("2001:db8::/32").Contains(p.Addr()) {
		t.Error(p)
	}
	seen := map[netip.Prefix]bool{}
	for range 20 {
		seen[block.Provided()] = true
	}
	if len(seen) < 2 {
		t.Error("always the same range")
	}
}

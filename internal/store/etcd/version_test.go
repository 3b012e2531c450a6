package etcd_test

import (
	"testing"

	"github.com/kagimori/kagimori/internal/store/etcd"
)

func TestVersions(t *testing.T) {
	for v, ok := range map[string]bool{
		"3.5.8": true, "3.5.7": false, "3.5.21": true, "3.4.30": false, "3.6.0": true, "3.7.3": true, "3.7.0-rc.1": true, "4.0.0": true, "2.3.8": false, "": false, "3.5": false, "no": false,
	} {
		if err := etcd.CheckVersion(v); (err == nil) != ok {
			t.Errorf("%q: %v; want it to be allowed: %v", v, err, ok)
		}
	}
}

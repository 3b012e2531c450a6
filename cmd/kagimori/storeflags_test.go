package main

import (
	"net"
	"strings"
	"testing"
)

// What is taken for a store names members with host and port, and a prefix of its own.
func FuzzParseStore(f *testing.F) {
	for _, s := range []string{"etcd://a:1/p", "etcd://a:1,b:2/p/q/", "etcd://[::1]:2379", "etcd://a:1", "etcd://", "etcd://a:1,/p", "file:x", "etcd://u@a:1/p", "etcd:///p"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		endpoints, prefix, err := parseStore(spec)
		if err != nil {
			return
		}
		if len(endpoints) == 0 {
			t.Errorf("%q names no member", spec)
		}
		for _, e := range endpoints {
			if host, port, err := net.SplitHostPort(e); err != nil || host == "" || port == "" {
				t.Errorf("%q has the member %q", spec, e)
			}
		}
		if prefix != "" && (!strings.HasSuffix(prefix, "/") || strings.HasPrefix(prefix, "/")) {
			t.Errorf("%q has the prefix %q", spec, prefix)
		}
	})
}

package iam

import (
	"cmp"
	_ "embed"
	"strings"
	"sync"
)

// The names of services, by their namespaces: the full names of the service models that AWS publishes
// with its SDKs, which are those of the examples of GetServiceLastAccessedDetails.
//
//go:embed servicenames.tsv
var serviceTable string

var serviceNames = sync.OnceValue(func() map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(serviceTable) {
		namespace, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		out[namespace] = name
	}
	return out
})

// serviceName is how AWS calls a service, else its namespace.
func serviceName(namespace string) string { return cmp.Or(serviceNames()[namespace], namespace) }

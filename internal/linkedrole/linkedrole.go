// Package linkedrole is the table of service-linked roles: which service has one, under which name
// and with which policies. They lie under [arn.ServiceLinkedPath].
//
// Sources: IAM User Guide, "Using service-linked roles"; the names, policies and suffixes are those
// that AWS was seen to give (recorded 2024 to 2026), or that AWS managed policies name. Where roles.json says memory, the
// names are those of the services' guides, from memory of them.
package linkedrole

import (
	_ "embed" // the table
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"sync"
)

//go:embed roles.json
var data []byte

// A Role is the service-linked role of a service.
type Role struct {
	Name     string   `json:"name"`
	Policies []string `json:"policies"`         // names of AWS managed policies under /aws-service-role/
	Suffix   bool     `json:"suffix,omitempty"` // more than one may be made, told apart by a suffix
}

// All are the roles that are known, by service principal. The map is the caller's.
func All() map[string]Role { return maps.Clone(load()) }

// Of is the role of a service, by its principal.
func Of(service string) (Role, bool) {
	r, ok := load()[service]
	return r, ok
}

// Each yields all roles by service principal, in no order.
func Each() iter.Seq2[string, Role] { return maps.All(load()) }

var load = sync.OnceValue(func() map[string]Role {
	var all map[string]Role
	if err := json.Unmarshal(data, &all); err != nil {
		panic(fmt.Sprintf("linkedrole: roles.json: %v", err))
	}
	return all
})

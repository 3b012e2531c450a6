// Package capacity is what an account sets aside of EC2's machines: Capacity Reservations and Dedicated Hosts. They
// are records; an instance takes capacity while it is neither stopped nor terminated. Which reservation an instance
// runs in follows from the reservations and the instances that there are, and is stored nowhere; which Dedicated Host
// it runs on is stored with the instance. Package ec2 tells of its instances and asks before it launches one.
package capacity

import (
	"maps"
	"time"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/ec2/zone"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// A Use is an instance as far as it takes capacity, or is to.
type Use struct {
	ID, Type, Platform, Zone, Tenancy string
	Group                             string // ARN of its placement group
	Spot                              bool
	Launched                          time.Time
	Want                              Want
	Host                              string // the Dedicated Host that it is on, if its tenancy is host
}

// A Want is which Capacity Reservations an instance asks for.
type Want struct {
	Preference string // open ("" too), none or capacity-reservations-only
	Target     string // id of the only one that it runs in
}

// Instances is what package ec2 has of instances and placement groups. Errors are EC2's.
type Instances interface {
	// Uses are the caller's instances that are neither stopped nor terminated.
	Uses(tx store.Tx, c *guard.Call) ([]Use, error)
	// Cluster fails unless an ARN is that of a cluster placement group.
	Cluster(tx store.Tx, c *guard.Call, arn string) error
	// Describe puts the condition keys of a resource into a part; it fails if there is none with the id.
	Describe(tx store.Tx, c *guard.Call, kind, id string, p *authz.Part) error
}

// A Service is this part of EC2. Safe for concurrent use.
type Service struct {
	g         *guard.Guard
	instances Instances
	desk      idiom.Desk
}

// New makes a Service.
func New(g *guard.Guard, instances Instances) *Service {
	return &Service{g, instances, idiom.Desk{Guard: g, Describe: instances.Describe, Kinds: map[string]string{
		reservationKind: "AWS::EC2::CapacityReservation", hostKind: "AWS::EC2::Host",
	}}}
}

// Operations are the handlers.
func (s *Service) Operations() map[string]guard.Handler {
	ops := s.reservationOperations()
	maps.Copy(ops, s.hostOperations())
	return ops
}

// Describe puts the condition keys of what this package has into a part; ok is false for other kinds. It fails if there
// is none with the id. Source: Service Authorization Reference, "Condition keys for Amazon EC2".
func (s *Service) Describe(tx store.Tx, c *guard.Call, kind, id string, p *authz.Part) (ok bool, err error) {
	switch kind {
	case reservationKind:
		_, err = s.reservation(tx, c, id)
		return true, err
	case hostKind:
		h, err := s.dedicated(tx, c, id)
		if err == nil {
			h.describe(p)
		}
		return true, err
	}
	return false, nil
}

// remembered is how long what has ended is still described, as terminated instances are.
const remembered = time.Hour

// sweep deletes what ended long ago, with its tags.
func sweep[T any](tx store.Tx, c *guard.Call, table store.Table[T], ended func(*T) (id string, at time.Time)) error {
	const most = 10 // of a transaction
	var gone []string
	for rec, err := range table.Scan(tx, c.Region, c.Account()) {
		if err != nil {
			return err
		}
		if id, at := ended(&rec.Value); !at.IsZero() && c.Time.Sub(at) > remembered && len(gone) < most {
			gone = append(gone, id)
		}
	}
	for _, id := range gone {
		if err := table.Delete(tx, c.Region, c.Account(), id); err != nil {
			return err
		}
		if err := idiom.DropTags(tx, c.Region, c.Account(), id); err != nil {
			return err
		}
	}
	return nil
}

// setAttribute tells a decision of an attribute, if a request changes it.
func setAttribute(p *authz.Part, attribute, value string) {
	if value != "" {
		idiom.SetAttribute(p, attribute, value)
	}
}

// zoneOf finds the zone that a request names, by name or id.
func zoneOf(c *guard.Call, name, id string) (foundName, foundID string, err error) {
	switch {
	case name == "" && id == "":
		return "", "", apierr.New("MissingParameter", "The request must contain the parameter availabilityZone or availabilityZoneId")
	case name != "" && id != "":
		return "", "", apierr.New("InvalidParameterCombination", "You can specify availabilityZone or availabilityZoneId, not both.")
	}
	for _, z := range zone.Of(c.Region) {
		if z.Name == name || z.ID == id {
			return z.Name, z.ID, nil
		}
	}
	if id != "" {
		return "", "", idiom.InvalidValue("Invalid availability zone-id: [%s]", id)
	}
	return "", "", zone.ErrUnknown(name)
}

package iam

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/policy"
)

// Names of lists of documents in requests, which name the documents in answers.
const (
	inputList    = "PolicyInputList"
	boundaryList = "PermissionsBoundaryPolicyInputList"
	resourceName = "ResourcePolicy"
)

// simulateRequest is what both simulations take.
type simulateRequest struct {
	documents, boundaries, actions, resources []string
	resourcePolicy, owner, caller             string
	entries                                   []iamapi.ContextEntry
	handling                                  *string
	sim                                       simulation
}

// newSimulation reads what does not depend on a principal of the account.
func newSimulation(account string, in *simulateRequest) (simulation, error) {
	sim := simulation{caller: authz.Principal{Type: authz.User, Account: account}, given: map[string]bool{}}
	for _, a := range in.actions {
		if service, name, ok := strings.Cut(a, ":"); !ok || service == "" || name == "" || strings.ContainsAny(a, "*? ") {
			return sim, apierr.Newf(codeInvalid, "Invalid Action Name: %s", a)
		}
	}
	for _, r := range in.resources {
		if _, err := arn.Parse(r); r != "*" && err != nil {
			return sim, apierr.Newf(codeInvalid, "Invalid Resource ARN: %s", r)
		}
	}
	err := checkScenario(in.handling, in.resources)
	if err != nil {
		return sim, err
	}
	if sim.identity, err = parseAll(in.documents, inputList, policy.Identity); err != nil {
		return sim, err
	}
	if len(in.boundaries) > 1 {
		return sim, apierr.New(codeInvalid, "There can be one permissions boundary.")
	}
	boundaries, err := parseAll(in.boundaries, boundaryList, policy.Identity)
	if err != nil {
		return sim, err
	}
	if len(boundaries) > 0 {
		sim.boundary = boundaries[0]
	}
	if in.caller != "" {
		a, err := arn.Parse(in.caller)
		if err != nil || a.Service != "iam" || a.Type() != "user" || !arn.IsAccount(a.Account) {
			return sim, apierr.Newf(codeInvalid, "Invalid Entity Arn: %s is not the ARN of a user.", in.caller)
		}
		sim.caller.ARN, sim.caller.Account, sim.caller.Username = in.caller, a.Account, a.Resource[strings.LastIndexByte(a.Resource, '/')+1:]
	}
	if sim.owner, err = ownerOf(in.owner); err != nil {
		return sim, err
	}
	if in.resourcePolicy != "" {
		docs, err := parseAll([]string{in.resourcePolicy}, resourceName, policy.Resource)
		if err != nil {
			return sim, err
		}
		sim.resourcePolicy = docs[0]
	}
	return sim, sim.setContext(in.entries)
}

// parseAll compiles documents of a request and names them by their place.
func parseAll(texts []string, list string, kind policy.Kind) ([]*authz.Document, error) {
	var out []*authz.Document
	for i, text := range texts {
		doc, err := policy.Parse([]byte(text), kind)
		if err != nil {
			return nil, apierr.Newf(codeInvalid, "Invalid policy document: %s.%d: %v", list, i+1, err)
		}
		d := authz.Compile(doc, kind)
		d.Name = fmt.Sprintf("%s.%d", list, i+1)
		if list == resourceName {
			d.Name = list
		}
		out = append(out, d)
	}
	return out, nil
}

// ownerOf reads a ResourceOwner: the ARN of an account, or its id.
func ownerOf(owner string) (string, error) {
	if owner == "" || arn.IsAccount(owner) {
		return owner, nil
	}
	a, err := arn.Parse(owner)
	if err != nil || a.Service != "iam" || !arn.IsAccount(a.Account) {
		return "", apierr.Newf(codeInvalid, "Invalid Resource Owner: %s", owner)
	}
	return a.Account, nil
}

// setContext takes the condition keys of a request.
func (s *simulation) setContext(entries []iamapi.ContextEntry) error {
	for _, e := range entries {
		name, kind := api.Val(e.ContextKeyName), api.Val(e.ContextKeyType)
		one, list := strings.CutSuffix(kind, "List")
		if kind == "" {
			one = iamapi.ContextKeyTypeEnumString
		}
		if !list && len(e.ContextKeyValues) != 1 {
			return apierr.Newf(codeInvalid, "Invalid Context Entry: %s has %d values, but its type takes one.", name, len(e.ContextKeyValues))
		}
		for _, v := range e.ContextKeyValues {
			if !fits(one, v) {
				return apierr.Newf(codeInvalid, "Invalid Context Entry: the value %q of %s is no %s.", v, name, one)
			}
		}
		if s.given[strings.ToLower(name)] {
			return apierr.Newf(codeInvalid, "Invalid Context Entry: %s is given twice.", name)
		}
		s.given[strings.ToLower(name)] = true
		if list {
			s.context.SetList(entryKey(name), e.ContextKeyValues)
		} else {
			s.context.Set(entryKey(name), e.ContextKeyValues[0])
		}
	}
	return nil
}

// entryKey is a key as a context has it: lower case up to the name of a tag or of a pair of an
// encryption context.
func entryKey(name string) string {
	at := len(name)
	if i := strings.IndexByte(name, '/'); i >= 0 {
		at = i
	} else if parts := strings.SplitN(name, ":", 3); len(parts) == 3 {
		at = len(name) - len(parts[2])
	}
	return strings.ToLower(name[:at]) + name[at:]
}

// fits reports whether a value is one of a type.
func fits(kind, v string) bool {
	var err error
	switch kind {
	case iamapi.ContextKeyTypeEnumNumeric:
		_, err = strconv.ParseFloat(v, 64)
	case iamapi.ContextKeyTypeEnumBoolean:
		return v == "true" || v == "false"
	case iamapi.ContextKeyTypeEnumIp:
		if strings.Contains(v, "/") {
			_, err = netip.ParsePrefix(v)
		} else {
			_, err = netip.ParseAddr(v)
		}
	case iamapi.ContextKeyTypeEnumBinary:
		_, err = base64.StdEncoding.DecodeString(v)
	case iamapi.ContextKeyTypeEnumDate:
		if _, err = strconv.ParseInt(v, 10, 64); err != nil {
			if _, err = time.Parse(time.RFC3339, v); err != nil {
				_, err = time.Parse(time.DateOnly, v)
			}
		}
	}
	return err == nil
}

// contextKeys are the condition keys that documents ask for: of each statement those of variables in
// its resources, then those of its conditions.
func contextKeys(docs []*authz.Document) []string {
	found := map[string]bool{} // in lower case
	out := []string{}
	add := func(key string) {
		if lower := strings.ToLower(key); !found[lower] {
			found[lower] = true
			out = append(out, key)
		}
	}
	for _, d := range docs {
		if d != nil && d.Source != nil {
			d.Source.ConditionKeys(add)
		}
	}
	return out
}

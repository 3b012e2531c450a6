package iam

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/actions"
	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// A Use is an authenticated call, allowed or not.
type Use struct {
	Principal               string // ARN of the user, the role or the root user
	Service, Action, Region string // "kms", "Decrypt"
	At                      time.Time
}

// Uses yields the calls of an account's principals since a time, newest first.
type Uses func(ctx context.Context, account string, since time.Time) iter.Seq2[Use, error]

// Bounds of what is told. Source: IAM User Guide, "Refine permissions using last accessed information":
// the tracking period. maxUses is kagimori's own.
const (
	tracked = 400 * 24 * time.Hour
	maxUses = 200_000
)

// An accessJob is a report on when services were used last.
type accessJob struct {
	ARN         string    `json:"arn"`
	Granularity string    `json:"granularity"`
	Created     time.Time `json:"created"`
	// Services that the policies allow, by namespace.
	Services []serviceUse `json:"services"`
	Entities []entity     `json:"entities"`
}

// A serviceUse is how a service was used, and by whom last.
type serviceUse struct {
	Namespace string      `json:"ns"`
	Uses      []entityUse `json:"uses,omitempty"` // newest first
	Actions   []actionUse `json:"actions,omitempty"`
}

type entityUse struct {
	ARN    string    `json:"arn"`
	At     time.Time `json:"at"`
	Region string    `json:"region"`
}

type actionUse struct {
	Name string `json:"name"`
	entityUse
}

// An entity is a user or role that a report is about.
type entity struct {
	ARN  string `json:"arn"`
	Name string `json:"name"`
	Type string `json:"type"`
	ID   string `json:"id"`
	Path string `json:"path"`
}

var accessJobs = store.Table[accessJob]{Bucket: "iam/accessjob", Version: 1} // (account, job)

// GenerateServiceLastAccessedDetails reports when the services that policies of a user, role, group
// or managed policy allow were last used. It is done at once.
// Source: IAM API Reference, GenerateServiceLastAccessedDetails.
func (s *Service) GenerateServiceLastAccessedDetails(ctx context.Context, c *guard.Call, in *iamapi.GenerateServiceLastAccessedDetailsRequest) (*iamapi.GenerateServiceLastAccessedDetailsResponse, error) {
	var job accessJob
	err := s.g.View(ctx, c, func(tx store.Tx) (err error) {
		job, err = s.accessed(tx, c, api.Val(in.Arn))
		return err
	})
	if err != nil {
		return nil, err
	}
	job.Created, job.Granularity = s.now(), cmp.Or(api.Val(in.Granularity), iamapi.AccessAdvisorUsageGranularityTypeSERVICE_LEVEL)
	if err := s.gather(ctx, c.Account(), &job); err != nil {
		return nil, err
	}
	id := guard.NewRequestID()
	if err := s.g.Change(ctx, func(tx store.Tx) error { return accessJobs.Put(tx, job, c.Account(), id) }); err != nil {
		return nil, err
	}
	return &iamapi.GenerateServiceLastAccessedDetailsResponse{JobId: &id}, nil
}

// accessed decides the operation and finds the services that are allowed and who the users are.
func (s *Service) accessed(tx store.Tx, c *guard.Call, about string) (accessJob, error) {
	job := accessJob{ARN: about}
	a, err := arn.Parse(about)
	bad := apierr.Newf(codeInvalid, "Invalid Arn: %s does not identify a user, group, role or policy of this account.", about)
	if err != nil || a.Service != "iam" || a.Account != c.Account() && a.Account != "aws" {
		return job, bad
	}
	var docs []granting
	var holders []*principal
	k, isEntity := map[string]kind{"user": userKind, "role": roleKind, "group": groupKind}[a.Type()]
	switch {
	case isEntity && a.Account == c.Account():
		name := a.Resource[strings.LastIndexByte(a.Resource, '/')+1:]
		p, err := s.authorized(tx, c, k, &name, c.Operation, nil)
		if err != nil {
			return job, err
		}
		holders = []*principal{p}
		if docs, err = s.grantings(tx, p); err != nil {
			return job, err
		}
	case a.Type() == "policy":
		p, err := s.authorizedPolicy(tx, c, &about, c.Operation, nil)
		if err != nil {
			return job, err
		}
		docs = []granting{{document: p.document()}}
		if holders, err = s.entities(tx, c.Account(), about, &iamapi.ListEntitiesForPolicyRequest{}); err != nil {
			return job, err
		}
	default:
		return job, bad
	}
	for _, ns := range s.namespaces() {
		if slices.ContainsFunc(docs, func(g granting) bool { return allowsService(g.document, ns) }) {
			job.Services = append(job.Services, serviceUse{Namespace: ns})
		}
	}
	job.Entities, err = s.users(tx, holders)
	return job, err
}

// document is the default version's text.
func (p *managedPolicy) document() string {
	if p.customer != nil {
		return p.customer.DefaultDocument()
	}
	return p.aws.Document()
}

// namespaces are those of all services, sorted.
func (s *Service) namespaces() []string { return actions.Load().Prefixes() }

// users are the users and roles that something hangs on, members of groups among them, each once.
func (s *Service) users(tx store.Tx, holders []*principal) ([]entity, error) {
	found := map[string]entity{}
	for _, h := range holders {
		switch {
		case h.user != nil:
			found[h.arn] = entity{h.arn, h.label, iamapi.PolicyOwnerEntityTypeUSER, h.user.ID, h.user.Path}
		case h.role != nil:
			found[h.arn] = entity{h.arn, h.label, iamapi.PolicyOwnerEntityTypeROLE, h.role.ID, h.role.Path}
		case h.group != nil:
			members, err := s.dir.GroupUsers(tx, *h.group)
			if err != nil {
				return nil, err
			}
			for _, u := range members {
				found[u.ARN()] = entity{u.ARN(), u.Name, iamapi.PolicyOwnerEntityTypeUSER, u.ID, u.Path}
			}
		}
	}
	return slices.SortedFunc(maps.Values(found), func(a, b entity) int { return cmp.Compare(a.ARN, b.ARN) }), nil
}

// gather fills in how the job's services were used by its entities.
func (s *Service) gather(ctx context.Context, account string, job *accessJob) error {
	if s.uses == nil || len(job.Entities) == 0 {
		return nil
	}
	about := map[string]bool{}
	for _, e := range job.Entities {
		about[e.ARN] = true
	}
	services := map[string]*serviceUse{}
	for i := range job.Services {
		services[job.Services[i].Namespace] = &job.Services[i]
	}
	n := 0
	for u, err := range s.uses(ctx, account, s.now().Add(-tracked)) {
		if err != nil {
			return err
		}
		if n++; n > maxUses {
			break
		}
		sv := services[u.Service]
		if sv == nil || !about[u.Principal] {
			continue
		}
		use := entityUse{u.Principal, u.At.UTC().Truncate(time.Second), u.Region}
		if !slices.ContainsFunc(sv.Uses, func(e entityUse) bool { return e.ARN == u.Principal }) {
			sv.Uses = append(sv.Uses, use)
		}
		if job.Granularity == iamapi.AccessAdvisorUsageGranularityTypeACTION_LEVEL &&
			!slices.ContainsFunc(sv.Actions, func(a actionUse) bool { return a.Name == u.Action }) {
			sv.Actions = append(sv.Actions, actionUse{u.Action, use})
		}
	}
	return nil
}

// job reads a report after deciding the operation.
func (s *Service) job(tx store.Tx, c *guard.Call, id string) (accessJob, error) {
	if err := s.allowAll(tx, c, c.Operation); err != nil {
		return accessJob{}, err
	}
	job, ok, err := accessJobs.Get(tx, c.Account(), id)
	if err == nil && !ok {
		err = noSuchEntity("Job with id %s cannot be found.", id)
	}
	return job, err
}

// GetServiceLastAccessedDetails gives a report: every service that the policies allow, used or not.
func (s *Service) GetServiceLastAccessedDetails(ctx context.Context, c *guard.Call, in *iamapi.GetServiceLastAccessedDetailsRequest) (*iamapi.GetServiceLastAccessedDetailsResponse, error) {
	var out *iamapi.GetServiceLastAccessedDetailsResponse
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		job, err := s.job(tx, c, api.Val(in.JobId))
		if err != nil {
			return err
		}
		pg, err := s.page(c, *in.JobId, in.Marker, in.MaxItems)
		if err != nil {
			return err
		}
		out = &iamapi.GetServiceLastAccessedDetailsResponse{
			JobStatus: new(iamapi.JobStatusTypeCOMPLETED), JobType: &job.Granularity, JobCreationDate: &job.Created, JobCompletionDate: &job.Created,
			ServicesLastAccessed: []iamapi.ServiceLastAccessed{},
		}
		some, last := cut(pg, job.Services, func(u serviceUse) string { return u.Namespace })
		for i := range some {
			out.ServicesLastAccessed = append(out.ServicesLastAccessed, some[i].show(job.Granularity))
		}
		out.IsTruncated, out.Marker = s.end(pg, last)
		return nil
	})
	return out, err
}

func (u *serviceUse) show(granularity string) iamapi.ServiceLastAccessed {
	out := iamapi.ServiceLastAccessed{
		ServiceName: new(serviceName(u.Namespace)), ServiceNamespace: &u.Namespace, TotalAuthenticatedEntities: new(int32(len(u.Uses))),
	}
	if len(u.Uses) > 0 {
		last := &u.Uses[0]
		out.LastAuthenticated, out.LastAuthenticatedEntity, out.LastAuthenticatedRegion = &last.At, &last.ARN, &last.Region
	}
	if granularity == iamapi.AccessAdvisorUsageGranularityTypeACTION_LEVEL {
		for i := range u.Actions {
			a := &u.Actions[i]
			out.TrackedActionsLastAccessed = append(out.TrackedActionsLastAccessed, iamapi.TrackedActionLastAccessed{
				ActionName: &a.Name, LastAccessedEntity: &a.ARN, LastAccessedTime: &a.At, LastAccessedRegion: &a.Region,
			})
		}
	}
	return out
}

// GetServiceLastAccessedDetailsWithEntities gives the users and roles of a report, with when they
// used a service, if they did.
func (s *Service) GetServiceLastAccessedDetailsWithEntities(ctx context.Context, c *guard.Call, in *iamapi.GetServiceLastAccessedDetailsWithEntitiesRequest) (*iamapi.GetServiceLastAccessedDetailsWithEntitiesResponse, error) {
	var out *iamapi.GetServiceLastAccessedDetailsWithEntitiesResponse
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		job, err := s.job(tx, c, api.Val(in.JobId))
		if err != nil {
			return err
		}
		ns := api.Val(in.ServiceNamespace)
		at := slices.IndexFunc(job.Services, func(u serviceUse) bool { return u.Namespace == ns })
		if at < 0 {
			return apierr.Newf(codeInvalid, "The service namespace %s is not one of the report.", ns)
		}
		pg, err := s.page(c, *in.JobId+" "+ns, in.Marker, in.MaxItems)
		if err != nil {
			return err
		}
		out = &iamapi.GetServiceLastAccessedDetailsWithEntitiesResponse{
			JobStatus: new(iamapi.JobStatusTypeCOMPLETED), JobCreationDate: &job.Created, JobCompletionDate: &job.Created,
			EntityDetailsList: []iamapi.EntityDetails{},
		}
		some, last := cut(pg, job.Entities, func(e entity) string { return e.ARN })
		for _, e := range some {
			d := iamapi.EntityDetails{EntityInfo: &iamapi.EntityInfo{Arn: &e.ARN, Name: &e.Name, Type: &e.Type, Id: &e.ID, Path: &e.Path}}
			for _, u := range job.Services[at].Uses {
				if u.ARN == e.ARN {
					d.LastAuthenticated = &u.At
				}
			}
			out.EntityDetailsList = append(out.EntityDetailsList, d)
		}
		out.IsTruncated, out.Marker = s.end(pg, last)
		return nil
	})
	return out, err
}

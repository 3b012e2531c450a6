package iam

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// An orgJob is a report on when accounts of an organization last used services.
type orgJob struct {
	Path     string       `json:"path"`
	Created  time.Time    `json:"created"`
	Services []orgService `json:"services"` // that service control policies allow
}

type orgService struct {
	Namespace string    `json:"ns"`
	Path      string    `json:"path,omitempty"` // of the account that used it last
	At        time.Time `json:"at,omitzero"`
	Region    string    `json:"region,omitempty"`
	Accounts  int32     `json:"accounts,omitempty"`
}

var orgJobs = store.Table[orgJob]{Bucket: "iam/orgjob", Version: 1} // (account, job)

// orgScope is what a report is about.
type orgScope struct {
	accounts map[string]string // to their paths
	policies [][]string        // documents of service control policies, by level
}

// GenerateOrganizationsAccessReport reports when the accounts under a root, an organizational unit or an
// account last used the services that service control policies allow there, or those that one policy
// allows. It is done at once. Source: IAM API Reference, GenerateOrganizationsAccessReport.
func (s *Service) GenerateOrganizationsAccessReport(ctx context.Context, c *guard.Call, in *iamapi.GenerateOrganizationsAccessReportRequest) (*iamapi.GenerateOrganizationsAccessReportResponse, error) {
	path := strings.TrimSuffix(api.Val(in.EntityPath), "/")
	var scope orgScope
	err := s.g.View(ctx, c, func(tx store.Tx) (err error) {
		part := authz.Part{
			Action: "iam:GenerateOrganizationsAccessReport", Resource: s.resource(arn.Make("iam", "", c.Account(), "access-report/"+path), c.Account(), nil),
		}
		if in.OrganizationsPolicyId != nil {
			part.Context.Set("iam:organizationspolicyid", *in.OrganizationsPolicyId)
		}
		if _, err := s.g.Allow(tx, c, part); err != nil {
			return err
		}
		scope, err = s.orgScope(tx, c, path, api.Val(in.OrganizationsPolicyId))
		return err
	})
	if err != nil {
		return nil, err
	}
	job := orgJob{Path: path, Created: s.now()}
	if err := s.gatherAccounts(ctx, &job, scope); err != nil {
		return nil, err
	}
	id := guard.NewRequestID()
	if err := s.g.Change(ctx, func(tx store.Tx) error { return orgJobs.Put(tx, job, c.Account(), id) }); err != nil {
		return nil, err
	}
	return &iamapi.GenerateOrganizationsAccessReportResponse{JobId: &id}, nil
}

// orgScope finds the accounts under a path of the organization that the caller manages.
func (s *Service) orgScope(tx store.Tx, c *guard.Call, path, policyID string) (orgScope, error) {
	var scope orgScope
	o, in, err := s.dir.OrganizationOf(tx, c.Account())
	if err != nil {
		return scope, err
	}
	if !in || o.Management != c.Account() {
		return scope, apierr.New("AccessDenied", "Only the management account of an organization can generate access reports of it.").WithStatus(403)
	}
	units, err := s.dir.Units(tx, o)
	if err != nil {
		return scope, err
	}
	paths := map[string]string{o.Root: o.ID + "/" + o.Root} // of roots and units
	for range units {                                       // a unit is at most as deep as there are units
		for _, u := range units {
			if p, ok := paths[u.Parent]; ok {
				paths[u.ID] = p + "/" + u.ID
			}
		}
	}
	members, err := s.dir.Members(tx, o)
	if err != nil {
		return scope, err
	}
	scope.accounts = map[string]string{}
	known := false
	for _, p := range paths {
		known = known || p == path
	}
	for _, m := range members {
		p := paths[m.Parent] + "/" + m.Account
		if p == path || strings.HasPrefix(p, path+"/") {
			scope.accounts[m.Account] = p
		}
		known = known || p == path
	}
	if !known {
		return scope, apierr.Newf("ValidationError", "The entity path %s does not exist in the organization.", path)
	}
	if policyID != "" {
		doc, err := s.orgDocument(tx, o, policyID)
		scope.policies = [][]string{{doc}}
		return scope, err
	}
	if !o.Enabled(directory.SCP) {
		return scope, nil
	}
	for _, target := range strings.Split(path, "/")[1:] {
		if target == o.Management {
			return orgScope{accounts: scope.accounts}, nil // it is not limited
		}
		ids, err := s.dir.Attached(tx, o, directory.SCP, target)
		if err != nil {
			return scope, err
		}
		var level []string
		for _, id := range ids {
			doc, err := s.orgDocument(tx, o, id)
			if err != nil {
				return scope, err
			}
			level = append(level, doc)
		}
		scope.policies = append(scope.policies, level)
	}
	return scope, nil
}

func (s *Service) orgDocument(tx store.Tx, o directory.Organization, id string) (string, error) {
	if id == directory.SCP.Full() {
		return directory.SCP.FullDocument(), nil
	}
	p, ok, err := s.dir.OrgPolicy(tx, o, id)
	if err == nil && !ok {
		err = noSuchEntity("The policy %s cannot be found in the organization.", id)
	}
	return p.Document, err
}

// gatherAccounts fills in the services of a report.
func (s *Service) gatherAccounts(ctx context.Context, job *orgJob, scope orgScope) error {
	services := map[string]*orgService{}
	for _, ns := range s.namespaces() {
		allowed := !slices.ContainsFunc(scope.policies, func(level []string) bool {
			return !slices.ContainsFunc(level, func(doc string) bool { return allowsService(doc, ns) })
		})
		if allowed {
			job.Services = append(job.Services, orgService{Namespace: ns})
		}
	}
	for i := range job.Services {
		services[job.Services[i].Namespace] = &job.Services[i]
	}
	if s.uses == nil {
		return nil
	}
	for account, path := range scope.accounts {
		seen := map[string]bool{}
		n := 0
		for u, err := range s.uses(ctx, account, s.now().Add(-tracked)) {
			if err != nil {
				return err
			}
			if n++; n > maxUses {
				break
			}
			sv := services[u.Service]
			if sv == nil || seen[u.Service] {
				continue
			}
			seen[u.Service] = true
			sv.Accounts++
			if u.At.After(sv.At) {
				sv.At, sv.Region, sv.Path = u.At.UTC().Truncate(time.Second), u.Region, path
			}
		}
	}
	return nil
}

// GetOrganizationsAccessReport gives a report.
func (s *Service) GetOrganizationsAccessReport(ctx context.Context, c *guard.Call, in *iamapi.GetOrganizationsAccessReportRequest) (*iamapi.GetOrganizationsAccessReportResponse, error) {
	var out *iamapi.GetOrganizationsAccessReportResponse
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		if err := s.allowAll(tx, c, c.Operation); err != nil {
			return err
		}
		job, ok, err := orgJobs.Get(tx, c.Account(), api.Val(in.JobId))
		if err != nil {
			return err
		}
		if !ok {
			return noSuchEntity("Job with id %s cannot be found.", api.Val(in.JobId))
		}
		key := api.Val(in.SortKey)
		slices.SortStableFunc(job.Services, func(a, b orgService) int {
			byTime, byName := a.At.Compare(b.At), cmp.Compare(a.Namespace, b.Namespace)
			switch key {
			case iamapi.SortKeyTypeSERVICE_NAMESPACE_DESCENDING:
				return -byName
			case iamapi.SortKeyTypeLAST_AUTHENTICATED_TIME_ASCENDING:
				return cmp.Or(byTime, byName)
			case iamapi.SortKeyTypeLAST_AUTHENTICATED_TIME_DESCENDING:
				return cmp.Or(-byTime, byName)
			}
			return byName
		})
		pg, err := s.page(c, *in.JobId+" "+key, in.Marker, in.MaxItems)
		if err != nil {
			return err
		}
		out = &iamapi.GetOrganizationsAccessReportResponse{
			JobStatus: new(iamapi.JobStatusTypeCOMPLETED), JobCreationDate: &job.Created, JobCompletionDate: &job.Created,
			NumberOfServicesAccessible: new(int32(len(job.Services))), NumberOfServicesNotAccessed: new(int32(0)), AccessDetails: []iamapi.AccessDetail{},
		}
		for i := range job.Services {
			if job.Services[i].Accounts == 0 {
				*out.NumberOfServicesNotAccessed++
			}
		}
		some, more := after(pg, job.Services)
		for i := range some {
			out.AccessDetails = append(out.AccessDetails, some[i].show())
		}
		out.IsTruncated, out.Marker = s.end(pg, more)
		return nil
	})
	return out, err
}

// after is the page of a list that is not sorted by id: it goes on behind the last one shown.
func after(p page, all []orgService) ([]orgService, string) {
	start := 0
	if p.after != "" {
		start = slices.IndexFunc(all, func(o orgService) bool { return o.Namespace == p.after }) + 1
	}
	end := min(start+p.limit, len(all))
	if end == len(all) {
		return all[start:], ""
	}
	return all[start:end], all[end-1].Namespace
}

func (o *orgService) show() iamapi.AccessDetail {
	out := iamapi.AccessDetail{ServiceName: new(serviceName(o.Namespace)), ServiceNamespace: &o.Namespace, TotalAuthenticatedEntities: &o.Accounts}
	if o.Accounts > 0 {
		out.LastAuthenticatedTime, out.Region, out.EntityPath = &o.At, &o.Region, &o.Path
	}
	return out
}

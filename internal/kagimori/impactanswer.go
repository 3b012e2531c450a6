package kagimori

import (
	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/impact"
	"github.com/kagimori/kagimori/internal/speech"
)

// ImpactAnswer is a report in the words of the service.
func ImpactAnswer(r *impact.Report, l speech.Language) *kagimoriapi.PredictImpactResponse {
	out := &kagimoriapi.PredictImpactResponse{
		Totals: []kagimoriapi.ImpactTotal{}, Accounts: append([]string{}, r.Accounts...),
		AlreadyFailing: new(int32(r.Failing)), Truncated: &r.Truncated,
	}
	for _, t := range r.Totals {
		out.Totals = append(out.Totals, kagimoriapi.ImpactTotal{ResourceType: &t.Kind, When: new(string(t.When)), Count: new(int32(t.Count))})
	}
	out.Effects, out.Starts = effects(r.Effects, l), effects(r.Starts, l)
	return out
}

func effects(list []impact.Effect, l speech.Language) []kagimoriapi.ImpactEffect {
	out := []kagimoriapi.ImpactEffect{}
	for i := range list {
		e := &list[i]
		w := kagimoriapi.ImpactEffect{
			ResourceType: &e.Kind, ResourceId: &e.ID, Name: api.Opt(e.Name), PartOf: api.Opt(e.PartOf), AccountId: api.Opt(e.Account),
			When: new(string(e.When)), Outcome: new(string(e.Outcome)), DependsOn: speech.All(l, speech.AllWritten(e.Depends)), Operation: api.Opt(e.Operation), Actions: e.Actions,
			Device: api.Opt(e.Device), VolumeId: api.Opt(e.VolumeID),
		}
		if f := e.Refusal; f != nil {
			w.Refusal = &kagimoriapi.ImpactRefusal{
				Principal: api.Opt(f.Principal), Call: api.Opt(f.Call), Action: api.Opt(f.Action), KeyArn: api.Opt(f.KeyARN), ErrorCode: api.Opt(f.Code),
				Reasons: speech.All(l, f.Why), MoreGrants: more(f.More),
			}
			for j := range f.AllowedBy {
				w.Refusal.AllowedBy = append(w.Refusal.AllowedBy, statement(&f.AllowedBy[j]))
			}
		}
		out = append(out, w)
	}
	return out
}

// more is a number of grants that an answer does not cite, nil if there are none.
func more(n int) *int32 {
	if n == 0 {
		return nil
	}
	return new(int32(n))
}

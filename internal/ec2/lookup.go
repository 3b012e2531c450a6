package ec2

import (
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

func errNoInstances() error {
	return apierr.New("MissingParameter", "The request must contain the parameter InstanceId")
}

// errEmptyInstance is what AWS answers to an id without a letter where the state of instances is changed, as logs of
// Docker Machine show it.
func errEmptyInstance() error {
	return apierr.New("InvalidInstanceID.Malformed", `Invalid id: "" (expecting "i-...")`)
}

// lookupInstances finds instances of the caller, in the order of their ids. Each is one read. An id without a letter is
// none, as the tests of AWS SDKs have it. Source of the errors: EC2 API Reference, "Error codes".
func (s *Service) lookupInstances(tx store.Tx, c *guard.Call, ids []string) ([]instanceRecord, error) {
	if len(ids) == 0 || slices.Contains(ids, "") {
		return nil, errNoInstances()
	}
	for _, id := range ids {
		if rest, ok := strings.CutPrefix(id, "i-"); !ok || !isHex(rest) {
			return nil, apierr.Newf("InvalidInstanceID.Malformed", "Invalid id: \"%s\"", id)
		}
	}
	var out []instanceRecord
	var missing []string
	for _, id := range ids {
		i, ok, err := instanceTable.Get(tx, c.Region, c.Account(), id)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, i)
		} else {
			missing = append(missing, id)
		}
	}
	switch len(missing) {
	case 0:
		return out, nil
	case 1:
		return nil, apierr.Newf("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", missing[0])
	}
	return nil, apierr.Newf("InvalidInstanceID.NotFound", "The instance IDs '%s' do not exist", strings.Join(missing, ", "))
}

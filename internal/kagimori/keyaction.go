package kagimori

import (
	"strings"

	"github.com/kagimori/kagimori/internal/actions"
	"github.com/kagimori/kagimori/internal/apierr"
)

// checkActions refuses actions that KMS does not have: to whoever may do everything an answer about
// one would say yes. Source: Service Authorization Reference, "AWS Key Management Service".
func checkActions(names ...string) error {
	kms, _ := actions.Load().Service("kms")
	for _, full := range names {
		prefix, name, _ := strings.Cut(full, ":")
		if _, known := kms.Action(name); known && strings.EqualFold(prefix, "kms") {
			continue
		}
		for _, a := range kms.Actions() {
			if actions.Distance(strings.ToLower(full), strings.ToLower(a.Full()), 3) < 3 {
				return apierr.Newf("ValidationException", "%s is no action of AWS KMS. Did you mean %s?", full, a.Full())
			}
		}
		return apierr.Newf("ValidationException", "%s is no action of AWS KMS.", full)
	}
	return nil
}

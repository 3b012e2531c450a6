package doctor

import (
	"strconv"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/scenario/format"
)

// managedID stands for the id of an AWS managed key that is made on first use.
const managedID = "00000000-0000-0000-0000-000000000000"

// managed is the ARN of the AWS managed key of EBS, which is made on first use.
//
// Source: KMS Developer Guide, "AWS managed keys".
func (w *world) managed() string {
	account, region := w.sc.Launch.Account, w.sc.Region
	name := arn.KMSKey(region, account, managedID)
	if _, ok := w.keys[name]; !ok {
		w.addKey(-1, format.Key{
			ARN: name, Account: account, Region: region, Manager: format.ManagerAWS, Spec: "SYMMETRIC_DEFAULT", Usage: "ENCRYPT_DECRYPT",
			State: "Enabled", Aliases: []string{launch.AWSManagedAlias}, Policy: format.Document(policy.EBSManagedKeyPolicy(account, region)),
		})
	}
	return name
}

func itoa(i int) string { return strconv.Itoa(i) }

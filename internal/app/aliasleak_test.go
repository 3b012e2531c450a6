package app_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/cloudtrailapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/testkit"
)

// EC2 looks aliases up before anything is decided: neither what becomes of the volume nor the records of
// whoever asked tell whether another account has the alias.
func TestEC2DoesNotTellWhetherAForeignAliasExists(t *testing.T) {
	const owner, here, gone = "111122223333", "alias/here", "alias/gone"
	s := testkit.Start(t, testkit.Options{})
	keys := s.As(testkit.Admin(owner)).KMS
	key := testkit.Call[kmsapi.CreateKeyResponse](keys, "CreateKey", &kmsapi.CreateKeyRequest{}).KeyMetadata.KeyId
	testkit.Must(keys, "CreateAlias", &kmsapi.CreateAliasRequest{AliasName: new(here), TargetKeyId: key})

	// named are the keys that the records of an account name, and told the records without ids and times.
	told := func(account, alias string) (records, named []string) {
		spy := s.As(testkit.Admin(account))
		for range 2 {
			testkit.Call[ec2api.Volume](spy.EC2, "CreateVolume", &ec2api.CreateVolumeRequest{
				AvailabilityZone: new(testkit.Region + "a"), Size: new(int32(1)), Encrypted: new(true), KmsKeyId: new(arn.KMSAlias(testkit.Region, owner, alias)),
			})
		}
		s.Advance(10 * time.Second)
		volumes := testkit.Call[ec2api.DescribeVolumesResult](spy.EC2, "DescribeVolumes", &ec2api.DescribeVolumesRequest{})
		events := testkit.Call[cloudtrailapi.LookupEventsResponse](spy.CloudTrail, "LookupEvents", &cloudtrailapi.LookupEventsRequest{MaxResults: new(int32(50))})
		texts := []string{}
		for _, e := range events.Events {
			texts = append(texts, api.Val(e.EventName)+" "+api.Val(e.CloudTrailEvent))
		}
		all, err := json.Marshal(volumes)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(all))
		slices.Sort(texts)
		uuid := regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
		noise := regexp.MustCompile(`[0-9a-f]{32}|vol-[0-9a-f]+|\d{4}-\d\d-\d\dT[0-9:.]+Z|AIDA[A-Z0-9]{17}|"createTime":"[^"]*"`)
		for _, text := range texts {
			named = append(named, regexp.MustCompile(`key/`+uuid.String()).FindAllString(text, -1)...)
			text = noise.ReplaceAllString(uuid.ReplaceAllString(text, "ID"), "ID")
			records = append(records, strings.NewReplacer(alias, "ALIAS", account, "ACCOUNT").Replace(text))
		}
		slices.Sort(records)
		slices.Sort(named)
		return records, slices.Compact(named)
	}
	there, known := told("444455556666", here)
	missing, invented := told("777788889999", gone)
	if !slices.Equal(there, missing) {
		t.Errorf("an alias that exists and one that does not: %s", cmp.Diff(there, missing))
	}
	if len(known) != len(invented) || len(invented) > 1 {
		t.Errorf("keys named: %v and %v", known, invented)
	}
	if len(there) < 4 || !strings.Contains(strings.Join(there, ""), "AccessDenied") {
		t.Errorf("nothing was refused: %s", strings.Join(there, "\n"))
	}
}

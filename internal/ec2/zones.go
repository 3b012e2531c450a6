package ec2

import (
	"strconv"
	"strings"
)

// A zone is an availability zone of a region.
type zone struct {
	Name string // us-west-2a
	ID   string // usw2-az1
}

// regionLetters are the zones of the regions, by the last letter of their names. Which zone id
// hides behind a name is different for each AWS account; here they are numbered in order.
// Source: AWS Global Infrastructure, "Regions and Availability Zones".
var regionLetters = map[string]string{
	"us-east-1": "abcdef", "us-east-2": "abc", "us-west-1": "ac", "us-west-2": "abcd",
	"ca-central-1": "abd", "sa-east-1": "abc",
	"eu-central-1": "abc", "eu-west-1": "abc", "eu-west-2": "abc", "eu-west-3": "abc", "eu-north-1": "abc",
	"ap-northeast-1": "acd", "ap-northeast-2": "abcd", "ap-northeast-3": "abc",
	"ap-southeast-1": "abc", "ap-southeast-2": "abc", "ap-south-1": "abc",
	// Regions that an account must opt in to.
	"af-south-1": "abc", "ap-east-1": "abc", "ap-south-2": "abc", "ap-southeast-3": "abc", "ap-southeast-4": "abc",
	"ap-southeast-5": "abc", "ap-southeast-7": "abc", "ca-west-1": "abc", "eu-central-2": "abc", "eu-south-1": "abc",
	"eu-south-2": "abc", "il-central-1": "abc", "me-central-1": "abc", "me-south-1": "abc", "mx-central-1": "abc",
}

// optIn are the regions of regionLetters that an account must opt in to.
var optIn = map[string]bool{
	"af-south-1": true, "ap-east-1": true, "ap-south-2": true, "ap-southeast-3": true, "ap-southeast-4": true,
	"ap-southeast-5": true, "ap-southeast-7": true, "ca-west-1": true, "eu-central-2": true, "eu-south-1": true,
	"eu-south-2": true, "il-central-1": true, "me-central-1": true, "me-south-1": true, "mx-central-1": true,
}

// zonesOf gives the zones of a region, in order. A region that is not known has three.
func zonesOf(region string) []zone {
	letters, ok := regionLetters[region]
	if !ok {
		letters = "abc"
	}
	prefix := zonePrefix(region)
	zones := make([]zone, len(letters))
	for i := range letters {
		zones[i] = zone{Name: region + letters[i:i+1], ID: prefix + "-az" + strconv.Itoa(i+1)}
	}
	return zones
}

// zonePrefix shortens a region's name as zone ids do: us-west-2 is usw2, ap-northeast-1 is apne1.
func zonePrefix(region string) string {
	parts := strings.Split(region, "-")
	if len(parts) != 3 {
		return strings.ReplaceAll(region, "-", "")
	}
	return parts[0] + strings.NewReplacer("north", "n", "south", "s", "east", "e", "west", "w", "central", "c").Replace(parts[1]) + parts[2]
}

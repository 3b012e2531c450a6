package gateway_test

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/gateway"
)

func TestValidRegion(t *testing.T) {
	name := regexp.MustCompile(`^[a-z]{2,}(-[a-z]+)+-\d$`)
	other := regexp.MustCompile(`^(cn|us-gov|us-iso[a-z]*|eu-isoe|eusc)-`)
	r := rand.New(rand.NewPCG(1, 2))
	parts := []string{"us", "eu", "ap", "u", "cn", "eusc", "gov", "iso", "isob", "isoe", "de", "east", "west", "", "1", "2", "12", "E", "é", "-", "us-iso"}
	good := 0
	for range 200_000 {
		var words []string
		for range 1 + r.IntN(5) {
			words = append(words, parts[r.IntN(len(parts))])
		}
		region := strings.Join(words, "-")
		want := name.MatchString(region) && !other.MatchString(region)
		if got := gateway.ValidRegion(region); got != want {
			t.Fatalf("%q: %t, want %t", region, got, want)
		}
		if want {
			good++
		}
	}
	if good < 100 {
		t.Errorf("only %d good ones", good)
	}
	for _, region := range []string{"us-east-1", "ap-northeast-1", "mx-central-1", "ap-southeast-7"} {
		if !gateway.ValidRegion(region) {
			t.Errorf("%s is refused", region)
		}
	}
}

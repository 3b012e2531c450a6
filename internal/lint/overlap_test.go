package lint_test

import (
	"math/rand/v2"
	"regexp"
	"testing"

	"github.com/kagimori/kagimori/internal/actions"
	"github.com/kagimori/kagimori/internal/authz/condition"
	"github.com/kagimori/kagimori/internal/lint"
)

// TestOverlapNeverContradictsTheEngine makes ARNs of the table's types and patterns from them: where
// the engine matches, the linter must not say that nothing can.
func TestOverlapNeverContradictsTheEngine(t *testing.T) {
	placeholder := regexp.MustCompile(`\$\{[^}]*\}`)
	values := map[string]string{"${Partition}": "aws", "${Region}": "us-west-2", "${Account}": "111122223333"}
	r := rand.New(rand.NewPCG(1, 2))
	matched, apart := 0, 0
	for s := range actions.Load().Services() {
		for _, typ := range s.ResourceTypes() {
			arn := placeholder.ReplaceAllStringFunc(typ.ARN, func(p string) string {
				if v, ok := values[p]; ok {
					return v
				}
				return "x-1/y.z"
			})
			for range 400 {
				pattern := mutate(r, arn)
				p := condition.Resource(pattern, true)
				if p.Match(&condition.Env{}, arn) == condition.True {
					matched++
					if !lint.Overlaps(pattern, typ.ARN) {
						t.Errorf("the engine matches %s with %s, of type %s; the linter says nothing can", pattern, arn, typ.ARN)
					}
				} else if !lint.Overlaps(pattern, typ.ARN) {
					apart++
				}
			}
		}
	}
	if matched < 5000 || apart < 500 {
		t.Errorf("%d patterns matched, %d are apart: the test shows too little", matched, apart)
	}
}

// mutate puts wildcards into an ARN, or cuts or changes it.
func mutate(r *rand.Rand, arn string) string {
	b := []byte(arn)
	for range r.IntN(4) {
		i := r.IntN(len(b))
		switch r.IntN(5) {
		case 0:
			b[i] = '?'
		case 1:
			b[i] = '*'
		case 2: // a star for a stretch
			j := min(len(b), i+1+r.IntN(12))
			b = append(append(b[:i:i], '*'), b[j:]...)
		case 3:
			b = append(b[:i+1:i+1], '*')
		case 4:
			b[i] = byte('a' + r.IntN(26))
		}
	}
	return string(b)
}

func TestOverlap(t *testing.T) {
	const key = "arn:${Partition}:kms:${Region}:${Account}:key/${KeyId}"
	const group = "arn:${Partition}:autoscaling:${Region}:${Account}:autoScalingGroup:${GroupId}:autoScalingGroupName/${GroupFriendlyName}"
	const image = "arn:${Partition}:ec2:${Region}::image/${ImageId}"
	tests := []struct {
		pattern, template string
		want              bool
	}{
		{"*:*", key, false},
		{"arn:aws:kms:*", key, true},
		{"arn:aws:kms:us-west-2:111122223333:*", key, true},
		{"arn:aws:kms:us-west-2:111122223333:k*y/?", key, true},
		{"arn:aws:kms:us-west-2:111122223333:alias/*", key, false},
		{"arn:aws:kms:us-west-2:${aws:PrincipalAccount}:key/*", key, false}, // a variable before the fifth colon has none
		{"arn:aws:kms:us-west-2:111122223333:key/${aws:PrincipalTag/k}", key, true},
		{"arn:aws:kms:uswest2:111122223333:key/*", key, false},
		{"arn:aws:kms::111122223333:key/*", key, false},
		{"arn:aws:kms:us-west-2::key/*", key, false},
		{"arn:aws2:kms:us-west-2:111122223333:key/*", key, false},
		{"arn:aws:autoscaling:us-west-2:*:autoScalingGroupName/web", group, true},
		{"arn:aws:autoscaling:*:autoScalingGroup:*:autoScalingGroupName/web", group, true},
		{"arn:aws:autoscaling:us-west-2:*2:autoScalingGroupName/web", group, false},
		{"arn:aws:kms:*::key/*", key, false},
		{"arn:aws:ec2:us-west-2::image/*", image, true},
		{"arn:aws:ec2:us-west-2:*:image/*", image, true},
		{"arn:aws:ec2:us-west-2:111122223333:image/*", image, false},
	}
	for _, tt := range tests {
		if got := lint.Overlaps(tt.pattern, tt.template); got != tt.want {
			t.Errorf("Overlaps(%s, %s) = %v", tt.pattern, tt.template, got)
		}
	}
}

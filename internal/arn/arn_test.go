package arn_test

import (
	"testing"

	"github.com/kagimori/kagimori/internal/arn"
)

func TestOwner(t *testing.T) {
	for text, want := range map[string]string{
		"arn:aws:iam::111122223333:role/r":            "111122223333",
		"arn:aws:kms:us-east-1:111122223333:key/a:b":  "111122223333",
		"arn:aws:ec2:us-east-1::image/ami-0":          "",
		"arn:aws:iam::aws:policy/AdministratorAccess": "",
		"arn:aws:iam::1111222233334:role/r":           "",
		"arn:aws:iam::１１１１２２２２３３３３:role/r":            "",
		"arn:aws:iam::111122223333":                   "",
		"arn:aws:iam:111122223333:role/r":             "",
		"*":                                           "",
		"":                                            "",
		"role/arn:aws:iam::111122223333:role/r":       "",
		"arn:::111122223333:444455556666:x":           "444455556666",
	} {
		if got := arn.Owner(text); got != want {
			t.Errorf("the owner of %q is %q, want %q", text, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "arn:aws:iam::111122223333:role/a/b", "arn:aws:kms:us-east-1:111122223333:key/x", "arn:aws:s3:::bucket/key:with:colons", "arn:a:b:::c", "arn:aws:iam::aws:policy/x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := arn.Parse(text)
		if err != nil {
			return
		}
		if a.String() != text {
			t.Fatalf("%q becomes %q", text, a.String())
		}
		if owner := arn.Owner(text); owner != "" && owner != a.Account || owner == "" && arn.IsAccount(a.Account) {
			t.Fatalf("the owner of %q is %q", text, owner)
		}
	})
}

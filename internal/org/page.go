package org

import (
	"encoding/base64"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/guard"
)

// defaultResults is how many entries a page has if the request does not say; also the most.
const defaultResults = 20

// page is one page of a list, by the ids of its entries, and the token for the next. A token
// belongs to the caller's account, the operation and what the request selects.
func page[T any](s *Service, c *guard.Call, token *string, limit *int32, all []T, id func(*T) string, selects ...string) ([]T, *string, error) {
	list := []byte(strings.Join(append([]string{c.Account(), c.Operation}, selects...), " "))
	after := ""
	if t := api.Val(token); t != "" {
		raw, err := base64.RawURLEncoding.DecodeString(t)
		if err != nil {
			return nil, nil, errToken
		}
		plain, err := s.tokens.Open(raw, list)
		if err != nil {
			return nil, nil, errToken
		}
		after = string(plain)
	}
	n := defaultResults
	if limit != nil {
		n = int(*limit)
	}
	all = slices.DeleteFunc(slices.Clone(all), func(v T) bool { return after != "" && id(&v) <= after })
	slices.SortFunc(all, func(a, b T) int { return strings.Compare(id(&a), id(&b)) })
	if len(all) <= n {
		return all, nil, nil
	}
	last := id(&all[n-1])
	return all[:n], new(base64.RawURLEncoding.EncodeToString(s.tokens.Seal([]byte(last), list))), nil
}

// shown maps the entries of a list to those of an answer, which is never absent.
func shown[T, Out any](all []T, show func(T) Out) []Out {
	out := make([]Out, 0, len(all))
	for _, v := range all {
		out = append(out, show(v))
	}
	return out
}

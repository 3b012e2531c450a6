package iam

import (
	"encoding/base64"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
)

// defaultItems is how many entries a page has if the request does not say.
const defaultItems = 100

// A page is where a list goes on and how long it may be. Markers are sealed for the account, the
// operation and the list they belong to: another one refuses them.
type page struct {
	list  string // what is listed, by which operation, for whom: the additional data of the seal
	after string // id of the last entry shown, or ""
	limit int
}

// page reads a request's marker and size. list tells the list from all others of the operation: whose
// it is and what the request selects.
func (s *Service) page(c *guard.Call, list string, marker *string, items *int32) (page, error) {
	p := page{list: strings.Join([]string{c.Account(), c.Operation, list}, "\x00"), limit: defaultItems}
	if items != nil {
		p.limit = int(*items)
	}
	if m := api.Val(marker); m != "" {
		raw, err := base64.RawURLEncoding.DecodeString(m)
		if err != nil {
			return p, invalidMarker()
		}
		after, err := s.markers.Open(raw, []byte(p.list))
		if err != nil {
			return p, invalidMarker()
		}
		p.after = string(after)
	}
	return p, nil
}

func invalidMarker() error { return apierr.New("ValidationError", "Invalid Marker.") }

// end makes IsTruncated and Marker: last is the id of the last entry shown, or "" at the end.
func (s *Service) end(p page, last string) (*bool, *string) {
	if last == "" {
		return new(false), nil
	}
	return new(true), new(base64.RawURLEncoding.EncodeToString(s.markers.Seal([]byte(last), []byte(p.list))))
}

// cut is the page of a list that is sorted by id. last is as for end.
func cut[T any](p page, all []T, id func(T) string) (shown []T, last string) {
	for _, v := range all {
		if p.after != "" && id(v) <= p.after {
			continue
		}
		if len(shown) == p.limit {
			return shown, id(shown[p.limit-1])
		}
		shown = append(shown, v)
	}
	return shown, ""
}

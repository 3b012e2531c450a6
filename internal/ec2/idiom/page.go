package idiom

import (
	"cmp"
	"encoding/base64"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/apierr"
)

// Limits of MaxResults.
type Limits struct{ Least, Most int32 }

// AnyPage is for operations whose limits the model checks, or that have none.
var AnyPage = Limits{1, math.MaxInt32}

// defaultPage is how many items an answer has if nobody says, and the most that any has.
const defaultPage = 1000

// Page sorts items by key and cuts the page that MaxResults and NextToken of op ask for. A
// token names the last item shown, so that it stays usable when items come and go.
func Page[T any](op string, items []T, key func(T) string, lim Limits, maxResults *int32, token *string) ([]T, *string, error) {
	size := int32(defaultPage)
	if maxResults != nil && *maxResults != 0 {
		size = *maxResults
		switch {
		case size < lim.Least:
			return nil, nil, InvalidValue("%s", apierr.EC2TooSmall("maxResults", strconv.Itoa(int(size)), int64(lim.Least)))
		case size > lim.Most:
			return nil, nil, InvalidValue("Value ( %d ) for parameter maxResults is invalid. Expecting a value less than or equal to %d.", size, lim.Most)
		}
	}
	size = min(size, defaultPage) // Source: EC2 API Reference, DescribeSnapshots, MaxResults.
	slices.SortStableFunc(items, func(a, b T) int { return cmp.Compare(key(a), key(b)) })
	if t := api.Val(token); t != "" {
		raw, err := base64.RawURLEncoding.DecodeString(t)
		after, ok := strings.CutPrefix(string(raw), op+"\x00")
		if err != nil || !ok {
			return nil, nil, apierr.Newf("InvalidNextToken", "The token '%s' is invalid", t)
		}
		i, found := slices.BinarySearchFunc(items, after, func(item T, k string) int { return cmp.Compare(key(item), k) })
		if found {
			i++
		}
		items = items[i:]
	}
	if int64(len(items)) <= int64(size) {
		return items, nil, nil
	}
	items = items[:size]
	return items, new(base64.RawURLEncoding.EncodeToString([]byte(op + "\x00" + key(items[size-1])))), nil
}

// ErrIDsAndPage refuses a page of a list that is named. Source: EC2 API Reference, DescribeInstances, MaxResults.
func ErrIDsAndPage(ids string) error {
	return apierr.Newf("InvalidParameterCombination", "The parameter %s cannot be used with the parameter maxResults", ids)
}

package live

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/scenario/format"
)

// digits are runs in which account ids are, with what stands before and behind them.
var digits = regexp.MustCompile(`(?:^|[^0-9A-Za-z-])[0-9]{12}(?:$|[^0-9A-Za-z])`)

// Masked is a launch in which other account ids stand in the place of the real ones: the same for the
// same, in the order in which they appear. Ids of keys stay.
func Masked(l Launch) (Launch, error) {
	data, err := l.Scenario.Encode()
	if err != nil {
		return l, err
	}
	m := &masker{}
	text := m.mask(string(data))
	out := Launch{}
	for _, n := range l.Notes {
		out.Notes = append(out.Notes, m.mask(n))
	}
	out.Scenario, err = format.Parse([]byte(text))
	if err != nil {
		return l, fmt.Errorf("live: %s cannot be masked:\n%w", l.Scenario.ID, err)
	}
	return out, nil
}

// A masker knows the ids that it has seen.
type masker struct{ seen []string }

func (m *masker) mask(text string) string {
	for range 2 { // two ids may share what stands between them
		text = digits.ReplaceAllStringFunc(text, func(s string) string {
			at := 0
			for s[at] < '0' || s[at] > '9' {
				at++
			}
			return s[:at] + m.other(s[at:at+12]) + s[at+12:]
		})
	}
	return text
}

// maskedPrefix begins the ids that stand for others.
const maskedPrefix = "10000000"

// other is what stands for an account id: 100000000001 and so on.
func (m *masker) other(id string) string {
	if id == nobody || strings.HasPrefix(id, maskedPrefix) {
		return id
	}
	i := slices.Index(m.seen, id)
	if i < 0 {
		i = len(m.seen)
		m.seen = append(m.seen, id)
	}
	return fmt.Sprintf("%s%04d", maskedPrefix, i+1)
}

package condition

import (
	"strconv"
	"strings"
	"time"
)

// parseDate reads the forms of the W3C profile of ISO 8601 (a year, a month, a day, or a time to
// the minute, second or fraction with Z or an offset), or seconds since 1970. Four digits are a
// year. Unlike time.Parse it does not allocate for text of another form.
//
// Source: IAM User Guide, "IAM JSON policy elements: Condition operators", Date condition
// operators.
func parseDate(s string) (time.Time, bool) {
	if len(s) != 4 && digits(strings.TrimPrefix(s, "-")) {
		n, err := strconv.ParseInt(s, 10, 64)
		return time.Unix(n, 0), err == nil
	}
	c := cursor{rest: s}
	year, month, day := c.number(4), 1, 1
	var hour, minute, second, nano, offset int
	if c.optional('-') {
		month = c.number(2)
		if c.optional('-') {
			day = c.number(2)
			if c.optional('T') {
				hour = c.number(2)
				c.expect(':')
				minute = c.number(2)
				if c.optional(':') {
					second = c.number(2)
					if c.optional('.') {
						nano = c.fraction()
					}
				}
				offset = c.offset()
			}
		}
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, nano, time.UTC)
	ok := !c.bad && c.rest == "" && month >= 1 && month <= 12 && t.Day() == day && int(t.Month()) == month &&
		hour <= 23 && minute <= 59 && second <= 59
	return t.Add(-time.Duration(offset) * time.Minute), ok
}

// A cursor reads a date from the left. bad is set, for good, by the first thing that does not fit.
type cursor struct {
	rest string
	bad  bool
}

func (c *cursor) optional(b byte) bool {
	if c.rest == "" || c.rest[0] != b {
		return false
	}
	c.rest = c.rest[1:]
	return true
}

func (c *cursor) expect(b byte) { c.bad = !c.optional(b) || c.bad }

// number reads exactly n digits.
func (c *cursor) number(n int) int {
	if len(c.rest) < n || !digits(c.rest[:n]) {
		c.bad = true
		return 0
	}
	v := 0
	for _, d := range []byte(c.rest[:n]) {
		v = v*10 + int(d-'0')
	}
	c.rest = c.rest[n:]
	return v
}

// fraction reads the digits of a fraction of a second, in nanoseconds; more than nine are cut.
func (c *cursor) fraction() int {
	v, n := 0, 0
	for ; n < len(c.rest) && '0' <= c.rest[n] && c.rest[n] <= '9'; n++ {
		if n < 9 {
			v = v*10 + int(c.rest[n]-'0')
		}
	}
	for i := n; i < 9; i++ {
		v *= 10
	}
	c.bad = c.bad || n == 0
	c.rest = c.rest[n:]
	return v
}

// offset reads Z or +hh:mm, in minutes.
func (c *cursor) offset() int {
	sign := 1
	switch {
	case c.optional('Z'):
		return 0
	case c.optional('-'):
		sign = -1
	default:
		c.expect('+')
	}
	hours := c.number(2)
	c.expect(':')
	minutes := c.number(2)
	c.bad = c.bad || hours > 23 || minutes > 59
	return sign * (hours*60 + minutes)
}

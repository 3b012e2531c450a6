package condition

import (
	"net/netip"
	"strings"
	"time"
)

// Cases gathers, for one key of unknown value, values that stand for all that it can have: each
// possible value makes every added condition come out like one of them does. The zero Cases has
// no conditions. It is for keys that are compared in one way only; for others it is not exact.
type Cases struct {
	family  kind
	inexact bool
	texts   []string
	numbers []string
	dates   []time.Time
	ranges  []netip.Prefix
}

// Exact reports whether the values stand for all.
func (s *Cases) Exact() bool { return !s.inexact }

// Inexact says that the key is used in a way that values cannot stand for.
func (s *Cases) Inexact() { s.inexact = true }

// Text adds a text that the key is compared with as a whole.
func (s *Cases) Text(text string) {
	s.of(kindString)
	s.texts = append(s.texts, text)
}

func (s *Cases) of(family kind) {
	s.inexact = s.inexact || s.family != 0 && s.family != family
	s.family = family
}

// Add adds a condition on the key.
func (s *Cases) Add(c *Condition) {
	switch {
	case c.kind == kindNull || c.kind == 0:
		return
	case c.set != "" || c.kind == kindBinary:
		s.inexact = true
		return
	}
	family := c.kind
	if family == kindLike || family == kindARN {
		family = kindString
	}
	s.of(family)
	for i := range c.values {
		v := &c.values[i]
		switch {
		case family == kindString || family == kindFold:
			s.inexact = s.inexact || !v.pattern.isExact || v.pattern.arnValue
			s.texts = append(s.texts, v.pattern.exact)
		case v.bad:
		case family == kindNumeric:
			s.numbers = append(s.numbers, v.text)
		case family == kindDate:
			s.dates = append(s.dates, v.date)
		case family == kindIP:
			s.ranges = append(s.ranges, v.prefix)
		}
	}
}

// Values are the values. The first is an absent key. If the key may have several values there is
// a list, which no condition without set operator compares.
func (s *Cases) Values(k *Key) []Value {
	const other = "\x00" // is no text of a policy, number, date, address or boolean
	all := []Value{{Multi: true}, {One: other}}
	if k.mayBeList() {
		all = append(all, Value{Multi: true, List: []string{other, other}})
	}
	for _, t := range s.texts {
		all = append(all, Value{One: t})
	}
	if s.family == kindBool {
		all = append(all, Value{One: "true"}, Value{One: "false"})
	}
	for _, t := range s.around() {
		all = append(all, Value{One: t})
	}
	return all
}

// mayBeList reports whether the key is known to have several values, or not known at all.
//
// Source: IAM User Guide, "AWS global condition context keys"; KMS Developer Guide, "AWS KMS
// condition keys".
func (k *Key) mayBeList() bool {
	switch k.lower {
	case "aws:calledvia", "aws:principalorgpaths", "aws:principalservicenameslist", "aws:resourceorgpaths",
		"aws:sourceorgpaths", "aws:tagkeys", "aws:vpceorgpaths",
		"kms:encryptioncontextkeys", "kms:grantoperations", "kms:resourcealiases":
		return true
	}
	return !strings.HasPrefix(k.lower, "aws:") && !strings.HasPrefix(k.lower, "kms:")
}

// around gives, of each ordered kind, a value in every stretch between two bounds, and each bound.
func (s *Cases) around() []string {
	var out []string
	for _, d := range s.dates {
		for _, at := range [...]time.Time{d.Add(-time.Nanosecond), d, d.Add(time.Nanosecond)} {
			out = append(out, at.UTC().Format(time.RFC3339Nano))
		}
	}
	for _, r := range s.ranges {
		out = append(out, r.Addr().String())
		if before := r.Addr().Prev(); before.IsValid() {
			out = append(out, before.String())
		}
		if after := last(r).Next(); after.IsValid() {
			out = append(out, after.String())
		}
	}
	for _, n := range s.numbers {
		if p, ok := parseNumber(n); ok {
			out = append(out, p.near()...)
		}
	}
	return out
}

// near gives the number, one a little nearer to zero and one a little farther, with no bound of a
// policy between: they differ by less than any written digit.
func (n number) near() []string {
	sign, other := "", "-"
	if n.negative {
		sign, other = "-", ""
	}
	self := sign + "0" + n.whole + "." + n.fraction + "0"
	const tiny = "00000000000000000000000000000001"
	out := []string{self, self + tiny}
	if n.whole == "" && n.fraction == "" {
		return append(out, other+"0."+tiny)
	}
	digits := []byte(n.whole + n.fraction)
	for i := len(digits) - 1; i >= 0; i-- { // subtract one unit of the last digit
		if digits[i]--; digits[i] >= '0' {
			break
		}
		digits[i] = '9'
	}
	return append(out, sign+"0"+string(digits[:len(n.whole)])+"."+string(digits[len(n.whole):])+"99999999999999999999999999999999")
}

// last is the highest address of a range.
func last(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// Uses reports whether a value of the condition has the key as a policy variable.
func (c *Condition) Uses(k *Key) bool {
	for i := range c.values {
		if c.values[i].pattern.Uses(k) {
			return true
		}
	}
	return false
}

// Uses reports whether the pattern has the key as a policy variable.
func (p *Pattern) Uses(k *Key) bool {
	for i := range p.tokens {
		if p.tokens[i].kind == tokenVariable && p.tokens[i].key.Same(k) {
			return true
		}
	}
	return false
}

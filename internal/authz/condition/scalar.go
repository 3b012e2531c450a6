package condition

import (
	"bytes"
	"encoding/base64"
	"net/netip"
	"strconv"
	"strings"
)

// A number is a decimal in parts: integer digits without leading zeros, fraction without
// trailing ones. Comparing them is exact at any length.
type number struct {
	negative        bool
	whole, fraction string
}

func parseNumber(s string) (number, bool) {
	if strings.ContainsAny(s, "eE") {
		if strings.Trim(s, "0123456789.+-eE") != "" {
			return number{}, false // without the error's allocation
		}
		f, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return number{}, false
		}
		s = strconv.FormatFloat(f, 'f', -1, 64)
	}
	var n number
	s, n.negative = cutSign(s)
	whole, fraction, point := strings.Cut(s, ".")
	if !digits(whole) || !digits(fraction) || whole == "" && fraction == "" || point && fraction == "" {
		return number{}, false
	}
	n.whole, n.fraction = strings.TrimLeft(whole, "0"), strings.TrimRight(fraction, "0")
	if n.whole == "" && n.fraction == "" {
		n.negative = false
	}
	return n, true
}

func cutSign(s string) (rest string, negative bool) {
	if rest, ok := strings.CutPrefix(s, "-"); ok {
		return rest, true
	}
	return strings.TrimPrefix(s, "+"), false
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// compare is negative, zero or positive as n is less than, equal to or greater than m.
func (n number) compare(m number) int {
	if n.negative != m.negative {
		if n.negative {
			return -1
		}
		return 1
	}
	c := len(n.whole) - len(m.whole)
	if c == 0 {
		c = strings.Compare(n.whole, m.whole)
	}
	if c == 0 {
		c = strings.Compare(n.fraction, m.fraction)
	}
	if n.negative {
		return -c
	}
	return c
}

// parseIP reads an address or a range. Host bits are masked, IPv4 addresses in IPv6 form are
// taken as IPv4.
func parseIP(s string) (netip.Prefix, bool) {
	if !strings.Contains(s, "/") {
		a, ok := parseAddr(s)
		if !ok {
			return netip.Prefix{}, false
		}
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, false
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), true
}

func parseAddr(s string) (netip.Addr, bool) {
	if strings.Trim(s, "0123456789abcdefABCDEF.:") != "" { // a zone, or what a service sends instead
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(s)
	return a.Unmap(), err == nil
}

// sameBytes compares base64 text by what it encodes. It allocates unless the texts are equal.
func sameBytes(want []byte, canonical, got string) bool {
	if got == canonical {
		return true
	}
	b, err := base64.StdEncoding.DecodeString(got)
	return err == nil && bytes.Equal(want, b)
}

// isBool reports whether s is true or false in any letter case.
func isBool(s string) bool { return strings.EqualFold(s, "true") || strings.EqualFold(s, "false") }

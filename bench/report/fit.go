package main

import (
	"math"
	"strconv"
)

func parseNumber(s string) (float64, error) { return strconv.ParseFloat(s, 64) }

// exponent is that of the power law that fits best: the slope of a line through the logarithms, by least
// squares. 0 is a cost that stays the same, 1 one that is in proportion. Points that are not positive have
// no logarithm and are left out; false if fewer than two are left.
func exponent(x, y []float64) (float64, bool) {
	var n, sx, sy, sxx, sxy float64
	for i := range x {
		if x[i] <= 0 || y[i] <= 0 {
			continue
		}
		a, b := math.Log(x[i]), math.Log(y[i])
		n, sx, sy, sxx, sxy = n+1, sx+a, sy+b, sxx+a*a, sxy+a*b
	}
	if d := n*sxx - sx*sx; n >= 2 && d > 0 {
		return (n*sxy - sx*sy) / d, true
	}
	return 0, false
}

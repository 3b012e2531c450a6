package hardware

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

//go:embed baselines.tsv
var baselineTable string

// baselines are those of the table by the names of types, read once. It is part of the program: a fault in it is a
// fault of the build.
var baselines = sync.OnceValue(func() map[string]float64 {
	out, err := parseBaselines(baselineTable)
	if err != nil {
		panic(err)
	}
	return out
})

// parseBaselines reads lines of families and sizes, by commas, with a tab between them.
func parseBaselines(text string) (map[string]float64, error) {
	out := map[string]float64{}
	for line := range strings.Lines(text) {
		families, sizes, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if strings.HasPrefix(line, "#") {
			continue
		}
		for family := range strings.SplitSeq(families, ",") {
			for each := range strings.SplitSeq(sizes, ",") {
				size, number, _ := strings.Cut(each, "=")
				v, err := strconv.ParseFloat(number, 64)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", line, err)
				}
				out[family+"."+size] = v
			}
		}
	}
	return out, nil
}

// BaselineGigabits is the network bandwidth in Gbit/s that an instance has at all times; 0 where AWS does not document
// it.
func (t *Type) BaselineGigabits() float64 {
	if strings.HasPrefix(t.Network, "Up to ") {
		return baselines()[t.Name]
	}
	return t.Gigabits()
}

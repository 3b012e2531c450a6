package app

import "io"

// Unchanged is unchanged.
func Unchanged(smaps io.Reader, file string) (all [][2]uintptr) {
	for _, r := range unchanged(smaps, file) {
		all = append(all, [2]uintptr{r.from, r.until})
	}
	return all
}

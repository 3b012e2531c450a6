package lint

// Overlaps is overlaps, for tests.
func Overlaps(pattern, template string) bool { return overlaps(pattern, template) }

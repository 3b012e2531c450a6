package gateway

// ValidRegion is validRegion.
func ValidRegion(name string) bool { return validRegion(name) }

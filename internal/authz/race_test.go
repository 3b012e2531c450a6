//go:build race

package authz_test

// raceDetector makes everything ten times slower.
const raceDetector = true

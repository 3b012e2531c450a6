// Package report tells what package doctor found: to people in English or Japanese, and to programs
// as JSON lines, SARIF, JUnit, annotations of GitHub and Markdown.
//
// All of them carry the same findings. A [Baseline] accepts known ones, each for a reason and until
// a day.
package report

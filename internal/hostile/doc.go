// Package hostile holds what an adversary would try against a whole server, as tests, and a list of
// every reader of foreign bytes with the fuzz target that it must have: `make hostile`, and a shorter
// form with all other tests. What one package alone can show is tested there.
package hostile

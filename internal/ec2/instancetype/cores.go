package instancetype

import "slices"

// ValidCores are the numbers of cores that an instance of the type can be launched with, ascending; nil
// where they are not known, and of types without CPU options. Of types on Graviton and of those with one
// core they are told of families that are younger than the page, too: there it has no exception.
// Source: EC2 User Guide of 2023, "CPU cores and threads per CPU core per instance type"; for one core the
// example of the AWS CLI, "describe-instance-types".
func (t Type) ValidCores() []int32 {
	n := t.Cores()
	if t.Metal() {
		return nil
	}
	if n == 1 || slices.Contains(t.Archs(), "arm64") {
		return steps(1, n, 1)
	}
	switch t.Family.Name {
	case "c4", "d2", "f1", "h1", "i3", "i4i", "m4", "p3", "r4", "x1", "x1e":
		return everyCore(t.Family.Name, n)
	case "c6i", "c6id", "d3", "d3en", "m5zn", "m6i", "m6id", "r6i", "r6id", "x2idn", "x2iedn", "x2iezn":
		if n == 2 {
			return []int32{1, 2}
		}
		return steps(2, n, 2)
	case "c5", "c5d", "c5n", "i3en", "inf1", "m5", "m5d", "m5dn", "m5n", "p3dn", "p4d", "r5", "r5b", "r5d", "r5dn", "r5n", "t3", "t3a", "z1d":
		return steps(leastCores(t.Name, n), n, 2)
	case "m5a", "m5ad", "r5a", "r5ad":
		return firstEPYC(t.Name, n)
	case "c5a", "c5ad":
		return append(steps(1, min(n, 3), 1), steps(4, n, 4)...)
	case "c6a", "m6a", "r6a":
		return thirdEPYC(n)
	case "g4ad":
		var out []int32
		for c := int32(2); c <= n; c *= 2 {
			out = append(out, c)
		}
		return out
	case "g4dn":
		return g4dn(n)
	}
	return nil
}

// steps are the numbers from one to another that are so far apart.
func steps(from, to, by int32) (out []int32) {
	for n := from; n <= to; n += by {
		out = append(out, n)
	}
	return out
}

// everyCore: any number up to sixteen cores, of larger types even ones, and of the largest with two sockets
// multiples of four.
func everyCore(family string, n int32) []int32 {
	switch {
	case n <= 16:
		return steps(1, n, 1)
	case n == 64 && family != "i4i":
		return steps(4, n, 4)
	}
	return steps(2, n, 2)
}

// leastCores is where the even numbers begin.
func leastCores(name string, n int32) int32 {
	switch {
	case slices.Contains([]string{"c5.9xlarge", "c5.12xlarge", "c5d.12xlarge", "z1d.12xlarge"}, name):
		return 4
	case name == "p4d.24xlarge" || name == "inf1.24xlarge" || n < 32:
		return 2
	}
	return 4
}

func firstEPYC(name string, n int32) []int32 {
	switch {
	case n == 24:
		return steps(6, n, 6)
	case n == 48:
		return []int32{12, 18, 24, 36, 48}
	case name == "m5a.16xlarge":
		return steps(8, n, 2)
	case n == 32 || name == "m5a.8xlarge" || name == "r5a.8xlarge":
		return steps(4, n, 2)
	}
	return steps(2, n, 2)
}

// thirdEPYC: cores of one part of the processor, and whole parts.
func thirdEPYC(n int32) []int32 {
	switch {
	case n <= 8:
		return steps(1, n, 1)
	case n < 32:
		return append(steps(1, 8, 1), steps(16, n, 8)...)
	case n < 64:
		return append(steps(2, 16, 2), steps(32, n, 16)...)
	}
	return append(steps(4, 32, 4), steps(64, n, 32)...)
}

func g4dn(n int32) []int32 {
	switch {
	case n <= 16:
		return steps(1, n, 1)
	case n == 24:
		return steps(4, n, 2)
	}
	return steps(2, n, 2)
}

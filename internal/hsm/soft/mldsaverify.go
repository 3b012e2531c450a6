package soft

import (
	"crypto/sha3"
	"crypto/subtle"

	"filippo.io/mldsa"
)

// The verification of ML-DSA from a message representative, FIPS 204, algorithm 8 without its
// step 7: the module that signs cannot verify one. Everything here is public, so nothing is
// constant in time; it does what the standard says and no more.

const (
	latticeN = 256
	latticeQ = 8380417
	latticeD = 13
	rootOf1  = 1753 // of order 512 modulo q
)

type (
	poly  [latticeN]uint32 // coefficients below q
	muSet struct {
		k, l, tau, omega int
		lambda           int // of the commitment hash, in bits times two: c~ has lambda/4 bytes
		gamma1Bits       int // gamma1 = 2^gamma1Bits
		gamma2, beta     uint32
	}
)

// muSets are the parameter sets. Source: FIPS 204, table 1.
var muSets = map[mldsa.Parameters]muSet{
	mldsa.MLDSA44(): {k: 4, l: 4, tau: 39, omega: 80, lambda: 128, gamma1Bits: 17, gamma2: (latticeQ - 1) / 88, beta: 78},
	mldsa.MLDSA65(): {k: 6, l: 5, tau: 49, omega: 55, lambda: 192, gamma1Bits: 19, gamma2: (latticeQ - 1) / 32, beta: 196},
	mldsa.MLDSA87(): {k: 8, l: 7, tau: 60, omega: 75, lambda: 256, gamma1Bits: 19, gamma2: (latticeQ - 1) / 32, beta: 120},
}

// verifyMu reports whether a signature is one of the message that mu represents.
func verifyMu(key *mldsa.PublicKey, mu, signature []byte) bool {
	set, known := muSets[key.Parameters()]
	if !known || len(mu) != muSize || len(signature) != key.Parameters().SignatureSize() {
		return false
	}
	commitment, rest := signature[:set.lambda/4], signature[set.lambda/4:]
	z, rest, ok := set.responses(rest)
	if !ok {
		return false
	}
	hints, ok := set.hints(rest)
	if !ok {
		return false
	}
	zetas := zetaTable()
	for i := range z {
		zetas.ntt(&z[i])
	}
	c := set.challenge(commitment)
	zetas.ntt(&c)

	encoded := key.Bytes()
	rho, t1 := encoded[:32], encoded[32:]
	h := sha3.NewSHAKE256()
	h.Write(mu)
	for i := range set.k {
		// w = A z - c t1 2^d, in the order of the rows.
		var w poly
		for j := range set.l {
			a := expand(rho, i, j)
			for n := range w {
				w[n] = add(w[n], mul(a[n], z[j][n]))
			}
		}
		t := unpack(t1[i*320:], 10)
		for n := range t {
			t[n] = t[n] << latticeD % latticeQ
		}
		zetas.ntt(&t)
		for n := range w {
			w[n] = sub(w[n], mul(c[n], t[n]))
		}
		zetas.inverse(&w)
		h.Write(set.high(&w, &hints[i]))
	}
	want := make([]byte, len(commitment))
	h.Read(want)
	return subtle.ConstantTimeCompare(want, commitment) == 1
}

func add(a, b uint32) uint32 { return (a + b) % latticeQ }
func sub(a, b uint32) uint32 { return (a + latticeQ - b) % latticeQ }
func mul(a, b uint32) uint32 { return uint32(uint64(a) * uint64(b) % latticeQ) }

// unpack reads 256 numbers of some bits each, least significant bit first.
func unpack(b []byte, bits int) (p poly) {
	at := 0
	for n := range p {
		for i := range bits {
			p[n] |= uint32(b[at>>3]>>(at&7)&1) << i
			at++
		}
	}
	return p
}

// responses reads z, whose coefficients are shorter than gamma1 - beta. FIPS 204, algorithm 27.
func (s muSet) responses(b []byte) (z []poly, rest []byte, ok bool) {
	bits := s.gamma1Bits + 1
	gamma1 := uint32(1) << s.gamma1Bits
	for range s.l {
		p := unpack(b, bits)
		b = b[latticeN/8*bits:]
		for n, v := range p {
			if v <= s.beta || v >= 2*gamma1-s.beta { // |gamma1 - v| >= gamma1 - beta
				return nil, nil, false
			}
			p[n] = sub(gamma1, v%latticeQ)
		}
		z = append(z, p)
	}
	return z, b, true
}

// hints reads which coefficients are rounded the other way; each has one encoding. FIPS 204,
// algorithm 21.
func (s muSet) hints(b []byte) (h [][latticeN]bool, ok bool) {
	h = make([][latticeN]bool, s.k)
	at := 0
	for i := range s.k {
		end := int(b[s.omega+i])
		if end < at || end > s.omega {
			return nil, false
		}
		for first := at; at < end; at++ {
			if at > first && b[at-1] >= b[at] {
				return nil, false
			}
			h[i][b[at]] = true
		}
	}
	for _, v := range b[at:s.omega] {
		if v != 0 {
			return nil, false
		}
	}
	return h, true
}

// challenge is the polynomial with tau coefficients 1 or -1. FIPS 204, algorithm 29.
func (s muSet) challenge(seed []byte) (c poly) {
	h := sha3.NewSHAKE256()
	h.Write(seed)
	var signs [8]byte
	h.Read(signs[:])
	for n, i := 0, latticeN-s.tau; i < latticeN; n, i = n+1, i+1 {
		var j [1]byte
		for h.Read(j[:]); int(j[0]) > i; h.Read(j[:]) {
		}
		c[i] = c[j[0]]
		c[j[0]] = 1
		if signs[n>>3]>>(n&7)&1 == 1 {
			c[j[0]] = latticeQ - 1
		}
	}
	return c
}

// expand is one polynomial of the matrix A, transformed. FIPS 204, algorithms 30 and 32.
func expand(rho []byte, row, column int) (p poly) {
	h := sha3.NewSHAKE128()
	h.Write(rho)
	h.Write([]byte{byte(column), byte(row)})
	var b [3]byte
	for n := 0; n < latticeN; {
		h.Read(b[:])
		if v := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2]&0x7f)<<16; v < latticeQ {
			p[n] = v
			n++
		}
	}
	return p
}

// high encodes the high bits of w as the hints correct them. FIPS 204, algorithms 28, 36 and 40.
func (s muSet) high(w *poly, hints *[latticeN]bool) []byte {
	count := (latticeQ - 1) / (2 * s.gamma2) // 44 or 16
	bits := 6
	if count == 16 {
		bits = 4
	}
	out := make([]byte, latticeN/8*bits)
	at := 0
	for n, v := range w {
		low := int64(v % (2 * s.gamma2))
		if low > int64(s.gamma2) {
			low -= int64(2 * s.gamma2)
		}
		top := uint32(0)
		if int64(v)-low == latticeQ-1 {
			low--
		} else {
			top = uint32((int64(v) - low) / int64(2*s.gamma2))
		}
		if hints[n] {
			if low > 0 {
				top = (top + 1) % count
			} else {
				top = (top + count - 1) % count
			}
		}
		for i := range bits {
			out[at>>3] |= byte(top>>i&1) << (at & 7)
			at++
		}
	}
	return out
}

// zetas are the powers of the root of unity in the order of the transform.
type zetas [latticeN]uint32

func zetaTable() *zetas {
	var powers, z zetas
	powers[0] = 1
	for i := 1; i < latticeN; i++ {
		powers[i] = mul(powers[i-1], rootOf1)
	}
	for i := range z {
		r := 0
		for b := range 8 {
			r |= i >> b & 1 << (7 - b)
		}
		z[i] = powers[r]
	}
	return &z
}

// ntt is the number theoretic transform, in place. FIPS 204, algorithm 41.
func (z *zetas) ntt(p *poly) {
	m := 0
	for size := latticeN / 2; size >= 1; size /= 2 {
		for start := 0; start < latticeN; start += 2 * size {
			m++
			for j := start; j < start+size; j++ {
				t := mul(z[m], p[j+size])
				p[j], p[j+size] = add(p[j], t), sub(p[j], t)
			}
		}
	}
}

// inverse undoes ntt. FIPS 204, algorithm 42.
func (z *zetas) inverse(p *poly) {
	const inverseN = 8347681 // of 256 modulo q
	m := latticeN
	for size := 1; size < latticeN; size *= 2 {
		for start := 0; start < latticeN; start += 2 * size {
			m--
			for j := start; j < start+size; j++ {
				t := p[j]
				p[j] = add(t, p[j+size])
				p[j+size] = mul(latticeQ-z[m], sub(t, p[j+size]))
			}
		}
	}
	for j := range p {
		p[j] = mul(p[j], inverseN)
	}
}

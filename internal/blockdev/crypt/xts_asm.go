//go:build ignore

// This program generates the assembly of package crypt: AES-256-XTS for one sector of 4096 bytes. In the
// root of the repository, make generate runs
//
//	go run -modfile=tools/go.mod internal/blockdev/crypt/xts_asm.go -out internal/blockdev/crypt/xts_amd64.s \
//		-stubs internal/blockdev/crypt/xts_amd64.go -pkg crypt
//
// All of it takes the same time whatever the keys and the data are: there are no branches or
// addresses that depend on them.
//
// Sources: Intel, "AES New Instructions Set" white paper (key expansion); IEEE Std 1619 (the tweak's
// multiplication by x: a shift, and what falls off the top comes back as x^7+x^2+x+1).
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

const (
	rounds = 14
	sector = 4096
)

func main() {
	ConstraintExpr("!purego")
	carry := GLOBL("xtsCarry", RODATA|NOPTR)
	DATA(0, U64(0x87))
	DATA(8, U64(1))
	poly := GLOBL("xtsPoly", RODATA|NOPTR)
	DATA(0, U64(0x87))
	DATA(8, U64(0))
	expand()
	aesni("encryptAESNI", AESENC, AESENCLAST, carry)
	aesni("decryptAESNI", AESDEC, AESDECLAST, carry)
	vaes("encryptVAES", VAESENC, VAESENCLAST, carry, poly)
	vaes("decryptVAES", VAESDEC, VAESDECLAST, carry, poly)
	Generate()
}

// expand makes the key schedules for encryption and decryption from a key.
func expand() {
	TEXT("expandAESNI", NOSPLIT, "func(key *[32]byte, enc, dec *[240]byte)")
	Pragma("noescape")
	Doc("expandAESNI makes the round keys of AES-256 for encryption and for decryption.")
	key, enc, dec := Load(Param("key"), GP64()), Load(Param("enc"), GP64()), Load(Param("dec"), GP64())
	even, odd, help, t := XMM(), XMM(), XMM(), XMM()
	MOVOU(Mem{Base: key}, even)
	MOVOU(Mem{Base: key, Disp: 16}, odd)
	MOVOU(even, Mem{Base: enc})
	MOVOU(odd, Mem{Base: enc, Disp: 16})
	step := func(k VecVirtual) {
		MOVO(k, t)
		for range 3 {
			PSLLDQ(U8(4), t)
			PXOR(t, k)
		}
		PXOR(help, k)
	}
	for r := 2; r <= rounds; r += 2 {
		AESKEYGENASSIST(U8(1<<(r/2-1)), odd, help)
		PSHUFD(U8(0xff), help, help)
		step(even)
		MOVOU(even, Mem{Base: enc, Disp: 16 * r})
		if r == rounds {
			break
		}
		AESKEYGENASSIST(U8(0), even, help)
		PSHUFD(U8(0xaa), help, help)
		step(odd)
		MOVOU(odd, Mem{Base: enc, Disp: 16 * (r + 1)})
	}
	for r := range rounds + 1 {
		MOVOU(Mem{Base: enc, Disp: 16 * (rounds - r)}, t)
		if r > 0 && r < rounds {
			AESIMC(t, t)
		}
		MOVOU(t, Mem{Base: dec, Disp: 16 * r})
	}
	PXOR(t, t)
	PXOR(even, even)
	PXOR(odd, odd)
	PXOR(help, help)
	RET()
}

// A body is what both ways of encrypting have.
type body struct {
	keys, dst, src, left Register
	tweak                VecVirtual
	carry                VecVirtual
}

// begin encrypts the sector's number: the tweak of its first block.
func begin(name, what string, carry Mem) body {
	TEXT(name, NOSPLIT, "func(data, tweak *[240]byte, dst, src *byte, sector uint64)")
	Pragma("noescape")
	Doc(name + " " + what)
	var b body
	b.keys = Load(Param("data"), GP64())
	tweak := Load(Param("tweak"), GP64())
	b.dst, b.src = Load(Param("dst"), GP64()), Load(Param("src"), GP64())
	number := Load(Param("sector"), GP64())
	b.tweak, b.carry = XMM(), XMM()
	k := XMM()
	MOVQ(number, b.tweak)
	MOVOU(carry, b.carry)
	for r := range rounds + 1 {
		MOVOU(Mem{Base: tweak, Disp: 16 * r}, k)
		switch r {
		case 0:
			PXOR(k, b.tweak)
		case rounds:
			AESENCLAST(k, b.tweak)
		default:
			AESENC(k, b.tweak)
		}
	}
	b.left = GP64()
	return b
}

// double multiplies the tweak by x.
func (b body) double(t VecVirtual) {
	PSHUFD(U8(0x13), b.tweak, t) // the top bits of both halves, as signs
	PSRAL(U8(31), t)
	PAND(b.carry, t)
	PADDQ(b.tweak, b.tweak)
	PXOR(t, b.tweak)
}

// aesni works on 8 blocks at a time.
func aesni(name string, round, last func(mx, x Op), carry Mem) {
	const wide = 8
	b := begin(name, "works on a sector with AES-NI.", carry)
	tweaks := AllocLocal(16 * wide)
	var x [wide]VecVirtual
	for i := range x {
		x[i] = XMM()
	}
	k, tops := XMM(), XMM()
	MOVQ(U64(sector/16/wide), b.left)
	Label(name + "Loop")
	// The bits that fall off the tops of both halves in the next doublings are there already: taking
	// them from here, one after the other, keeps the chain of doublings short.
	PSHUFD(U8(0x5f), b.tweak, tops)
	for i := range x {
		MOVOU(Mem{Base: b.src, Disp: 16 * i}, x[i])
		PXOR(b.tweak, x[i])
		MOVOU(b.tweak, tweaks.Offset(16*i))
		MOVO(tops, k)
		PADDL(tops, tops)
		PSRAL(U8(31), k)
		PAND(b.carry, k)
		PADDQ(b.tweak, b.tweak)
		PXOR(k, b.tweak)
	}
	for r := range rounds + 1 {
		MOVOU(Mem{Base: b.keys, Disp: 16 * r}, k)
		for i := range x {
			switch r {
			case 0:
				PXOR(k, x[i])
			case rounds:
				last(k, x[i])
			default:
				round(k, x[i])
			}
		}
	}
	for i := range x {
		MOVOU(tweaks.Offset(16*i), k)
		PXOR(k, x[i])
		MOVOU(x[i], Mem{Base: b.dst, Disp: 16 * i})
	}
	ADDQ(U8(16*wide), b.src)
	ADDQ(U8(16*wide), b.dst)
	DECQ(b.left)
	JNZ(LabelRef(name + "Loop"))
	PXOR(k, k)
	RET()
}

// vaes works on 32 blocks at a time, 4 in each register.
func vaes(name string, round, last func(mx, x, x1 Op), carry, polynomial Mem) {
	const wide = 8
	b := begin(name, "works on a sector with VAES and VPCLMULQDQ on AVX-512 registers.", carry)
	t, t2, poly, k := ZMM(), ZMM(), ZMM(), ZMM()
	var x, tweaks [wide]VecVirtual
	for i := range x {
		x[i], tweaks[i] = ZMM(), ZMM()
	}
	VBROADCASTI32X4(polynomial, poly)
	// times multiplies four tweaks by x^n, n <= 32.
	times := func(from, to VecVirtual, n int) {
		VPSRLQ(U8(64-n), from, t)
		VPCLMULQDQ(U8(0x01), poly, t, t2) // what falls off the top comes back at the bottom
		VPSLLDQ(U8(8), t, t)              // what leaves the lower half enters the upper one
		VPSLLQ(U8(n), from, to)
		VPTERNLOGQ(U8(0x96), t, t2, to)
	}
	h := XMM()
	for i := range 4 {
		if i == 0 {
			VMOVDQA64(b.tweak.AsZ(), tweaks[0])
		} else {
			b.double(h)
			VINSERTI32X4(U8(i), b.tweak, tweaks[0], tweaks[0])
		}
	}
	for i := 1; i < wide; i++ {
		times(tweaks[i-1], tweaks[i], 4)
	}
	MOVQ(U64(sector/64/wide), b.left)
	Label(name + "Loop")
	for i := range x {
		VPXORQ(Mem{Base: b.src, Disp: 64 * i}, tweaks[i], x[i])
	}
	for r := range rounds + 1 {
		VBROADCASTI32X4(Mem{Base: b.keys, Disp: 16 * r}, k)
		for i := range x {
			switch r {
			case 0:
				VPXORQ(k, x[i], x[i])
			case rounds:
				last(k, x[i], x[i])
			default:
				round(k, x[i], x[i])
			}
		}
	}
	for i := range x {
		VPXORQ(tweaks[i], x[i], x[i])
		VMOVDQU64(x[i], Mem{Base: b.dst, Disp: 64 * i})
		times(tweaks[i], tweaks[i], 4*wide)
	}
	ADDQ(U32(64*wide), b.src)
	ADDQ(U32(64*wide), b.dst)
	DECQ(b.left)
	JNZ(LabelRef(name + "Loop"))
	VPXORQ(k, k, k)
	VZEROUPPER()
	RET()
}

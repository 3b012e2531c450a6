//go:build !purego

#include "textflag.h"

// Of a lane's twelve bytes a b c, each three twice, in the order that puts a group's 24 bits into a word of 32:
// b a c b.
DATA spread<>+0(SB)/8, $0x0405030401020001
DATA spread<>+8(SB)/8, $0x0a0b090a07080607
DATA spread<>+16(SB)/8, $0x0405030401020001
DATA spread<>+24(SB)/8, $0x0a0b090a07080607
GLOBL spread<>(SB), RODATA|NOPTR, $32

// What is added to a value of six bits: by its range, which the code numbers 0 (A-Z), 1 (a-z), 2 to 11 (0-9),
// 12 (+) and 13 (/).
DATA shift<>+0(SB)/8, $0xfcfcfcfcfcfc4741
DATA shift<>+8(SB)/8, $0x0000f0edfcfcfcfc
DATA shift<>+16(SB)/8, $0xfcfcfcfcfcfc4741
DATA shift<>+24(SB)/8, $0x0000f0edfcfcfcfc
GLOBL shift<>(SB), RODATA|NOPTR, $32

// A character is in the alphabet if what its low and its high four bits say have no bit in common.
DATA low<>+0(SB)/8, $0x1111111111111115
DATA low<>+8(SB)/8, $0x1a1b1b1b1a131111
DATA low<>+16(SB)/8, $0x1111111111111115
DATA low<>+24(SB)/8, $0x1a1b1b1b1a131111
GLOBL low<>(SB), RODATA|NOPTR, $32

DATA high<>+0(SB)/8, $0x0804080402011010
DATA high<>+8(SB)/8, $0x1010101010101010
DATA high<>+16(SB)/8, $0x0804080402011010
DATA high<>+24(SB)/8, $0x1010101010101010
GLOBL high<>(SB), RODATA|NOPTR, $32

// What is added to a character, by its high four bits; one less for the slash.
DATA back<>+0(SB)/8, $0xb9b9bfbf04131000
DATA back<>+8(SB)/8, $0x0000000000000000
DATA back<>+16(SB)/8, $0xb9b9bfbf04131000
DATA back<>+24(SB)/8, $0x0000000000000000
GLOBL back<>(SB), RODATA|NOPTR, $32

// Three bytes of each four, the highest first, at the front of a lane; then the lanes beside each other.
DATA pack<>+0(SB)/8, $0x090a040506000102
DATA pack<>+8(SB)/8, $0xffffffff0c0d0e08
DATA pack<>+16(SB)/8, $0x090a040506000102
DATA pack<>+24(SB)/8, $0xffffffff0c0d0e08
GLOBL pack<>(SB), RODATA|NOPTR, $32

DATA beside<>+0(SB)/8, $0x0000000100000000
DATA beside<>+8(SB)/8, $0x0000000400000002
DATA beside<>+16(SB)/8, $0x0000000600000005
DATA beside<>+24(SB)/8, $0x0000000700000003
GLOBL beside<>(SB), RODATA|NOPTR, $32

DATA masks<>+0(SB)/4, $0x0fc0fc00
DATA masks<>+4(SB)/4, $0x04000040
DATA masks<>+8(SB)/4, $0x003f03f0
DATA masks<>+12(SB)/4, $0x01000010
DATA masks<>+16(SB)/4, $0x33333333 // 51
DATA masks<>+20(SB)/4, $0x19191919 // 25
DATA masks<>+24(SB)/4, $0x0f0f0f0f
DATA masks<>+28(SB)/4, $0x2f2f2f2f // the slash
DATA masks<>+32(SB)/4, $0x01400140
DATA masks<>+36(SB)/4, $0x00011000
GLOBL masks<>(SB), RODATA|NOPTR, $40

// func encodeAVX2(dst, src []byte) int
TEXT ·encodeAVX2(SB), NOSPLIT, $0-56
	MOVQ dst_base+0(FP), DI
	MOVQ dst_len+8(FP), R8
	MOVQ src_base+24(FP), SI
	MOVQ src_len+32(FP), CX
	XORQ AX, AX
	VMOVDQU      spread<>(SB), Y15
	VMOVDQU      shift<>(SB), Y14
	VPBROADCASTD masks<>+0(SB), Y13
	VPBROADCASTD masks<>+4(SB), Y12
	VPBROADCASTD masks<>+8(SB), Y11
	VPBROADCASTD masks<>+12(SB), Y10
	VPBROADCASTD masks<>+16(SB), Y9
	VPBROADCASTD masks<>+20(SB), Y8

encodeNext:
	CMPQ CX, $28
	JLT  encodeEnd
	CMPQ R8, $32
	JLT  encodeEnd
	VMOVDQU      (SI), X0
	VINSERTI128  $1, 12(SI), Y0, Y0
	VPSHUFB      Y15, Y0, Y0
	VPAND        Y13, Y0, Y1
	VPMULHUW     Y12, Y1, Y1
	VPAND        Y11, Y0, Y0
	VPMULLW      Y10, Y0, Y0
	VPOR         Y1, Y0, Y0
	VPSUBUSB     Y9, Y0, Y1
	VPCMPGTB     Y8, Y0, Y2
	VPSUBB       Y2, Y1, Y1
	VPSHUFB      Y1, Y14, Y1
	VPADDB       Y1, Y0, Y0
	VMOVDQU      Y0, (DI)
	ADDQ $24, SI
	ADDQ $32, DI
	ADDQ $24, AX
	SUBQ $24, CX
	SUBQ $32, R8
	JMP  encodeNext

encodeEnd:
	VZEROALL
	MOVQ AX, ret+48(FP)
	RET

// func decodeAVX2(dst, src []byte) int
TEXT ·decodeAVX2(SB), NOSPLIT, $0-56
	MOVQ dst_base+0(FP), DI
	MOVQ dst_len+8(FP), R8
	MOVQ src_base+24(FP), SI
	MOVQ src_len+32(FP), CX
	XORQ AX, AX
	VMOVDQU      low<>(SB), Y15
	VMOVDQU      high<>(SB), Y14
	VMOVDQU      back<>(SB), Y13
	VMOVDQU      pack<>(SB), Y12
	VMOVDQU      beside<>(SB), Y11
	VPBROADCASTD masks<>+24(SB), Y10
	VPBROADCASTD masks<>+28(SB), Y9
	VPBROADCASTD masks<>+32(SB), Y8
	VPBROADCASTD masks<>+36(SB), Y7

decodeNext:
	CMPQ CX, $32
	JLT  decodeEnd
	CMPQ R8, $24
	JLT  decodeEnd
	VMOVDQU  (SI), Y0
	VPSRLD   $4, Y0, Y1
	VPAND    Y10, Y1, Y1
	VPAND    Y10, Y0, Y2
	VPSHUFB  Y2, Y15, Y2
	VPSHUFB  Y1, Y14, Y3
	VPTEST   Y3, Y2
	JNZ      decodeEnd
	VPCMPEQB Y9, Y0, Y4
	VPADDB   Y4, Y1, Y1
	VPSHUFB  Y1, Y13, Y1
	VPADDB   Y1, Y0, Y0
	VPMADDUBSW Y8, Y0, Y0
	VPMADDWD   Y7, Y0, Y0
	VPSHUFB  Y12, Y0, Y0
	VPERMD   Y0, Y11, Y0
	VMOVDQU  X0, (DI)
	VEXTRACTI128 $1, Y0, X0
	VMOVQ    X0, 16(DI)
	ADDQ $32, SI
	ADDQ $24, DI
	ADDQ $32, AX
	SUBQ $32, CX
	SUBQ $24, R8
	JMP  decodeNext

decodeEnd:
	VZEROALL
	MOVQ AX, ret+48(FP)
	RET

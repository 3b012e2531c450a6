package crypt

import (
	"crypto/cipher"
	"reflect"
	"unsafe"
)

// wipeBlock overwrites the key schedule that crypto/aes made, for which it offers no method. It
// looks at the concrete type first: only a pointer to memory without pointers is overwritten, so a
// future crypto/aes that is built otherwise is left alone instead of broken. It reports whether the
// schedule was overwritten.
func wipeBlock(b cipher.Block) bool {
	v := reflect.ValueOf(b)
	if v.Kind() != reflect.Pointer || v.IsNil() || !flat(v.Type().Elem()) {
		return false
	}
	clear(unsafe.Slice((*byte)(v.UnsafePointer()), v.Type().Elem().Size()))
	return true
}

// flat reports whether values of type t hold no pointers.
func flat(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return true
	case reflect.Array:
		return flat(t.Elem())
	case reflect.Struct:
		for f := range t.Fields() {
			if !flat(f.Type) {
				return false
			}
		}
		return true
	default:
		return false
	}
}

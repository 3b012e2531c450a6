package wire

import (
	"encoding/base64"
	"errors"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Errors of [Field.Parse]: the text is not what the member's type needs.
var (
	ErrNotInteger   = errors.New("not an integer")
	ErrNotNumber    = errors.New("not a number")
	ErrNotBoolean   = errors.New("not a boolean")
	ErrNotTimestamp = errors.New("not a timestamp")
	ErrNotBase64    = errors.New("not base64")
	ErrNotScalar    = errors.New("not a single value")
)

const (
	isoSeconds = "2006-01-02T15:04:05Z"
	isoMillis  = "2006-01-02T15:04:05.000Z"

	// maxEpoch is the last second of the year 9999, minEpoch the first of the year 1.
	maxEpoch = 253402300799
	minEpoch = -62135596800
)

// Parse sets a scalar or blob of the query and XML protocols. v is the place behind the
// pointer; n is the node that v has, which for elements of lists is not the field's own.
func (f *Field) Parse(n *Node, v reflect.Value, s string) error {
	switch n.Kind {
	case String:
		v.SetString(s)
	case Int:
		i, err := strconv.ParseInt(s, 10, n.Type.Bits())
		if err != nil {
			return ErrNotInteger
		}
		v.SetInt(i)
	case Float:
		x, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return ErrNotNumber
		}
		v.SetFloat(x)
	case Bool:
		switch {
		case strings.EqualFold(s, "true"):
			v.SetBool(true)
		case strings.EqualFold(s, "false"):
			v.SetBool(false)
		default:
			return ErrNotBoolean
		}
	case Blob:
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return ErrNotBase64
		}
		v.SetBytes(b)
	case Time:
		t, err := f.parseTime(s)
		if err != nil {
			return err
		}
		v.Set(reflect.ValueOf(t))
	default:
		return ErrNotScalar
	}
	return nil
}

func (f *Field) parseTime(s string) (time.Time, error) {
	if f.Epoch {
		return ParseEpoch(s)
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}, ErrNotTimestamp
	}
	return t.UTC(), nil
}

// Format appends a scalar or blob for the query and XML protocols; v is behind the pointer.
// millis prints times with exactly three decimals, as EC2 does; otherwise they have decimals
// only if they need them.
func (f *Field) Format(dst []byte, n *Node, v reflect.Value, millis bool) []byte {
	switch n.Kind {
	case String:
		return append(dst, v.String()...)
	case Int:
		return strconv.AppendInt(dst, v.Int(), 10)
	case Float:
		return AppendFloat(dst, v.Float())
	case Bool:
		return strconv.AppendBool(dst, v.Bool())
	case Blob:
		return base64.StdEncoding.AppendEncode(dst, v.Bytes())
	case Time:
		t := v.Interface().(time.Time)
		switch {
		case f.Epoch:
			return AppendEpoch(dst, t)
		case millis || t.Nanosecond() >= int(time.Millisecond):
			return t.UTC().AppendFormat(dst, isoMillis)
		}
		return t.UTC().AppendFormat(dst, isoSeconds)
	}
	return dst
}

// AppendFloat prints a number as JSON and XML can carry it; NaN and the infinities, which JSON
// cannot, print as AWS names them.
func AppendFloat(dst []byte, x float64) []byte {
	switch {
	case math.IsNaN(x):
		return append(dst, "NaN"...)
	case math.IsInf(x, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(x, -1):
		return append(dst, "-Infinity"...)
	}
	return strconv.AppendFloat(dst, x, 'g', -1, 64)
}

// AppendEpoch prints a time as seconds since 1970, with up to three decimals.
func AppendEpoch(dst []byte, t time.Time) []byte {
	ms := t.UnixMilli()
	if ms < 0 {
		dst = append(dst, '-')
		ms = -ms
	}
	dst = strconv.AppendInt(dst, ms/1000, 10)
	frac := ms % 1000
	if frac == 0 {
		return dst
	}
	dst = append(dst, '.', byte('0'+frac/100), byte('0'+frac/10%10), byte('0'+frac%10))
	for dst[len(dst)-1] == '0' {
		dst = dst[:len(dst)-1]
	}
	return dst
}

// ParseEpoch reads seconds since 1970, rounded to milliseconds, in the years 1 to 9999.
func ParseEpoch(s string) (time.Time, error) {
	x, err := strconv.ParseFloat(s, 64)
	if err != nil || !(x >= minEpoch && x <= maxEpoch) {
		return time.Time{}, ErrNotTimestamp
	}
	return time.UnixMilli(int64(math.Round(x * 1000))).UTC(), nil
}

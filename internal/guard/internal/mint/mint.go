// Package mint holds the token without which no permit can be made. Go's internal rule lets
// only packages below guard import it.
package mint

// Token proves that the holder may make permits. The zero Token proves nothing.
type Token struct{ real bool }

// New makes a Token.
func New() Token { return Token{real: true} }

// Real reports whether the token came from [New].
func (t Token) Real() bool { return t.real }

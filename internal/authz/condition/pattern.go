package condition

import (
	"strings"
	"unicode/utf8"
)

type tokenKind uint8

const (
	tokenText     tokenKind = iota
	tokenStar               // any run of characters
	tokenOne                // one character
	tokenVariable           // a policy variable, whose value is literal text
)

type token struct {
	kind tokenKind
	text string // text of a tokenText, default of a tokenVariable
	key  Key    // of a tokenVariable
	// hasDefault: the variable has a default.
	hasDefault bool
	// cross: the wildcard may match colons.
	cross bool
}

// A Pattern is text with wildcards and policy variables. The zero Pattern matches only the empty
// string.
type Pattern struct {
	tokens   []token
	exact    string // the text if isExact or isPrefix
	isExact  bool   // neither wildcards nor variables
	isPrefix bool   // the text and whatever follows
	hasVars  bool
	never    bool // matches nothing
	all      bool // matches everything
	arnValue bool // the value must be an ARN
}

// mode says what * and ? mean in a pattern.
type mode uint8

const (
	plain mode = iota // themselves
	glob              // wildcards that match anything
	arnParts
	resourceParts
)

// Text compiles a pattern without wildcards. variables says whether ${...} is special.
func Text(s string, variables bool) Pattern { return compile(s, variables, plain) }

// Glob compiles a pattern whose wildcards match across colons and slashes.
func Glob(s string, variables bool) Pattern { return compile(s, variables, glob) }

// ARN compiles the pattern of an ArnLike operator: six parts, each matched on its own.
func ARN(s string, variables bool) Pattern { return compile(s, variables, arnParts) }

// Resource compiles an entry of a Resource element. Like [ARN], but "*" matches everything, a * that
// ends the Region, the account or the whole runs over colons, the service has no wildcards, and
// variables stand only after the fifth colon.
//
// Source: IAM User Guide, "IAM JSON policy elements: Resource", Using wildcards in resource ARNs.
func Resource(s string, variables bool) Pattern {
	if s == "*" {
		return Pattern{all: true}
	}
	return compile(s, variables, resourceParts)
}

func compile(s string, variables bool, m mode) Pattern {
	c := compiler{mode: m}
	for s != "" {
		if variables && strings.HasPrefix(s, "${") {
			if body, rest, ok := cutVariable(s[2:]); ok {
				c.variable(body)
				s = rest
				continue
			}
		}
		_, size := utf8.DecodeRuneInString(s)
		c.char(s[:size], s[size:])
		s = s[size:]
	}
	c.flush()
	return c.pattern()
}

// cutVariable splits what follows "${" at its closing brace. A quoted default may hold braces.
func cutVariable(s string) (body, rest string, ok bool) {
	end := strings.IndexByte(s, '}')
	if end < 0 {
		return "", "", false
	}
	if i := strings.Index(s[:end], ", '"); i >= 0 {
		j := strings.Index(s[i+3:], "'}")
		if j < 0 {
			return "", "", false
		}
		end = i + 3 + j + 1
	}
	return s[:end], s[end+1:], true
}

type compiler struct {
	mode   mode
	tokens []token
	lit    strings.Builder
	colons int
	vars   bool
	never  bool
}

func (c *compiler) flush() {
	if c.lit.Len() > 0 {
		c.tokens = append(c.tokens, token{kind: tokenText, text: c.lit.String()})
		c.lit.Reset()
	}
}

func (c *compiler) add(t token) {
	c.flush()
	c.tokens = append(c.tokens, t)
}

// char adds a character, of which rest follows.
func (c *compiler) char(s, rest string) {
	byPart := c.mode == arnParts || c.mode == resourceParts
	if c.mode == plain || s != "*" && s != "?" {
		if s == ":" {
			c.colons++
		}
		c.lit.WriteString(s)
		return
	}
	cross := !byPart || c.colons >= 5
	if c.mode == resourceParts {
		if c.colons == 2 {
			c.never = true
		}
		switch {
		case s != "*" || c.colons < 3:
		case rest == "":
			cross, c.colons = true, 5 // stands for the missing parts too
		case rest[0] == ':':
			cross = true
		}
	}
	if s == "*" {
		c.add(token{kind: tokenStar, cross: cross})
	} else {
		c.add(token{kind: tokenOne, cross: cross})
	}
}

func (c *compiler) variable(body string) {
	if body == "*" || body == "?" || body == "$" {
		c.lit.WriteString(body)
		return
	}
	if c.mode == resourceParts && c.colons < 5 {
		c.never = true
	}
	t := token{kind: tokenVariable}
	name, rest, ok := strings.Cut(body, ", '")
	if ok && strings.HasSuffix(rest, "'") {
		t.text, t.hasDefault = strings.TrimSuffix(rest, "'"), true
	}
	t.key = MakeKey(name)
	c.vars = true
	c.add(t)
}

func (c *compiler) pattern() Pattern {
	p := Pattern{tokens: c.tokens, hasVars: c.vars, never: c.never, arnValue: c.mode == arnParts || c.mode == resourceParts}
	if p.arnValue && c.colons < 5 {
		p.never = true
	}
	switch {
	case len(p.tokens) == 0:
		p.isExact = true
	case len(p.tokens) == 1 && p.tokens[0].kind == tokenText:
		p.isExact, p.exact = true, p.tokens[0].text
	case len(p.tokens) == 2 && p.tokens[0].kind == tokenText && p.tokens[1].kind == tokenStar && p.tokens[1].cross:
		p.isPrefix, p.exact = true, p.tokens[0].text
	}
	return p
}

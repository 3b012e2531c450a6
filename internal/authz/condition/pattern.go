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
	exact    string // the text if isExact
	isExact  bool   // neither wildcards nor variables
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

// Resource compiles an entry of a Resource element. Like [ARN], but "*" matches everything, a *
// at the very end runs over colons, the service has no wildcards, and variables stand only after
// the fifth colon.
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
		c.char(s[:size], s[size:] == "")
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

func (c *compiler) char(s string, last bool) {
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
		if s == "*" && last && c.colons >= 3 {
			cross, c.colons = true, 5 // stands for the missing parts too
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
	}
	return p
}

// Match compares s with the pattern. It is Unknown only if a variable is; a variable without
// value and default matches nothing.
func (p *Pattern) Match(env *Env, s string) Truth {
	switch {
	case p.all:
		return True
	case p.never || p.arnValue && !strings.HasPrefix(s, "arn:"):
		return False
	case p.isExact:
		return Of(s == p.exact)
	}
	vars := p.variables(env)
	if vars == False || !p.glob(env, s) {
		return False
	}
	return vars
}

// variables is False if a variable has no value, Unknown if one is unknown.
func (p *Pattern) variables(env *Env) Truth {
	t := True
	if !p.hasVars {
		return t
	}
	for i := range p.tokens {
		if p.tokens[i].kind == tokenVariable {
			_, known := p.tokens[i].value(env)
			t = min(t, known)
		}
	}
	return t
}

// value is what a variable stands for. Only single-valued keys can be used.
func (t *token) value(env *Env) (string, Truth) {
	v, ok := env.Lookup(&t.key)
	switch {
	case ok && v.Unknown:
		return "", Unknown
	case ok && v.Multi:
		return "", False
	case ok:
		return v.One, True
	}
	return t.text, Of(t.hasDefault)
}

// glob matches with backtracking to the last star, which is enough: an earlier star could only
// leave less to match. Unknown variables match anything.
func (p *Pattern) glob(env *Env, s string) bool {
	i, at := 0, 0 // next token, place in s
	star, starAt, starCross := -1, 0, false
	for {
		if i == len(p.tokens) {
			if at == len(s) {
				return true
			}
		} else {
			t := &p.tokens[i]
			kind, text := t.kind, t.text
			if kind == tokenVariable {
				v, known := t.value(env)
				kind, text = tokenText, v
				if known == Unknown {
					kind = tokenStar
				}
			}
			switch kind {
			case tokenStar:
				star, starAt, starCross = i, at, t.cross || t.kind == tokenVariable
				if i++; i == len(p.tokens) && starCross {
					return true
				}
				continue
			case tokenText:
				if strings.HasPrefix(s[at:], text) {
					i, at = i+1, at+len(text)
					continue
				}
			case tokenOne:
				if at < len(s) && (t.cross || s[at] != ':') {
					_, size := utf8.DecodeRuneInString(s[at:])
					i, at = i+1, at+size
					continue
				}
			}
		}
		if star < 0 || starAt == len(s) || !starCross && s[starAt] == ':' {
			return false
		}
		_, size := utf8.DecodeRuneInString(s[starAt:])
		starAt += size
		i, at = star+1, starAt
	}
}

// Fold is Match without regard to case, for patterns without wildcards. It allocates if the
// pattern has variables.
func (p *Pattern) Fold(env *Env, s string) Truth {
	if p.isExact {
		return Of(strings.EqualFold(s, p.exact))
	}
	switch p.variables(env) {
	case False:
		return False
	case Unknown:
		return Unknown
	}
	return Of(strings.EqualFold(s, p.expand(env)))
}

func (p *Pattern) expand(env *Env) string {
	var b strings.Builder
	for i := range p.tokens {
		text := p.tokens[i].text
		if p.tokens[i].kind == tokenVariable {
			text, _ = p.tokens[i].value(env)
		}
		b.WriteString(text)
	}
	return b.String()
}

// Unknowns appends the names of the variables whose values are unknown.
func (p *Pattern) Unknowns(env *Env, names []string) []string {
	for i := range p.tokens {
		if t := &p.tokens[i]; t.kind == tokenVariable {
			if _, known := t.value(env); known == Unknown {
				names = append(names, t.key.Name)
			}
		}
	}
	return names
}

// All reports whether the pattern is the lone "*" of a Resource element.
func (p *Pattern) All() bool { return p.all }

package condition

import (
	"strings"
	"unicode/utf8"
)

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
	case p.isPrefix:
		return Of(strings.HasPrefix(s, p.exact))
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
	case ok && v.Multi && len(v.List) > 0:
		return "", False
	case ok && !v.Multi:
		return v.One, True
	}
	return t.text, Of(t.hasDefault)
}

// glob matches with backtracking to the last star and, where that may not match colons, the last
// that may: an earlier star could only leave less to match. Unknown variables match anything.
func (p *Pattern) glob(env *Env, s string) bool {
	i, at := 0, 0 // next token, place in s
	star, starAt, starCross := -1, 0, false
	wide, wideAt := -1, 0 // the last star that crosses
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
				if starCross {
					wide, wideAt = star, starAt
				}
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
		if star >= 0 && !starCross && (starAt == len(s) || s[starAt] == ':') {
			star, starAt, starCross = wide, wideAt, true
		}
		if star < 0 || starAt == len(s) {
			return false
		}
		_, size := utf8.DecodeRuneInString(s[starAt:])
		starAt += size
		if starCross {
			wideAt = starAt
		}
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

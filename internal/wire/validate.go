package wire

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/apierr"
)

const (
	maxViolations = 50   // in one message
	maxEcho       = 1024 // bytes of a refused value in a message
)

// Validate checks a request against the model's constraints: members that are required, sizes,
// ranges, patterns and enumerations. in is a pointer to a generated structure. The error is an
// *apierr.Error with AWS's text: a ValidationException that names every violation, or for EC2 a
// MissingParameter or InvalidParameterValue that names the first; Organizations tells the first as an
// InvalidInputException. Sensitive members and blobs are never quoted; long values are cut.
func (t *Table) Validate(in any) error {
	s, v, err := t.Of(in)
	if err != nil {
		return err
	}
	c, ok := t.checkers.Get().(*checker)
	if !ok {
		c = &checker{ec2: t.svc.Protocol == api.EC2}
	}
	c.path = c.room[:0]
	c.structure(s, v)
	if len(c.found) == 0 {
		t.checkers.Put(c)
		return nil
	}
	switch {
	case c.ec2:
		return c.found[0].ec2()
	case t.svc.Name == "organizations":
		return c.found[0].organizations()
	}
	if said := c.found[0].iam(); t.svc.Name == "iam" && len(c.found) == 1 && said != "" {
		return apierr.Validation("%s", said)
	}
	texts := make([]string, len(c.found))
	for i, x := range c.found {
		texts[i] = x.String()
	}
	plural := "s"
	if len(texts) == 1 {
		plural = ""
	}
	return apierr.Validation("%d validation error%s detected: %s", len(texts), plural, strings.Join(texts, "; "))
}

// A violation is one constraint that one member does not satisfy.
type violation struct {
	path    string // "tags.1.member.tagKey", or the parameter's name in EC2
	name    string // last member of the path
	value   string
	hidden  bool // value must not be shown
	missing bool
	element bool // of a list of values, which is what path and value are of
	tail    string
	failure failure
	rule    *Rule
}

func (x violation) String() string {
	switch {
	case x.missing:
		return "Value null at '" + x.path + "' failed to satisfy constraint: Member must not be null"
	case x.hidden:
		return "Value at '" + x.path + "' failed to satisfy constraint: " + x.tail
	}
	return "Value '" + x.value + "' at '" + x.path + "' failed to satisfy constraint: " + x.tail
}

// ec2 is the violation as EC2 tells it.
func (x violation) ec2() *apierr.Error {
	if x.missing {
		return apierr.New("MissingParameter", "The request must contain the parameter "+x.path)
	}
	msg := "Value (" + x.value + ") for parameter " + x.name + " is invalid."
	if x.hidden {
		msg = "The value for parameter " + x.name + " is invalid."
	}
	switch {
	case x.failure&tooSmall != 0:
		msg = apierr.EC2TooSmall(x.name, x.value, *x.rule.min)
	case x.failure&tooBig != 0:
		msg = "Value ( " + x.value + " ) for parameter " + x.name + " is invalid. Expecting a value less than or equal to " + itoa(x.rule.max) + "."
	case x.failure&notInEnum != 0:
		msg += " Valid values are " + strings.Join(x.rule.values, ", ") + "."
	case x.failure&tooLong != 0:
		msg += " Its length must not exceed " + itoa(x.rule.max) + "."
	case x.failure&tooShort != 0:
		msg += " Its length must be at least " + itoa(x.rule.min) + "."
	case x.failure&noMatch != 0:
		msg += " It must match the pattern " + x.rule.pattern + "."
	}
	return apierr.New("InvalidParameterValue", msg)
}

// organizations is the violation as Organizations tells it, which names no member.
// Source: AWS Organizations API Reference, InvalidInputException; the text about patterns is as reported
// by users.
func (x violation) organizations() *apierr.Error {
	reason, msg := "INVALID_PATTERN", "You provided a value that does not match the required pattern."
	switch {
	case x.missing:
		reason, msg = "INPUT_REQUIRED", "You must include a value for all required parameters."
	case x.element:
		reason, msg = "INVALID_LIST_MEMBER", "You provided a list to a parameter that contains at least one invalid value."
	case x.failure&noMatch != 0 && x.rule.pattern == `^p-[0-9a-zA-Z_]{8,128}$`:
		reason, msg = "INVALID_SYNTAX_POLICY_ID", "You specified an invalid policy ID."
	case x.failure&noMatch != 0 && x.rule.pattern == `^(r-[0-9a-z]{4,32})|(\d{12})|(ou-[0-9a-z]{4,32}-[a-z0-9]{8,32})$`:
		reason, msg = "INVALID_PATTERN_TARGET_ID", "You specified a policy target ID that doesn't match the required pattern."
	case x.failure&noMatch != 0:
	case x.failure&notInEnum != 0 && slices.Contains(x.rule.values, "TAG_POLICY"):
		reason, msg = "INVALID_ENUM_POLICY_TYPE", "You specified an invalid policy type string."
	case x.failure&notInEnum != 0:
		reason, msg = "INVALID_ENUM", "You specified an invalid value."
	case x.failure&tooLong != 0:
		reason, msg = "MAX_LENGTH_EXCEEDED", "You provided a string parameter that is longer than allowed."
	case x.failure&tooShort != 0:
		reason, msg = "MIN_LENGTH_EXCEEDED", "You provided a string parameter that is shorter than allowed."
	case x.failure&tooBig != 0:
		reason, msg = "MAX_VALUE_EXCEEDED", "You provided a numeric parameter that has a larger value than allowed."
	case x.failure&tooSmall != 0:
		reason, msg = "MIN_VALUE_EXCEEDED", "You provided a numeric parameter that has a smaller value than allowed."
	}
	return apierr.New("InvalidInputException", msg).With("Reason", reason)
}

// iam is the violation as IAM tells it of a name or a path with characters that none may have; "" if it tells it as
// others do. Source: as reported by users.
func (x violation) iam() string {
	if x.failure != noMatch {
		return ""
	}
	said := "The specified value for " + x.name + " is invalid. "
	switch x.rule.pattern {
	case `[\w+=,.@-]+`:
		return said + "It must contain only alphanumeric characters and/or the following: +=,.@_-"
	case `(\u002F)|(\u002F[\u0021-\u007E]+\u002F)`, `((/[A-Za-z0-9\.,\+@=_-]+)*)/`:
		return said + "It must begin and end with / and contain only alphanumeric characters and/or / characters."
	}
	return ""
}

type checker struct {
	ec2   bool
	path  []byte
	found []violation
	room  [128]byte // for path
}

func (c *checker) full() bool { return len(c.found) >= maxViolations }

// enter appends a segment to the path and returns the length to cut it back to.
func (c *checker) enter(segment string) int {
	n := len(c.path)
	if n > 0 {
		c.path = append(c.path, '.')
	}
	c.path = append(c.path, segment...)
	return n
}

func (c *checker) structure(s *Struct, v reflect.Value) {
	for i := range s.Fields {
		f := &s.Fields[i]
		fv := v.Field(f.Index)
		absent := f.Absent(fv)
		if absent && !f.Required || c.full() {
			continue
		}
		segment := f.Path
		if c.ec2 {
			segment = f.Query
		}
		back := c.enter(segment)
		if absent {
			c.found = append(c.found, violation{path: string(c.path), name: f.Path, missing: true})
		} else {
			c.member(f, f.Get(fv))
		}
		c.path = c.path[:back]
	}
}

func (c *checker) member(f *Field, v reflect.Value) {
	if f.rule != nil {
		c.apply(f, f.rule, f.rule.check(f.Kind, v), v)
	}
	switch f.Kind {
	case Structure:
		c.structure(f.Struct, v)
	case List:
		c.list(f, v)
	case Map:
		if f.key != nil || f.val != nil {
			c.entries(f, v)
		}
	}
}

func (c *checker) apply(f *Field, r *Rule, fail failure, v reflect.Value) {
	if fail == 0 {
		return
	}
	value, hidden := show(f.Node, v)
	hidden = hidden || r.sensitive
	for _, tail := range r.tails(fail) {
		c.found = append(c.found, violation{
			path: string(c.path), name: f.Path, value: value, hidden: hidden, tail: tail, failure: fail, rule: r,
		})
	}
}

func (c *checker) list(f *Field, v reflect.Value) {
	if f.elem != nil {
		for i := range v.Len() {
			fail := f.elem.check(f.Elem.Kind, f.Elem.Get(v.Index(i)))
			if fail == 0 {
				continue
			}
			value, hidden := show(f.Node, v)
			if c.ec2 {
				value, hidden = show(f.Elem, v.Index(i))
			}
			c.found = append(c.found, violation{
				path: string(c.path), name: f.Path, value: value, hidden: hidden || f.elem.sensitive,
				tail: f.elem.all(f.Elem.Kind), failure: fail, rule: f.elem, element: true,
			})
			break // AWS names the list once
		}
	}
	if f.Elem.Kind != Structure {
		return
	}
	for i := range v.Len() {
		if c.full() {
			return
		}
		segment := strconv.Itoa(i+1) + ".member"
		if c.ec2 {
			segment = strconv.Itoa(i + 1)
		}
		back := c.enter(segment)
		c.structure(f.Elem.Struct, f.Elem.Get(v.Index(i)))
		c.path = c.path[:back]
	}
}

func (c *checker) entries(f *Field, v reflect.Value) {
	for _, what := range []struct {
		rule *Rule
		head string
		kind Kind
		get  func(*reflect.MapIter) reflect.Value
	}{
		{f.key, "Map keys must satisfy constraint: [", String, (*reflect.MapIter).Key},
		{f.val, "Map value must satisfy constraint: [", f.Elem.Kind, (*reflect.MapIter).Value},
	} {
		if what.rule == nil {
			continue
		}
		for it := v.MapRange(); it.Next(); {
			if fail := what.rule.check(what.kind, what.get(it)); fail != 0 {
				tail := strings.TrimPrefix(what.rule.all(what.kind), "Member must satisfy constraint: [")
				// A map is shown without its entries: their order is not fixed.
				c.found = append(c.found, violation{
					path: string(c.path), name: f.Path, hidden: true, tail: what.head + tail, failure: fail, rule: what.rule,
				})
				break
			}
		}
	}
}

// show prints a value as AWS quotes it; hidden is true for what must not be, or cannot well be,
// quoted.
func show(n *Node, v reflect.Value) (text string, hidden bool) {
	if n.Secret {
		return "", true
	}
	switch n.Kind {
	case String:
		return cut(v.String()), false
	case Int:
		return strconv.FormatInt(v.Int(), 10), false
	case Float:
		return strconv.FormatFloat(v.Float(), 'g', -1, 64), false
	case List:
		var texts []string
		for i := range v.Len() {
			t, hidden := show(n.Elem, n.Elem.Get(v.Index(i)))
			if hidden {
				return "", true
			}
			texts = append(texts, t)
			if i*2 > maxEcho {
				break
			}
		}
		return cut("[" + strings.Join(texts, ", ") + "]"), false
	}
	return "", true
}

func cut(s string) string {
	if len(s) <= maxEcho {
		return s
	}
	n := maxEcho
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "..."
}

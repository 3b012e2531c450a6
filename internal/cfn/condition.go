package cfn

// A verdict is what a condition is; with why that is not known.
type verdict struct {
	v   bool
	why string
}

// condition is a condition of the template.
func (s *stack) condition(name string) verdict {
	if t, ok := s.tested[name]; ok {
		return t
	}
	n := s.conditions.get(name)
	if n == nil {
		return verdict{why: "there is no condition " + name}
	}
	s.tested[name] = verdict{why: "the condition " + name + " is made of itself"}
	t := s.test(n)
	s.tested[name] = t
	return t
}

// test evaluates the expression of a condition.
func (s *stack) test(n *node) verdict {
	s.depth++
	defer func() { s.depth-- }()
	if s.set.steps++; s.set.steps > maxSteps || s.depth > 4*maxDepth {
		return verdict{why: "the template is too large to tell"}
	}
	if name, ok := n.get("Condition").scalar(); ok && len(n.members) == 1 {
		return s.condition(name)
	}
	name, arg, ok := call(n)
	args := arg.list()
	switch {
	case !ok:
		v := s.eval(n)
		if _, ok := v.scalar(); !ok {
			return verdict{why: "a condition is no condition"}
		}
		return verdict{v: v.isTrue()}
	case name == "Fn::Equals" && len(args) == 2:
		a, b := s.eval(args[0]), s.eval(args[1])
		equal, known := same(a, b)
		if !known {
			why := a.why()
			if why == "" {
				why = b.why()
			}
			if why == "" {
				why = "it compares with what is not known before deployment"
			}
			return verdict{why: why}
		}
		return verdict{v: equal}
	case name == "Fn::Not" && len(args) == 1:
		t := s.test(args[0])
		return verdict{!t.v, t.why}
	case (name == "Fn::And" || name == "Fn::Or") && len(args) > 0:
		out := verdict{v: name == "Fn::And"}
		for _, a := range args {
			t := s.test(a)
			switch {
			case t.why != "":
				if out.why == "" {
					out.why = t.why
				}
			case t.v == (name == "Fn::Or"):
				return t // whatever the others are
			}
		}
		return out
	}
	v := s.eval(n)
	if _, ok := v.scalar(); !ok {
		return verdict{why: v.why()}
	}
	return verdict{v: v.isTrue()}
}

// choose is Fn::If.
func (s *stack) choose(arg *node) *node {
	args := arg.list()
	name := ""
	if len(args) == 3 {
		name, _ = args[0].scalar()
	}
	if name == "" {
		return unknownNode("Fn::If needs a condition and two values")
	}
	t := s.condition(name)
	if t.why != "" {
		a, b := s.eval(args[1]), s.eval(args[2])
		if equal, known := same(a, b); known && equal {
			return a
		}
		return unknownNode("the condition %s is not known: %s", name, t.why)
	}
	if t.v {
		return s.eval(args[1])
	}
	return s.eval(args[2])
}

package remedy

import (
	"regexp"
	"slices"
	"strings"
)

var (
	// yamlString is a string of the YAML that is written here, with what is behind it.
	yamlString = regexp.MustCompile(`"(?:[^"\\]|\\.)*":?`)
	// templateName is what Fn::Sub can name: a resource of the template, an attribute of one, or a pseudo
	// parameter.
	templateName = regexp.MustCompile(`^(AWS::[A-Za-z]+|[A-Za-z0-9]+(\.[A-Za-z0-9.]+)?)$`)
)

// substituted has the strings of a part of a template say by Fn::Sub what stands for something in it.
// at is the address of the resource that the part is for, "Stack/LogicalId" or "LogicalId": names of
// other stacks stay as they are.
//
// Source: CloudFormation Template Reference Guide, "Fn::Sub".
func substituted(text string, names map[string]string, at string) string {
	stack := at[:strings.LastIndexByte(at, '/')+1]
	var pairs []string
	for stands, name := range names {
		if name = strings.TrimPrefix(name, stack); templateName.MatchString(name) {
			pairs = append(pairs, stands, "${"+name+"}")
		}
	}
	if len(pairs) == 0 {
		return text
	}
	// What policies themselves write so, ${aws:username}, is no name of the template.
	pairs = append(pairs, "${", "${!")
	replace := strings.NewReplacer(pairs...)
	return yamlString.ReplaceAllStringFunc(text, func(s string) string {
		if strings.HasSuffix(s, ":") || !slices.ContainsFunc(pairs[:len(pairs)-2], func(p string) bool { return !strings.HasPrefix(p, "${") && strings.Contains(s, p) }) {
			return s
		}
		return "!Sub " + replace.Replace(s)
	})
}

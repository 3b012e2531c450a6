package cfn_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/cfn"
)

func TestErrors(t *testing.T) {
	for name, tt := range map[string]struct {
		text   string
		opt    cfn.Options
		line   int
		column int
		want   string
	}{
		"YAML that is none":         {"Resources:\n  Key:\n    Type: AWS::KMS::Key\n   Properties: {}\n", cfn.Options{}, 4, 4, ""},
		"JSON that is none":         {"{\n \"Resources\": {\"Key\": {\"Type\": \"AWS::KMS::Key\",}}}", cfn.Options{}, 2, 0, ""},
		"JSON that ends too early":  {"{\n \"Resources\": {", cfn.Options{}, 2, 0, "ends too early"},
		"a name twice":              {"Resources:\n  A: {Type: AWS::S3::Bucket}\n  A: {Type: AWS::S3::Bucket}\n", cfn.Options{}, 3, 3, "the name A is there twice"},
		"a name twice in JSON":      {"{\"Resources\": {\n\"A\": {\"Type\": \"AWS::S3::Bucket\"},\n\"A\": {}}}", cfn.Options{}, 3, 1, "duplicate object member name"},
		"a tag that is no function": {"Resources:\n  A: {Type: !Nothing x}\n", cfn.Options{}, 2, 13, "no function is called !Nothing"},
		"no resources":              {"AWSTemplateFormatVersion: 2010-09-09\n", cfn.Options{}, 1, 1, "the template has no Resources"},
		"a list":                    {"- Resources:\n", cfn.Options{}, 1, 1, "a template is an object"},
		"a resource without a type": {"Resources:\n  A: {Properties: {}}\n", cfn.Options{}, 2, 3, "the resource A has no Type"},
		"properties that are none":  {"Resources:\n  A: {Type: AWS::S3::Bucket, Properties: [x]}\n", cfn.Options{}, 2, 42, "the Properties of A must be an object"},
		"a section that is none":    {"Parameters: [x]\nResources:\n  A: {Type: AWS::S3::Bucket}\n", cfn.Options{}, 1, 13, "Parameters must be an object"},
		"a condition that is none":  {"Resources:\n  A: {Type: AWS::S3::Bucket, Condition: Some}\n", cfn.Options{}, 2, 41, "there is no condition Some"},
		"a value that is not allowed": {"Parameters:\n  E: {Type: String, AllowedValues: [a]}\nResources:\n  A: {Type: AWS::S3::Bucket}\n",
			cfn.Options{Parameters: map[string]string{"E": "b"}}, 2, 3, "the value given for the parameter E is none of its AllowedValues"},
		"an alias of itself":      {"Resources: &r\n  A: *r\n", cfn.Options{}, 0, 0, ""},
		"a file without anything": {"# Resources:\n", cfn.Options{}, 1, 1, "the file is empty"},
		"a parameter that is none": {"Resources:\n  A: {Type: AWS::S3::Bucket}\n", cfn.Options{Parameters: map[string]string{"X": "1"}}, 0, 0,
			"there is no parameter X, of which a value is given"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := cfn.Read([]cfn.File{source(tt.text)}, tt.opt)
			e, ok := errors.AsType[*cfn.Error](err)
			if !ok {
				t.Fatalf("the error is %v", err)
			}
			if e.File != "test.yaml" || tt.line > 0 && e.Line != tt.line || tt.column > 0 && e.Column != tt.column || !strings.Contains(e.Text, tt.want) || e.Text == "" {
				t.Errorf("the error is %v, want %d:%d: %s", err, tt.line, tt.column, tt.want)
			}
		})
	}
}

// A template of aliases of aliases is refused before it fills the memory.
func TestAliasesOfAliases(t *testing.T) {
	var b strings.Builder
	b.WriteString("Resources:\n  A: {Type: AWS::S3::Bucket}\nMetadata:\n  a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := range 12 {
		n, m := string(rune('a'+i+1)), string(rune('a'+i))
		list := strings.TrimSuffix(strings.Repeat("*"+m+"0, ", 10), ", ")
		b.WriteString("  " + n + "0: &" + n + "0 [" + list + "]\n")
	}
	if _, err := cfn.Read([]cfn.File{source(b.String())}, cfn.Options{}); err == nil {
		t.Error("it is read")
	}
}

func TestIs(t *testing.T) {
	for text, want := range map[string]bool{
		"Resources:\n  A: {}\n":                                  true,
		"AWSTemplateFormatVersion: 2010-09-09":                   true,
		"# comment\n\nDescription: x\nResources: {}\n":           true,
		`{"Resources": {}}`:                                      true,
		`{"AWSTemplateFormatVersion": "2010-09-09", "Resources"`: true,
		`{"Resources": {"A": {"Type": "AWS::S3::Bucket",}}}`:     true,
		`{"schema": "kagimori.launch-scenario/1"}`:               false,
		`{"format_version": "1.2", "values": {}}`:                false,
		`{"Records": [{"Resources": {}}]}`:                       false,
		`  Resources: x`:                                         false,
		``:                                                       false,
		`[]`:                                                     false,
	} {
		if got := cfn.Is([]byte(text)); got != want {
			t.Errorf("%q is a template: %v", text, got)
		}
	}
}

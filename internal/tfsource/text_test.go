package tfsource_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/kagimori/kagimori/internal/tfsource"
)

// world has a role and two keys, and the variable team.
type world struct{}

func (world) Instances(module, resource string) ([]tfsource.Instance, bool) {
	switch resource {
	case "aws_iam_role.app":
		return []tfsource.Instance{{Values: map[string]any{"arn": "arn:role/app", "name": tfsource.Unknown{}}}}, true
	case "aws_iam_role.many":
		return []tfsource.Instance{{Key: `["a"]`, Values: map[string]any{"arn": "arn:a"}}, {Key: `["b"]`, Values: map[string]any{"arn": "arn:b"}}}, true
	case "aws_iam_role.two":
		return []tfsource.Instance{{Key: "[1]", Values: map[string]any{"arn": "arn:1"}}, {Key: "[0]", Values: map[string]any{"arn": "arn:0"}}}, true
	case "aws_iam_role.none":
		return nil, true
	case "data.aws_region.here":
		return []tfsource.Instance{{Values: map[string]any{"name": "eu-west-1"}}}, true
	}
	return nil, false
}

func (world) Variable(name string) (any, bool) {
	return map[string]any{"teams": []any{"x", "y"}, "on": true, "n": 2.0}, name == "told"
}

const roles = `
resource "aws_iam_role" "app" {}
resource "aws_iam_role" "many" { for_each = toset(["a", "b"]) }
resource "aws_iam_role" "two" { count = 2 }
resource "aws_iam_role" "none" { count = 0 }
variable "told" {}
variable "untold" {}
variable "default" { default = "d" }
locals {
  arn    = aws_iam_role.app.arn
  both   = [local.arn, "x"]
  loop   = local.pool
  pool   = local.loop
}
`

func text(files map[string]string, p tfsource.Place) (string, []string, string, bool) {
	fsys := fstest.MapFS{}
	for name, src := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(src)}
	}
	return tfsource.New(fsys).Text(world{}, p)
}

func TestText(t *testing.T) {
	for _, tt := range []struct{ expr, want string }{
		{`"plain"`, "plain"},
		{`jsonencode({ b = [1, true, null], a = aws_iam_role.app.arn })`, `{"a":"arn:role/app","b":[1,true,null]}`},
		{`jsonencode([lookup({ a = "x" }, "a", null), lookup({ a = "x" }, "b", null), lookup(tomap({ a = "x" }), "b", "d"), lookup({ a = aws_iam_role.app.arn, b = aws_iam_role.app.name }, "a")])`, `["x",null,"d","arn:role/app"]`},
		{`jsonencode([coalesce(null, "", var.default), coalesce(null, 1, "x"), try(coalesce("", null), "none"), length("äb"), length({ a = 1 }), length([]), length(toset(["a", "a"]))])`, `["d","1","none",2,1,0,1]`},
		{`jsonencode(local.both)`, `["arn:role/app","x"]`},
		{`"${local.arn}/${data.aws_region.here.name}"`, "arn:role/app/eu-west-1"},
		{"<<-EOF\n    {\"a\": \"${aws_iam_role.many[\"b\"].arn}\"}\n  EOF", "{\"a\": \"arn:b\"}\n"},
		{`jsonencode([for r in aws_iam_role.many : r.arn])`, `["arn:a","arn:b"]`},
		{`jsonencode(values(aws_iam_role.many)[*].arn)`, `["arn:a","arn:b"]`},
		{`jsonencode(aws_iam_role.two[*].arn)`, `["arn:0","arn:1"]`},
		{`jsonencode([aws_iam_role.two[1].arn, one(aws_iam_role.none[*].arn)])`, `["arn:1",null]`},
		{`jsonencode(concat(var.told.teams, [var.default], var.told.on ? [aws_iam_role.app.arn] : []))`, `["x","y","d","arn:role/app"]`},
		{`format("%s-%d", join("+", var.told.teams), var.told.n)`, "x+y-2"},
		{`jsonencode(merge({ a = 1 }, { for k in ["b"] : k => upper(k) }))`, `{"a":1,"b":"B"}`},
		{`each.key`, "web"},
		{`each.value.arn`, "arn:web"},
		{`templatefile("${path.module}/policy.tpl", { arn = local.arn, more = ["p"] })`, `{"arn":"arn:role/app"} p;`},
		{`file("plain.json")`, "{}"},
		{`coalesce(null, try(aws_iam_role.app.missing, "tried"))`, "tried"},

		{`aws_iam_role.app.name`, ""},    // not known
		{`jsonencode([var.untold])`, ""}, // not told
		{`jsonencode(local.loop)`, ""},   // itself
		{`aws_other.thing.arn`, ""},      // of a kind that is not told
		{`file("../outside")`, ""},       // outside
		{`file("/etc/hostname")`, ""},    // outside
		{`timestamp()`, ""},              // no function of ours
		{`terraform.workspace`, ""},      // not told
		{`module.absent.arn`, ""},        // not there
		{`12`, ""},                       // no text
		{`templatefile("policy.tpl")`, ""},
	} {
		files := map[string]string{
			"main.tf": roles, "policy.tpl": `{"arn":"${arn}"} %{ for m in more }${m};%{ endfor }`, "plain.json": "{}",
			"keys.tf": "resource \"aws_kms_key\" \"k\" {\n  for_each = { web = { arn = \"arn:web\" } }\n  policy = " + tt.expr + "\n}\n",
		}
		got, refs, where, ok := text(files, tfsource.Place{Resource: "aws_kms_key.k", Key: `["web"]`, Attr: "policy"})
		if got != tt.want || ok != (tt.want != "") {
			t.Errorf("%s is %q, %v, want %q", tt.expr, got, ok, tt.want)
		}
		if ok && where != "keys.tf:3" {
			t.Errorf("%s is at %s", tt.expr, where)
		}
		if strings.Contains(tt.expr, "aws_iam_role.app.arn") && ok && !slices.Contains(refs, "aws_iam_role.app") {
			t.Errorf("%s refers to %q", tt.expr, refs)
		}
	}
}

// Arguments of modules are evaluated where the modules are called, also of those that were installed.
func TestModules(t *testing.T) {
	files := map[string]string{
		"main.tf": roles + `
			module "own" {
				source   = "./modules/key"
				for_each = { a = "one", b = "two" }
				users    = [local.arn, each.value]
			}
			module "installed" {
				source = "terraform-aws-modules/kms/aws"
				users  = [module.plain.user]
			}
			module "plain" { source = "./modules/plain" }
			module "far" {
				source = "../elsewhere"
				users  = []
			}`,
		"modules/key/main.tf":                        `variable "users" {}` + "\n" + `variable "sid" { default = "s" }` + "\n" + `resource "aws_kms_key" "k" { policy = jsonencode([var.sid, var.users]) }`,
		"modules/plain/main.tf":                      `output "user" { value = "plain" }`,
		".terraform/modules/modules.json":            `{"Modules":[{"Key":"","Dir":"."},{"Key":"installed","Dir":".terraform/modules/installed"}]}`,
		".terraform/modules/installed/main.tf":       `variable "users" {}` + "\n" + `module "inner" {` + "\n" + `source = "./inner"` + "\n" + `users = concat(var.users, ["more"])` + "\n}",
		".terraform/modules/installed/inner/main.tf": `variable "users" {}` + "\n" + `resource "aws_kms_key" "k" { policy = jsonencode(var.users) }`,
		"../elsewhere/main.tf":                       `resource "aws_kms_key" "k" { policy = "outside" }`,
	}
	for _, tt := range []struct {
		module []tfsource.Step
		want   string
	}{
		{[]tfsource.Step{{Name: "own", Key: `["b"]`}}, `["s",["arn:role/app","two"]]`},
		{[]tfsource.Step{{Name: "installed"}, {Name: "inner"}}, `["plain","more"]`},
		{[]tfsource.Step{{Name: "far"}}, ""},
		{[]tfsource.Step{{Name: "absent"}}, ""},
	} {
		got, _, _, ok := text(files, tfsource.Place{Module: tt.module, Resource: "aws_kms_key.k", Attr: "policy"})
		if got != tt.want || ok != (tt.want != "") {
			t.Errorf("%v is %q, %v, want %q", tt.module, got, ok, tt.want)
		}
	}
}

// Files that cannot be one configuration tell nothing.
func TestNoConfiguration(t *testing.T) {
	const key = "resource \"aws_kms_key\" \"k\" {\n  policy = \"{}\"\n}\n"
	for name, files := range map[string]map[string]string{
		"no file":           {"readme": key},
		"a broken file":     {"a.tf": key, "b.tf": "resource {"},
		"defined twice":     {"a.tf": key, "b.tf": key},
		"not the attribute": {"a.tf": "resource \"aws_kms_key\" \"k\" {}"},
	} {
		if got, _, _, ok := text(files, tfsource.Place{Resource: "aws_kms_key.k", Attr: "policy"}); ok {
			t.Errorf("%s tells %q", name, got)
		}
	}
}

// No text makes it fail otherwise than by telling nothing, and what is told is the same twice.
func FuzzText(f *testing.F) {
	for _, seed := range []string{`jsonencode({a = local.arn})`, "<<EOF\n${each.key}\nEOF", `[for x in var.told.teams : x]`, `"%{ if true }a%{ endif }"`, `try(local.loop, file("main.tf"))`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, expr string) {
		files := map[string]string{"main.tf": roles + "resource \"aws_kms_key\" \"k\" {\n  policy = " + expr + "\n}\n"}
		p := tfsource.Place{Resource: "aws_kms_key.k", Attr: "policy"}
		a, _, _, ok := text(files, p)
		if b, _, _, again := text(files, p); a != b || ok != again {
			t.Errorf("%q is %q and %q", expr, a, b)
		}
	})
}

// TestBelow has attributes within blocks, some of them dynamic.
func TestBelow(t *testing.T) {
	const blocks = roles + `
resource "thing" "t" {
  count = 2

  plain { name = "first" }

  dynamic "plain" {
    for_each = { a = aws_iam_role.app.arn, b = null }
    iterator = at

    content {
      name = at.key
      arn  = at.value
      on   = at.key == "a"

      dynamic "inner" {
        for_each = toset([at.key])

        content {
          list = concat([inner.key, inner.value], var.told.teams)
        }
      }
    }
  }

  plain { name = "last" }

  dynamic "unknown" {
    for_each = var.untold

    content {}
  }

  dynamic "single" {
    for_each = var.told.on ? [count.index] : []

    content {
      name  = "single ${single.value}"
      gone  = aws_iam_role.app.name
      other = single.nothing
    }
  }
}
`
	for _, tt := range []struct {
		path  []any
		value any
		ok    bool
	}{
		{[]any{"plain", 0, "name"}, "first", true},
		{[]any{"plain", 0, "arn"}, nil, true},
		{[]any{"plain", 1, "name"}, "a", true},
		{[]any{"plain", 1, "arn"}, "arn:role/app", true},
		{[]any{"plain", 1, "on"}, true, true},
		{[]any{"plain", 2, "on"}, false, true},
		{[]any{"plain", 2, "arn"}, nil, true},
		{[]any{"plain", 2, "inner", 0, "list"}, []string{"b", "b", "x", "y"}, true},
		{[]any{"plain", 3, "name"}, "last", true},
		{[]any{"plain", 4, "name"}, nil, false},
		{[]any{"plain", 2, "inner", 1, "list"}, nil, false},
		{[]any{"single", 0, "name"}, "single 1", true},
		{[]any{"single", 0, "gone"}, nil, false},
		{[]any{"single", 0, "other"}, nil, false},
		{[]any{"unknown", 0, "name"}, nil, false},
		{[]any{"nothing", 0, "name"}, nil, false},
		{[]any{"plain", "name", "name"}, nil, false},
		{[]any{"count"}, nil, false}, // a number
	} {
		files := tfsource.New(fstest.MapFS{"main.tf": &fstest.MapFile{Data: []byte(blocks)}})
		value, _, where, ok := files.Below(world{}, tfsource.Place{Resource: "thing.t", Key: "[1]"}, tt.path)
		if !reflect.DeepEqual(value, tt.value) || ok != tt.ok || ok && !strings.HasPrefix(where, "main.tf:") {
			t.Errorf("%v is %#v, %v at %q, want %#v, %v", tt.path, value, ok, where, tt.value, tt.ok)
		}
	}
}

package tfplan_test

import (
	"testing"
	"testing/fstest"

	"github.com/kagimori/kagimori/internal/tfplan"
)

func TestBlocks(t *testing.T) {
	b, err := tfplan.FindBlocks(fstest.MapFS{
		"main.tf":            {Data: []byte("# group\nresource \"aws_autoscaling_group\" \"web\" {\n}\n\n  data \"aws_kms_key\" \"k\" {}\n")},
		"modules/key/key.tf": {Data: []byte("resource \"aws_kms_key\" \"this\" {\n}\n")},
		"modules/a/a.tf":     {Data: []byte("resource \"aws_x\" \"y\" {}")},
		"modules/b/b.tf":     {Data: []byte("resource \"aws_x\" \"y\" {}")},
		".terraform/m/x.tf":  {Data: []byte("resource \"aws_kms_key\" \"this\" {\n}\n")},
		"notes.txt":          {Data: []byte("resource \"aws_kms_key\" \"text\" {")},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		address, file string
		line          int
	}{
		{"aws_autoscaling_group.web", "main.tf", 2}, {`aws_autoscaling_group.web["a.b"]`, "main.tf", 2}, {"data.aws_kms_key.k", "main.tf", 5},
		{"module.key[0].aws_kms_key.this", "modules/key/key.tf", 1}, {"aws_kms_key.this", "", 0}, {"module.a.aws_x.y", "", 0}, {"aws_kms_key.text", "", 0},
	} {
		file, line, ok := b.Where(tt.address)
		if file != tt.file || line != tt.line || ok != (tt.file != "") {
			t.Errorf("%s: %s:%d, %t", tt.address, file, line, ok)
		}
	}
}

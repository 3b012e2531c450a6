package policy_test

import (
	"bytes"
	"testing"

	"github.com/kagimori/kagimori/internal/policy"
)

func TestAppendedStatementsLeaveEveryByte(t *testing.T) {
	const added = "{\n  \"Sid\": \"new\",\n  \"Effect\": \"Allow\",\n  \"Action\": [\"kms:Decrypt\"],\n  \"Resource\": \"*\"\n}"
	const flat = `{"Sid":"new","Effect":"Allow","Action":["kms:Decrypt"],"Resource":"*"}`
	const one = `{"Effect":"Allow","Action":"kms:*","Resource":"*"}`
	for _, tt := range []struct{ rule, src, want string }{
		{"on one line", `{"Statement":[` + one + `]}`, `{"Statement":[` + one + `, ` + flat + `]}`},
		{"what follows stays", `{"Statement":[` + one + ` ] , "Version":"2012-10-17"} `, `{"Statement":[` + one + `, ` + flat + ` ] , "Version":"2012-10-17"} `},
		{"a single statement becomes a list", `{"Statement": ` + one + ` }`, `{"Statement": [` + one + `, ` + flat + `] }`},
		{"layout follows the last statement", "{\"Statement\":[\n\t" + one + "\n]}", "{\"Statement\":[\n\t" + one +
			",\n\t{\n\t  \"Sid\": \"new\",\n\t  \"Effect\": \"Allow\",\n\t  \"Action\": [\n\t    \"kms:Decrypt\"\n\t  ],\n\t  \"Resource\": \"*\"\n\t}\n]}"},
		{"so do the ends of lines", "{\"Statement\":[\r\n" + one + "\r\n]}", "{\"Statement\":[\r\n" + one +
			",\r\n{\r\n  \"Sid\": \"new\",\r\n  \"Effect\": \"Allow\",\r\n  \"Action\": [\r\n    \"kms:Decrypt\"\r\n  ],\r\n  \"Resource\": \"*\"\r\n}\r\n]}"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			out, ok := policy.AppendStatements([]byte(tt.src), []byte(added))
			if !ok || string(out) != tt.want {
				t.Errorf("%v\n%s\nwant\n%s", ok, out, tt.want)
			}
			d, err := policy.Parse(out, policy.Identity)
			if err != nil || len(d.Statements) != 2 || d.Statements[1].Sid != "new" {
				t.Errorf("parsed: %+v, %v", d, err)
			}
		})
	}
	for name, src := range map[string]string{"no policy": `{`, "no statements": `{"Statement":[]}`, "nothing": ``} {
		if out, ok := policy.AppendStatements([]byte(src), []byte(added)); ok {
			t.Errorf("%s: %s", name, out)
		}
	}
	if _, ok := policy.AppendStatements([]byte(`{"Statement":[`+one+`]}`), []byte(`{"Sid"`)); ok {
		t.Error("a statement that is no JSON was added")
	}
}

// Removing what was added from the result gives the source back, whatever the layout.
func FuzzAppendStatements(f *testing.F) {
	f.Add([]byte(`{"Statement":[{"Effect":"Allow","Action":"a:b","Resource":"*"}]}`))
	f.Add([]byte("{\r\n \"Statement\" : {\"Effect\":\"Deny\",\"Action\":\"a:b\",\"Resource\":\"*\"}\r\n}"))
	f.Fuzz(func(t *testing.T, src []byte) {
		out, ok := policy.AppendStatements(src, []byte(`{"Effect":"Allow","Action":"x:Appended","Resource":"*"}`))
		if !ok {
			return
		}
		before, err := policy.Parse(src, policy.Identity)
		if err != nil {
			return
		}
		after, err := policy.Parse(out, policy.Identity)
		if err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		if len(after.Statements) != len(before.Statements)+1 {
			t.Fatalf("%d statements became %d", len(before.Statements), len(after.Statements))
		}
		for i, st := range before.Statements {
			a := after.Statements[i].Pos
			if !bytes.Equal(src[st.Pos.Start:st.Pos.End], out[a.Start:a.End]) {
				t.Fatalf("statement %d changed", i)
			}
		}
	})
}

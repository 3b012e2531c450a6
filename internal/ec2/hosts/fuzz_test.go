package hosts_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// Whatever a host is asked, it answers. LIFE stands for its life, without which it does nothing.
func FuzzServe(f *testing.F) {
	for _, seed := range []string{
		"", "{}", "[]", `{"op":"attend","token":1}`, `{"op":"attend","token":1,"keep":["vol-1","snap-1"]}`, `{"op":"no-such-op","token":1,"life":"LIFE"}`,
		`{"op":"create","token":1,"life":"LIFE"}`, `{"op":"create","token":1,"life":"LIFE","file":{"id":"vol-1","size":1048576}}`,
		`{"op":"fill","token":1,"life":"LIFE","snapshot":"snap-1","kind":1,"file":{"id":"vol-2","size":4096}}`, `{"op":"fill","token":1,"life":"LIFE"}`,
		`{"op":"hold","token":1,"life":"LIFE","id":"vol-1","instance":"i-1","key":"AAAA"}`, `{"op":"release","token":1,"life":"LIFE","id":"vol-1"}`,
		`{"op":"remove","token":1,"life":"LIFE","id":"../vol-1"}`, `{"op":"grow","token":1,"life":"LIFE","id":"vol-1","size":-1}`,
		`{"op":"begin","token":1,"life":"LIFE","id":"vol-1","snapshot":"snap-1"}`, `{"op":"store","token":1,"life":"LIFE"}`, `{"op":"drop","token":1,"life":"LIFE"}`,
		`{"op":"export","token":1,"life":"LIFE","export":{}}`, `{"op":"exports","token":1,"life":"LIFE"}`, `{"op":"end-exports","token":1,"life":"LIFE"}`,
		`{"op":"boot","token":1,"life":"LIFE"}`, `{"op":"halt","token":1,"life":"LIFE"}`, `{"op":"reboot","token":1,"life":"LIFE"}`, `{"op":"plug","token":1,"life":"LIFE"}`,
		`{"op":"unplug","token":1,"life":"LIFE"}`, `{"op":"console","token":1,"life":"LIFE"}`, `{"op":"forget","token":1,"life":"LIFE"}`, `{"op":"report","token":1,"life":"LIFE"}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, request string) {
		a, life := agent(t)
		answer := a.Serve(t.Context(), []byte(strings.ReplaceAll(request, "LIFE", life)))
		var out struct{ Fault, Text string }
		if err := json.Unmarshal(answer, &out); err != nil || out.Fault == "" && out.Text != "" {
			t.Errorf("the answer is %s (%v)", answer, err)
		}
	})
}

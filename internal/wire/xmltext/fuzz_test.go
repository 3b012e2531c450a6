package xmltext_test

import (
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/wire/xmltext"
)

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "<a><b>c</b><b/></a>", `<?xml version="1.0"?><a xmlns="x">&lt;&#x41;</a>`, "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", strings.Repeat("<a>", 5000), "<a></b>", "<a/><b/>", "<a>]]></a>"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		if e, err := xmltext.Parse(doc); (e == nil) == (err == nil) {
			t.Fatalf("%v, %v", e, err)
		}
	})
}

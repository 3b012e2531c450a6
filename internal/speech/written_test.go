package speech_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/speech"
)

func TestWritten(t *testing.T) {
	for _, tt := range []struct{ en, ja string }{
		{"aws_ami.base.id is not known before apply", "aws_ami.base.id は適用前にはわかりません"},
		{"key arn:aws:kms:us-west-2:111122223333:key/1 is not in the plan", "キー arn:aws:kms:us-west-2:111122223333:key/1 はプランにありません"},
		{"the key policy of arn:aws:kms:us-west-2:111122223333:key/1 (/keys/0/policy: data.aws_iam_policy_document.k.statement[0].condition is not known before apply)",
			"arn:aws:kms:us-west-2:111122223333:key/1 のキーポリシー (/keys/0/policy: data.aws_iam_policy_document.k.statement[0].condition は適用前にはわかりません)"},
		{"the value of the condition key aws:PrincipalTag/team", "条件キー aws:PrincipalTag/team の値"},
		{"/launch/templates/0/imageId: image ami-1 is not in the template; Fn::Cidr is not computed", "/launch/templates/0/imageId: イメージ ami-1 はテンプレートにありません; Fn::Cidr は計算しません"},
		{"whoever applies the plan in account 111122223333 may do what identity policies can allow: the plan does not say",
			"アカウント 111122223333 でプランを適用するプリンシパル には、アイデンティティベースのポリシーで許可できるすべてが許可されているものとします (プランからはわかりません)"},
		{"Step 2 of 3: The launch asks for kms:CreateGrant too: add a statement to the key policy of arn:aws:kms:us-west-2:111122223333:key/1 that allows kms:CreateGrant to arn:aws:iam::111122223333:role/r.",
			"手順 2/3: 起動には kms:CreateGrant も必要です: arn:aws:kms:us-west-2:111122223333:key/1 のキーポリシーに、arn:aws:iam::111122223333:role/r に kms:CreateGrant を許可するステートメントを追加します。"},
		{`Statement "use" of the key policy (account 111122223333) would allow it, but its condition StringEquals kms:ViaService wants "ec2", the request does not have it: change the condition or the request.`,
			`キーポリシー (アカウント 111122223333)のステートメント "use" は許可していますが、条件 StringEquals kms:ViaService が求める値は "ec2"、リクエストにこのキーはありません: 条件またはリクエストを変更します。`},
		{"Somebody with kms:PutKeyPolicy on the key in account 111122223333, in Region us-west-2.", "アカウント 111122223333、リージョン us-west-2 で、キーに対する kms:PutKeyPolicy を持つ人が実行してください。"},
		{`No permission can outweigh it: only changing or removing statement "no" of the identity policy boss (account 111122223333) can help.`,
			`アクセス許可では覆せません: アイデンティティベースのポリシー boss のステートメント "no" (アカウント 111122223333) の変更または削除が必要です。`},
		{`Another statement has the Sid "use": the new one is called "use2".`, `別のステートメントが Sid "use" を使っているため、新しいステートメントの Sid は "use2" です。`},
		{"security team did not answer", "security team did not answer"}, // whoever wrote a scenario by hand
		{"100% of it", "100% of it"},
		{"", ""},
	} {
		text := speech.Written(tt.en)
		if got := text.In(speech.Japanese); got != tt.ja {
			t.Errorf("%q is %q, want %q", tt.en, got, tt.ja)
		}
		if got := text.String(); got != tt.en || text.Empty() != (tt.en == "") {
			t.Errorf("%q in English is %q", tt.en, got)
		}
	}
	if got := speech.AllWritten([]string{"a", "it is no text"}); len(got) != 2 || got[1].In(speech.Japanese) != "文字列ではありません" {
		t.Errorf("%v", got)
	}
}

// TestWhatIsWrittenIsSaid: each format of what is written down has the words of a string in the
// sources, in order, and as many arguments in both languages.
func TestWhatIsWrittenIsSaid(t *testing.T) {
	var literals strings.Builder
	for _, name := range []string{"tfplan", "cfn", "live", "doctor", "authz", "authz/explain", "ask/compare", "policy/keyview", "kagimori"} {
		files, err := filepath.Glob(filepath.Join("..", name, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			src, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, src, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
					s, _ := strconv.Unquote(l.Value)
					literals.WriteString(s + "\n")
				}
				return true
			})
		}
	}
	all := literals.String()
	formats := speech.WrittenFormats()
	if len(formats) < 100 {
		t.Fatalf("only %d formats", len(formats))
	}
	for en, ja := range formats {
		if a, b := len(speech.Verbs(en)), len(speech.Verbs(ja)); a != b {
			t.Errorf("%q has %d arguments, %q %d", en, a, ja, b)
		}
		for _, piece := range strings.FieldsFunc(strings.NewReplacer("(--", "\n(--", "=...)", "\n", " (/", "\n", "/%s", "\n", "%s", "\n", "whoever ", "whoever\n", " in account ", "\n", "cps of", "cps\n of", "always, ", "always\n, ", "if %s", "if \n").Replace(en), func(r rune) bool { return r == '\n' }) {
			if piece = strings.Trim(piece, " ,:;()"); !strings.Contains(all, piece) {
				t.Errorf("%q: nobody writes %q", en, piece)
			}
		}
	}
}

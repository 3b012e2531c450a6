package speech

// ofAnswers is what the commands explain, who-can and what-can say beside what the server does.
var ofAnswers = []entry{
	{"%s by %s", "%s (呼び出し元: %s)"},
	{"%s at %s", "%s、%s"},
	{"For: %s", "対象: %s"},
	{"for: %s", "対象: %s"},
	{"Fix \"%s\", which opens the least:", "修正案 \"%s\" (追加で許可されるものが最も少ない):"},
	{"Fix \"%s\", as AWS's page gives it:", "修正案 \"%s\" (AWS のドキュメントに記載のとおり):"},
	{"Fix \"%s\", which puts right what is there:", "修正案 \"%s\" (既存のステートメントを修正):"},
	{"Fix \"%s\", which excepts it from the deny:", "修正案 \"%s\" (拒否の対象から除外):"},
	{"Another way:", "別の方法:"},
	{"Who", "実行者"},
	{"who", "実行者"},
	{"Opens: %s", "追加で許可されるもの: %s"},
	{"opens: %s", "追加で許可されるもの: %s"},
	{"allows", "許可"},
	{"denies", "拒否"},
	{"leaves it to the account's identity policies", "アカウントのアイデンティティベースのポリシーに委任"},
	{"no allow, and one is needed", "許可がなく、ここに許可が必要"},
	{"no allow", "許可なし"},
	{"to change: %s", "必要な変更: %s"},
	{" [line %d, column %d]", " [%d 行目、%d 列目]"},
	{"not in the request", "リクエストに含まれていません"},
	{"not shown to this account, or not known", "このアカウントには表示されないか、不明です"},
	{"expected: %s", "期待される値: %s"},
	{"actual:   %s", "実際の値:     %s"},
	{"Nobody that this account may know of can do that.", "このアカウントが確認できる範囲で、実行できるプリンシパルはありません。"},
	{"It can do nothing with the keys of the Region.", "このリージョンのキーに対して実行できることはありません。"},
	{"There are more answers than one question gets.", "ほかにも該当するものがありますが、一度に示せる数を超えています。"},
	{"%s: it depends", "%s: 条件によります"},
	{"by %s", "%s による"},
	{"if %s %s, by %s", "%s %s の場合、%s による"},
	{"not if %s %s, by %s", "%s %s の場合を除く、%s による"},
	{"and %d grants more that are like some of these", "ほかに、同様のグラントが %d 件"},
	{"if allowed by %s", "%s で許可されている場合"},
	{"grant %s", "グラント %s"},
	{"statement %s of %s %s", "%[2]s %[3]s のステートメント %[1]s"},
}

// ofStored are said, and read too.
var ofStored = []entry{
	{"snapshot %s", "スナップショット %s"},
	{"volume %s", "ボリューム %s"},
}

// ofDepends are what a decision may depend on; see authz.PartDecision.
var ofDepends = []entry{
	{"key aws:%s", "条件キー aws:%s"},
	{"key kms:%s", "条件キー kms:%s"},
	{"identity policies of account %s", "アカウント %s のアイデンティティベースのポリシー"},
	{"document identity policies of account %s", "アカウント %s のアイデンティティベースのポリシー"},
}

package speech

// ofDiff is what policy diff says.
var ofDiff = []entry{
	{"%s gains %s (now: %s)", "%s に %s が許可されます (変更後: %s)"},
	{"%s loses %s (before: %s)", "%s は %s を実行できなくなります (変更前: %s)"},
	{"%s can do %s more often\n  before: %s\n  after:  %s", "%s が %s を実行できる条件が広がります\n  変更前: %s\n  変更後: %s"},
	{"%s can do %s less often\n  before: %s\n  after:  %s", "%s が %s を実行できる条件が狭まります\n  変更前: %s\n  変更後: %s"},
	{"%s can do %s otherwise\n  before: %s\n  after:  %s", "%s が %s を実行できる条件が変わります\n  変更前: %s\n  変更後: %s"},
	{"%s: before it %s, after it %s", "%s: 変更前は%s、変更後は%s"},
	{"does not launch", "起動できません"},
	{"depends on what is not known", "不明な事実によって決まります"},
	{"fails at step %s", "ステップ %s で失敗します"},
	{"%s is refused to %s", "%[2]s は %[1]s を実行できません"},
	{"%s is refused", "%s が拒否されます"},
}

// ofStates are whom and when a key policy allows something, as package compare writes it.
var ofStates = []entry{
	{"always", "常に"},
	{"never", "なし"},
	{"if %s", "%s の場合"},
	{"always, but not if %s", "常に (%s の場合を除く)"},
	{"if %s, but not if %s", "%s の場合 (%s の場合を除く)"},
	{"%s, or if %s", "%s の場合、または %s"},
	{"IAM policies of the account allow it", "アカウントの IAM ポリシーが許可している"},
	{"anybody else in account %s", "アカウント %s のほかのプリンシパル"},
	{"anybody in organization %s", "組織 %s のプリンシパル"},
	{"anybody in other accounts", "別の AWS アカウントのプリンシパル"},
	{"whoever matches %s", "%s に一致するプリンシパル"},
}

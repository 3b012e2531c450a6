package speech

// ofLive are the sentences that package live writes down.
var ofLive = []entry{
	{"%s may not %s: %s", "%s は %s を実行できません: %s"},
	{"it is not visible to the account of the launch", "起動するアカウントから見えません"},
	{"there are no credentials for account %s: give its --profile or --role-arn", "アカウント %s の認証情報がありません。--profile または --role-arn を指定してください"},
	{"the image is the value of the parameter %s, which is not read", "イメージはパラメータ %s の値で、読み取りません"},
	{"%s levels of the organization above account %s allow only what their policies list, and a scenario can tell of one",
		"アカウント %[2]s の上位にある組織の %[1]s つの階層がポリシーに列挙したものだけを許可していますが、シナリオで表せるのは 1 つです"},
	{"the grant %s on %s is limited to the source %s too", "%[2]s のグラント %[1]s は送信元 %[3]s にも制限されています"},
	{"%s names no image: whoever launches names it", "%s にイメージの指定がありません (起動時に指定します)"},
	{"the image %s is not visible to account %s", "イメージ %s はアカウント %s から見えません"},
	{"%s: the image %s has no volumes", "%s: イメージ %s にボリュームがありません"},
	{"the key %s does not exist any more; it is told as one that is pending deletion", "キー %s はもう存在しないため、削除保留中のものとして示します"},
	{"assumed: no organization policy denies anything to account %s, or on its keys; they could not be read: %s",
		"仮定: アカウント %s とそのキーに対して拒否する組織のポリシーはないものとします (読み取れませんでした: %s)"},
}

// ofFacts are the facts that package doctor says a verdict depends on.
var ofFacts = []entry{
	{"the value of the condition key %s", "条件キー %s の値"},
	{"the key policy of %s (/%s: %s)", "%s のキーポリシー (/%s: %s)"},
	{"the policies of %s (/%s: %s)", "%s のポリシー (/%s: %s)"},
	{"permissions boundary of %s (/%s: %s)", "%s のアクセス許可の境界 (/%s: %s)"},
	{"scps of %s (/%s: %s)", "%s のサービスコントロールポリシー (SCP) (/%s: %s)"},
	{"rcps of %s (/%s: %s)", "%s のリソースコントロールポリシー (RCP) (/%s: %s)"},
	{"%s (/%s is not a policy)", "%s (/%s はポリシーではありません)"},
	{"%s (/%s: %s)", "%s (/%s: %s)"},
	{"/%s: %s", "/%s: %s"},
	{"the grants of key %s (/%s: %s)", "キー %s のグラント (/%s: %s)"},
	{"the grants of key %s, for account %s is not described", "キー %s のグラント (アカウント %s の記述がありません)"},
	{"the policy of key %s, for account %s is not described", "キー %s のキーポリシー (アカウント %s の記述がありません)"},
	{"which key %s is, for account %s is not described", "%s がどのキーか (アカウント %s の記述がありません)"},
	{"which other keys there are (/%s: %s)", "ほかにどのキーがあるか (/%s: %s)"},
	{"the aliases of %s (/%s: %s)", "%s のエイリアス (/%s: %s)"},
	{"whether account %s encrypts by default in %s", "アカウント %s の %s でのデフォルトでの暗号化"},
	{"the default key of account %s in %s", "アカウント %s の %s でのデフォルトの暗号化キー"},
	{"whether %s exists, for account %s is not described", "%s が存在するか (アカウント %s の記述がありません)"},
	{"the key of the call", "呼び出しのキー"},
}

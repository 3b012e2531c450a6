package speech

// ofDoctor is what package doctor says of a launch and of policies.
var ofDoctor = []entry{
	{" to open the volume", " (ボリュームを開くため)"},
	{" to read the snapshot", " (スナップショットを読むため)"},
	{" to write the volume", " (ボリュームに書き込むため)"},
	{"A service-linked role cannot be given an IAM policy: only a grant on the key can allow this.", "サービスにリンクされたロールに IAM ポリシーは付けられません。キーのグラントだけがこれを許可できます。"},
	{"account's root user", "アカウントのルートユーザー"},
	{"the %s", "%s"},
	{"the grant %s", "グラント %s"},
	{"statement %q of %s", "%[2]s のステートメント %[1]q"},
	{"the key policy of %s", "%s のキーポリシー"},
	{"policy %s of %s", "%[2]s のポリシー %[1]s"},
	{"the permissions boundary of %s", "%s のアクセス許可の境界"},
	{"the organization's policy %s", "組織のポリシー %s"},
	{"the policy of setup step %d for %s", "準備ステップ %d の %s のポリシー"},
	{"unknown-action: %s matches no action", "unknown-action: %s に一致するアクションはありません"},
	{"%s: %s (statement %d of %s)", "%s: %s (%[4]s のステートメント %[3]d)"},
	{"grant-stays: the grant that %s needed cannot be retired, for %s on %s is refused to %s",
		"grant-stays: %s に使ったグラントの使用停止ができません。%[4]s は %[3]s に対する %[2]s を実行できません"},
	{"later-attach: %s can create the volume %s but not attach it: %s on %s is refused (%s)",
		"later-attach: %s はボリューム %s を作成できますが、アタッチできません: %[4]s に対する %[3]s が拒否されます (%[5]s)"},
}

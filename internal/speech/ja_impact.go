package speech

// ofImpact is what the command impact says.
var ofImpact = []entry{
	{"At once:", "ただちに:"},
	{"When the host restarts and opens the volumes of running instances again:", "ホストが再起動し、実行中のインスタンスのボリュームを開き直すとき:"},
	{"When an instance is started after a stop:", "停止したインスタンスを開始するとき:"},
	{"When something new is launched:", "新しく起動または作成するとき:"},
	{"Nothing that can be seen from here stops working.", "ここから確認できる範囲で、動かなくなるものはありません。"},
	{"and by %d grants that are like some of these", "ほかに、同様の付与 %d 件により許可されています"},
	{"until then allowed by %s", "それまでは %s により許可されています"},
	{"it depends on %s", "%s によって決まります"},
	{"There are more; all in all:", "ほかにもあります。全体では:"},
	{"%s: %d of type %s", "%s: %[3]s が %[2]d 件"},
	{"Fails today already, and is not told here: %d.", "現時点ですでに失敗するもの (ここには示していません): %d 件。"},
	{"Refused today, and works afterwards:", "現在は拒否され、変更後に動くようになるもの:"},
	{"%s: %s works", "%s: %s が成功します"},
	{"%s of %s", "%[2]s の %[1]s"},
	{"%s: cannot be told", "%s: 判定できません"},
	{"%s: %s on %s only on conditions that did not apply before", "%s: %[3]s に対する %[2]s は、これまでなかった条件を満たす場合にのみ許可されます"},
	{"%s: %s on %s is refused (%s)", "%s: %[3]s に対する %[2]s が拒否されます (%[4]s)"},
	{"%s: %s fails (%s)", "%s: %s が失敗します (%s)"},
	{"%s: %s fails, for %s by %s on %s is refused (%s)", "%s: %s が失敗します。%[5]s に対する %[4]s の %[3]s が拒否されるためです (%[6]s)"},
}

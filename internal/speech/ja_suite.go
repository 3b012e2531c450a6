package speech

// ofSuite is what packages suite and report say of tests.
var ofSuite = []entry{
	{"the decision is %s, want %s", "判定は %s です (期待は %s)"},
	{"%s: %s, want %s", "%s: %s (期待は %s)"},
	{"it cannot be told whether it launches", "起動できるか判定できません"},
	{"it launches, and the test wants it not to", "起動できますが、テストは起動できないことを期待しています"},
	{"it does not launch, and the test wants it to", "起動できませんが、テストは起動できることを期待しています"},
	{"the warning is not given: %s", "警告がありません: %s"},
	{"fix %d cannot be applied: %s", "修正案 %d を適用できません: %s"},
	{"with fix %d it does not launch", "修正案 %d を適用しても起動できません"},
	{"it expects nothing", "期待の記述がありません"},
	{"%d tests: %d passed, %d failed, %d cannot be read, %d expect nothing", "テスト %d 件: 合格 %d、不合格 %d、読み取り不可 %d、期待なし %d"},
}

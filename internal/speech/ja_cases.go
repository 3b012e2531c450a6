package speech

// ofCases is what package casefile says of decisions.
var ofCases = []entry{
	{"%s, expected %s", "%s (期待は %s)"},
	{"fix %d: %s", "修正案 %d: %s"},
	{"and: %s", "さらに: %s"},
}

package image

// BuildExt2 is buildExt2 for tests.
var BuildExt2 = buildExt2

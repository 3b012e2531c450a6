package etcd

// CheckVersion is for tests.
var CheckVersion = checkVersion

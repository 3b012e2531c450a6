// Package etcdtest runs real etcd members in the process of a test. It is a module of its own, since
// the server brings some sixty modules that the program does not need.
package etcdtest

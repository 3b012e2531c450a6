// Package nbd serves volumes to clients of the Network Block Device protocol, so that a kernel, QEMU,
// nbdcopy or fio can use them.
//
// Source of all numbers and rules: "The NBD protocol" (doc/proto.md of the NetworkBlockDevice project),
// here called the protocol. Served are: fixed newstyle negotiation with STARTTLS, LIST, INFO, GO,
// EXPORT_NAME, structured replies and the metadata context base:allocation; the commands READ, WRITE,
// FLUSH, TRIM, WRITE_ZEROES and BLOCK_STATUS; the flags FUA, DF, NO_HOLE, FAST_ZERO and REQ_ONE.
//
// # Promises
//
//   - A write with FUA, and every write that was answered before a FLUSH that was answered, is durable.
//     That holds over all connections of an export, so clients may use several (CAN_MULTI_CONN).
//   - Requests of a connection run at the same time, a bounded number with a bounded amount of data.
//   - When an export ends (Export.Done), its connections are closed, and what still runs is answered
//     with ESHUTDOWN or not at all.
//
// # Trust
//
// The protocol has no passwords. Whoever can name an export can use it: the name is the secret, so
// names are not listed unless Config.Names says which, and a server that asks for TLS takes no name
// before it. Input of clients is bounded before it is believed; a client that breaks the protocol in
// a way that leaves no next message is disconnected.
package nbd

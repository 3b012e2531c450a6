// Package partition runs three etcd members and three nodes as processes, breaks what is between them
// and them themselves, and checks what clients saw meanwhile.
//
// Every request is written down with the times before it was sent and after it was answered, of one
// clock. Two checkers read that history. The first looks for an order of all operations that is
// consistent with these times and with what a key, its policy and its grants are ([Linear], over the
// library porcupine). The second asks of each read how old its answer was at least ([Ages]); where reads
// may be of a second ago, no answer may be older, and none may be of the future. Encrypting counts as a
// read of the grant or policy that it needs.
//
// A write whose answer did not come, or said that it is not known, may have happened or not, and
// may happen as late as it likes.
package partition

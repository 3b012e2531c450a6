// Package blockdev keeps volumes as sparse files in a folder, and snapshots of them as objects, plain or
// encrypted with AES-256-XTS under the data key that KMS wrapped. A [Shelf] has both.
//
// # The file
//
// A volume is one file, <id>.kvol. All numbers are little-endian.
//
//	0          header, copy 0 (16 KiB slot): see header.go
//	16 KiB     header, copy 1
//	32 KiB     allocation map, one bit for each 4 KiB sector: was it ever written?
//	data       sector 0; the offset is the end of the map rounded up to 1 MiB (1 MiB for 8 GiB)
//
// A sector whose bit is clear reads as zeros whatever the file holds there; it is never decrypted.
// The file has its full length from the start, holes use no disk space.
//
// The wrapped data key is in the header, so that the host can read it ([ReadInfo]) and ask KMS to
// decrypt it. With the 64 bytes of the data key in a file, Linux itself can read a volume (a sector
// that was never written then shows noise instead of zeros):
//
//	cryptsetup open --type plain --cipher aes-xts-plain64 --key-size 512 --key-file data.key \
//	    --sector-size 4096 --iv-large-sectors --offset 2048 --readonly vol-x.kvol plain-x
//
// where --offset is Info.DataOffset/512. The flag --iv-large-sectors counts the tweak in 4096-byte
// sectors, as we do; package crypt says why.
//
// # Snapshots
//
// A snapshot is an index and objects with the written sectors of its 512 KiB blocks, as they are in the
// file; blocks that an earlier snapshot has already are shared with it (see index.go, and
// docs/design/007-snapshots.md). Opened, it looks like the file of a volume that cannot be written.
//
// # Crashes
//
// A file appears under its name only when it is complete and on disk ([Create]). After that:
//
//   - The two header copies are written in turn, each with a generation number and a checksum. A torn
//     one is ignored in favour of the other.
//   - What was flushed survives. [Volume.Flush] first makes data durable, then the map that says the
//     data is there, so no bit ever points at a sector that was not written. A sector that was written
//     but not flushed reads afterwards as before, as after, or as a mix of 512-byte pieces of both, like
//     on any disk with a volatile cache. Where "before" is a hole it may read as zeros.
//   - [Volume.Trim] clears bits; the space is given back only when the cleared bits are durable.
//   - The header says whether the volume was closed properly. If it was, it also holds a checksum of
//     the map, which [Open] and [Check] compare.
//
// # Trust
//
// Whoever can read the folder learns sizes, key ARNs and which sectors are in use, but no content of
// encrypted volumes. Whoever can write it can destroy, replace or roll back sectors and whole volumes:
// XTS does not authenticate. He cannot read content, and cannot make us write it in the clear: opening
// a volume with a key fails unless its header says that it is encrypted.
package blockdev

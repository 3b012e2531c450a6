// Package app turns a configuration into a running server: it opens the data directory, unseals
// the root key, makes every mechanism and service, and gives each service the others as the small
// interfaces it asks for. It is the only package that knows every implementation.
//
// The data directory:
//
//	kagimori.json     which format the directory has, and whether it is a development server's
//	seal.json         the sealed root key; without it nothing in the store can be decrypted
//	store.db          everything that is remembered
//	trail/            the audit log
//	volumes/          the volume files, encrypted under data keys
//	snapshots/        the blocks of snapshots, as they are in the volumes, and their indexes
//	snapshots.json    the bucket that they are in instead, if there is one
//	root-credentials  the first credentials, for the operator to take away
//
// Who can write the directory can make the server forget or refuse, not decrypt: see the
// packages hsm/soft, store/bolt and trail for what each file withstands. Who can read it and a
// plain-file seal can decrypt everything.
package app

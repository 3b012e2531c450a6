//go:build !unix

package bolt

import "os"

// unlock does nothing: here the lock ends with the file.
func unlock(*os.File) {}

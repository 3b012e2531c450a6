package app

import "runtime/debug"

// Settle gives back the memory that only the start of a server needed: garbage, and pages of the program.
func Settle() {
	debug.FreeOSMemory()
	forgetProgram()
}

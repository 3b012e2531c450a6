package app_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/app"
)

// Of the mappings of a program only those are forgotten that are as the file has them.
func TestUnchangedMappings(t *testing.T) {
	const smaps = `00400000-01d81000 r-xp 00000000 fe:00 9978066                            /opt/kagimori
Size:              26116 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
01d81000-039cc000 r--p 01981000 fe:00 9978066                            /opt/kagimori
Anonymous:             4 kB
039cc000-03a6e000 rw-p 035cc000 fe:00 9978066                            /opt/kagimori
Anonymous:             0 kB
7f0000000000-7f0000001000 r--p 00000000 fe:00 12                         /lib/libc.so.6
Anonymous:             0 kB
7f0000002000-7f0000003000 r--p 00000000 fe:00 12                         /opt/kagimori (deleted)
Anonymous:             0 kB
7ffd00000000-7ffd00021000 rw-p 00000000 00:00 0                          [stack]
Anonymous:             0 kB
a0000000-a0001000 r--p 00000000 fe:00 9978066                            /opt/kagimori
Anonymous:             0 kB
`
	got := app.Unchanged(strings.NewReader(smaps), "/opt/kagimori")
	if want := [][2]uintptr{{0x400000, 0x1d81000}, {0xa0000000, 0xa0001000}}; !slices.Equal(got, want) {
		t.Errorf("%x", got)
	}
}

// A process goes on after it forgot what it does not use, and has mappings of its own to forget.
func TestSettle(t *testing.T) {
	app.Settle()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got := app.Unchanged(f, program); len(got) == 0 {
		t.Error("none of the program's mappings is found")
	}
}

package app

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// forgetProgram unmaps the pages of the program's code and constants. The start reads most of them once: the
// runtime's tables, the initialization of packages. Those that are used come back from the page cache, with a
// fault each. A failure changes nothing.
//
// Sources: madvise(2), MADV_DONTNEED of a private mapping of a file; proc_pid_smaps(5).
func forgetProgram() {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return
	}
	for _, r := range unchanged(bytes.NewReader(smaps), program) {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, r.from, r.until-r.from, unix.MADV_DONTNEED)
	}
}

// A region is a mapping.
type region struct{ from, until uintptr }

// unchanged are the mappings of a file that cannot be written and of which nothing was changed, so that what
// is read there after is the same as before.
func unchanged(smaps io.Reader, file string) (all []region) {
	var r region
	ours := false
	for lines := bufio.NewScanner(smaps); lines.Scan(); {
		// 00400000-01d81000 r-xp 00000000 fe:00 9978066 /usr/bin/kagimori, and lines such as "Anonymous: 0 kB"
		words := strings.Fields(lines.Text())
		if len(words) < 3 {
			continue
		}
		if from, until, ok := strings.Cut(words[0], "-"); ok {
			a, err := strconv.ParseUint(from, 16, 64)
			b, err2 := strconv.ParseUint(until, 16, 64)
			r = region{uintptr(a), uintptr(b)}
			ours = err == nil && err2 == nil && len(words) == 6 && words[5] == file && (words[1] == "r-xp" || words[1] == "r--p")
			continue
		}
		if ours && words[0] == "Anonymous:" && words[1] == "0" {
			all = append(all, r)
		}
	}
	return all
}

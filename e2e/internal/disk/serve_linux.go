package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// notice is struct seccomp_notif.
type notice struct {
	id         uint64
	pid, flags uint32
	nr         int32
	arch       uint32
	ip         uint64
	args       [6]uint64
}

// response is struct seccomp_notif_resp.
type response struct {
	id    uint64
	val   int64
	err   int32
	flags uint32
}

// addition is struct seccomp_notif_addfd.
type addition struct {
	id          uint64
	flags, src  uint32
	fd, fdFlags uint32
}

const notifAddFD = 0x40182103 // _IOW('!', 3, struct seccomp_notif_addfd)

// serve answers the program's calls until it is gone.
func (d *Disk) serve() {
	defer close(d.done)
	defer unix.Close(d.listener)
	for {
		polled := []unix.PollFd{{Fd: int32(d.listener), Events: unix.POLLIN}}
		if _, err := unix.Poll(polled, -1); errors.Is(err, unix.EINTR) {
			continue
		}
		if polled[0].Revents&unix.POLLIN == 0 {
			return
		}
		var n notice
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(d.listener), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&n)))
		if errno != 0 { // EINTR, or the caller was killed
			continue
		}
		d.handle(&n)
	}
}

// ask makes a request of the listener, again if a signal interrupts it, as those of Go's scheduler do.
func (d *Disk) ask(request uint, about unsafe.Pointer) (uintptr, syscall.Errno) {
	for {
		if r, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(d.listener), uintptr(request), uintptr(about)); errno != unix.EINTR {
			return r, errno
		}
	}
}

// send answers a call. It fails if the caller is gone.
func (d *Disk) send(r response) { _, _ = d.ask(unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&r)) }

// gone reports whether the caller was killed.
func (d *Disk) gone(n *notice) bool {
	id := n.id
	_, errno := d.ask(unix.SECCOMP_IOCTL_NOTIF_ID_VALID, unsafe.Pointer(&id))
	return errno == unix.ENOENT
}

func (d *Disk) goOn(n *notice) {
	d.send(response{id: n.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE})
}

func (d *Disk) fail(n *notice, errno syscall.Errno) { d.send(response{id: n.id, err: -int32(errno)}) }

// handle notes a call and answers it.
func (d *Disk) handle(n *notice) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s, mine := d.understand(n)
	if !mine {
		d.goOn(n)
		return
	}
	a := d.decide(s)
	if a.Wait > 0 {
		go func() {
			time.Sleep(a.Wait)
			d.mu.Lock()
			defer d.mu.Unlock()
			d.answer(n, s, a)
		}()
		return
	}
	d.answer(n, s, a)
}

// answer has the kernel make a call, or makes it. mu is held.
func (d *Disk) answer(n *notice, s Step, a Answer) {
	switch {
	case a.Err != 0:
		if s.Kind == Sync {
			d.note(Step{Kind: Lost, File: s.File})
		}
		d.fail(n, a.Err)
	case a.Forget:
		d.send(response{id: n.id})
	case s.Kind == Sync || s.Kind == SyncDir: // the disk is this journal: no other waits for one
		d.note(s)
		d.send(response{id: n.id})
	case n.nr == unix.SYS_OPENAT:
		d.open(n, s)
	case n.nr == unix.SYS_PWRITE64 || n.nr == unix.SYS_WRITE:
		d.note(s)
		d.goOn(n)
	default: // of names: only if it succeeds
		d.names(n, s)
	}
}

// understand is the step that a call would make; mine is false if it is none of the folder.
func (d *Disk) understand(n *notice) (s Step, mine bool) {
	a := n.args
	switch n.nr {
	case unix.SYS_WRITE, unix.SYS_PWRITE64:
		id, _, ok := d.file(n, a[0])
		if !ok {
			return s, false
		}
		data, err := d.memory(n, a[1], a[2])
		at := int64(a[3])
		if n.nr == unix.SYS_WRITE {
			at, err = d.position(n, a[0], id)
		}
		if err != nil && d.gone(n) { // before its call was looked at: it writes nothing
			return s, false
		}
		if err != nil {
			d.strange("a write cannot be read: %v", err)
			return s, false
		}
		return Step{Kind: Write, File: id, At: at, Data: data}, true
	case unix.SYS_FSYNC, unix.SYS_FDATASYNC:
		id, dir, ok := d.file(n, a[0])
		if ok && dir != "" {
			return Step{Kind: SyncDir, Name: dir}, true
		}
		return Step{Kind: Sync, File: id}, ok
	case unix.SYS_FTRUNCATE:
		id, _, ok := d.file(n, a[0])
		return Step{Kind: Truncate, File: id, Size: int64(a[1])}, ok
	case unix.SYS_TRUNCATE:
		name, ok := d.path(n, here(), a[0])
		var st unix.Stat_t
		if ok && unix.Stat(filepath.Join(d.folder, name), &st) == nil {
			return Step{Kind: Truncate, File: d.ids[st.Ino], Size: int64(a[1])}, true
		}
		return s, false
	case unix.SYS_FALLOCATE:
		id, _, ok := d.file(n, a[0])
		if a[1] == unix.FALLOC_FL_KEEP_SIZE { // room for what is written later: nothing in the file changes
			return s, false
		}
		if ok && a[1]&unix.FALLOC_FL_PUNCH_HOLE == 0 {
			d.strange("fallocate with mode %d", a[1])
			return s, false
		}
		return Step{Kind: Punch, File: id, At: int64(a[2]), Size: int64(a[3])}, ok
	case unix.SYS_OPENAT:
		name, ok := d.path(n, a[0], a[1])
		return Step{Kind: Link, Name: name}, ok
	case unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2:
		from, ok := d.path(n, a[0], a[1])
		to, ok2 := d.path(n, a[2], a[3])
		return Step{Kind: Rename, From: from, Name: to}, ok && ok2
	case unix.SYS_LINKAT:
		from, ok := d.path(n, a[0], a[1])
		to, ok2 := d.path(n, a[2], a[3])
		return Step{Kind: Link, From: from, Name: to}, ok && ok2
	case unix.SYS_UNLINKAT:
		name, ok := d.path(n, a[0], a[1])
		if a[2]&unix.AT_REMOVEDIR != 0 {
			return Step{Kind: Rmdir, Name: name}, ok
		}
		return Step{Kind: Unlink, Name: name}, ok
	case unix.SYS_MKDIRAT:
		name, ok := d.path(n, a[0], a[1])
		return Step{Kind: Mkdir, Name: name}, ok
	}
	_, _, ok := d.file(n, a[0])
	if slices.Contains(oldCalls(), uint32(n.nr)) {
		_, ok = d.path(n, here(), a[0])
	}
	if ok {
		d.strange("call %d", n.nr)
	}
	return s, false
}

// here is the descriptor that stands for the current folder.
func here() uint64 {
	fd := int64(unix.AT_FDCWD)
	return uint64(fd)
}

// memory reads of the program.
func (d *Disk) memory(n *notice, addr, size uint64) ([]byte, error) {
	data := make([]byte, size)
	if size == 0 {
		return data, nil
	}
	local := []unix.Iovec{{Base: &data[0]}}
	local[0].SetLen(int(size))
	k, err := unix.ProcessVMReadv(int(n.pid), local, []unix.RemoteIovec{{Base: uintptr(addr), Len: int(size)}}, 0)
	if err == nil && k != int(size) {
		err = fmt.Errorf("%d of %d bytes", k, size)
	}
	return data, err
}

// text reads a string that ends with a zero; it may end near the end of what can be read.
func (d *Disk) text(n *notice, addr uint64) (string, error) {
	var out []byte
	for len(out) < unix.PathMax {
		part, err := d.memory(n, addr, 256-addr%256)
		if err != nil {
			return "", err
		}
		for i, b := range part {
			if b == 0 {
				return string(append(out, part[:i]...)), nil
			}
		}
		out, addr = append(out, part...), addr+uint64(len(part))
	}
	return "", errors.New("a path without end")
}

func (d *Disk) proc(n *notice, what string) string { return fmt.Sprintf("/proc/%d/%s", n.pid, what) }

// file is what a descriptor of the program is of: a file below the folder, or a folder.
func (d *Disk) file(n *notice, fd uint64) (id int, dir string, ok bool) {
	link := d.proc(n, fmt.Sprintf("fd/%d", int32(fd)))
	target, err := os.Readlink(link)
	if err != nil || below(d.folder, target) == "" {
		return 0, "", false
	}
	var st unix.Stat_t
	if err := unix.Stat(link, &st); err != nil {
		return 0, "", false
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return 0, below(d.folder, target), true
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return 0, "", false
	}
	id, known := d.ids[st.Ino]
	if !known {
		d.strange("%s was never made", target)
	}
	return id, "", known
}

// path is a name that a call has, below the folder.
func (d *Disk) path(n *notice, at, addr uint64) (string, bool) {
	name, err := d.text(n, addr)
	if err != nil {
		return "", false
	}
	if !filepath.IsAbs(name) {
		link := "cwd"
		if int32(at) != unix.AT_FDCWD {
			link = fmt.Sprintf("fd/%d", int32(at))
		}
		dir, err := os.Readlink(d.proc(n, link))
		if err != nil {
			return "", false
		}
		name = filepath.Join(dir, name)
	}
	name = below(d.folder, filepath.Clean(name))
	return name, name != ""
}

// position is where a write without an offset goes.
func (d *Disk) position(n *notice, fd uint64, id int) (int64, error) {
	raw, err := os.ReadFile(d.proc(n, fmt.Sprintf("fdinfo/%d", int32(fd))))
	if err != nil {
		return 0, err
	}
	var pos, flags int64
	for line := range strings.Lines(string(raw)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch key {
		case "pos":
			pos, err = strconv.ParseInt(strings.TrimSpace(value), 10, 64)
		case "flags":
			flags, _ = strconv.ParseInt(strings.TrimSpace(value), 8, 64)
		}
	}
	if flags&unix.O_APPEND != 0 {
		pos = d.sizes[id]
	}
	return pos, err
}

// open makes or cuts a file for the program and hands it over.
func (d *Disk) open(n *notice, s Step) {
	name := filepath.Join(d.folder, s.Name)
	_, err := os.Lstat(name)
	fresh := errors.Is(err, os.ErrNotExist)
	flags, mode := int(n.args[2]), uint32(n.args[3])
	fd, err := unix.Open(name, flags|unix.O_CLOEXEC, mode)
	if err != nil {
		errno := unix.EIO
		_ = errors.As(err, &errno)
		d.fail(n, errno)
		return
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		d.strange("%s: %v", s.Name, err)
	}
	switch id, known := d.ids[st.Ino]; {
	case fresh || !known:
		d.ids[st.Ino] = d.File()
		s.File = d.ids[st.Ino]
		d.note(s)
	case flags&unix.O_TRUNC != 0 && d.sizes[id] > 0:
		d.note(Step{Kind: Truncate, File: id})
	}
	add := addition{id: n.id, src: uint32(fd)}
	if flags&unix.O_CLOEXEC != 0 {
		add.fdFlags = unix.O_CLOEXEC
	}
	// In two steps: where one call hands the file over and answers, and a signal interrupts it, Linux answers
	// descriptor 0 and hands nothing over.
	if there, errno := d.ask(notifAddFD, unsafe.Pointer(&add)); errno == 0 { // fails if the caller is gone
		d.send(response{id: n.id, val: int64(there)})
	}
}

// names makes a change of names, or of a size, for the program.
func (d *Disk) names(n *notice, s Step) {
	name, from := filepath.Join(d.folder, s.Name), filepath.Join(d.folder, s.From)
	var err error
	var st unix.Stat_t
	switch s.Kind {
	case Rename:
		if err = unix.Lstat(from, &st); err == nil {
			err = unix.Rename(from, name)
		}
	case Link:
		if err = unix.Lstat(from, &st); err == nil {
			err = unix.Link(from, name)
		}
	case Unlink:
		err = unix.Unlink(name)
	case Rmdir:
		err = unix.Rmdir(name)
	case Mkdir:
		err = unix.Mkdir(name, uint32(n.args[2]))
	case Truncate, Punch:
		d.note(s)
		d.goOn(n)
		return
	}
	if err != nil {
		errno := unix.EIO
		_ = errors.As(err, &errno)
		d.fail(n, errno)
		return
	}
	if s.Kind == Rename || s.Kind == Link {
		if st.Mode&unix.S_IFMT == unix.S_IFDIR {
			d.strange("the folder %s has another name", s.From)
		}
		s.File = d.ids[st.Ino]
	}
	d.note(s)
	d.send(response{id: n.id})
}

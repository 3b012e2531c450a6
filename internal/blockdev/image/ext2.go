package image

import (
	"encoding/binary"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// The file system is ext2, revision 1, in one block group: simple enough to write in full, and every
// tool reads it. All numbers on disk are little-endian.
const (
	blockSize  = 4096
	fsBlocks   = 1024 // 4 MiB
	inodes     = 64
	inodeSize  = 128
	rootInode  = 2
	firstInode = 11 // the ones before are reserved
	direct     = 12 // blocks that an inode names itself; larger files are refused

	// Where things are, as block numbers.
	groupBlock       = 1
	blockBitmapBlock = 2
	inodeBitmapBlock = 3
	inodeTableBlock  = 4
	firstDataBlock   = inodeTableBlock + inodes*inodeSize/blockSize

	modeDir  = 0o040000
	modeFile = 0o100000
	typeFile = 1
	typeDir  = 2
)

// ext2 is a file system being made.
type ext2 struct {
	blocks    []byte // from the start of the disk, grows
	nextInode uint32
	dirs      uint16
	seconds   uint32
}

// node is a file or a folder with its children.
type node struct {
	inode    uint32
	perm     uint16
	data     string
	children map[string]*node // nil: a file
}

// buildExt2 gives the used part of a file system of 4 MiB with the files, by path without leading
// slash. The same arguments give the same bytes.
func buildExt2(files map[string]string, id [16]byte, at time.Time) ([]byte, error) {
	root := &node{inode: rootInode, perm: 0o755, children: map[string]*node{
		"lost+found": {perm: 0o700, children: map[string]*node{}},
	}}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := root.add(name, files[name]); err != nil {
			return nil, err
		}
	}
	e := &ext2{blocks: make([]byte, firstDataBlock*blockSize), nextInode: firstInode, seconds: uint32(at.Unix())}
	if err := e.number(root); err != nil {
		return nil, err
	}
	if err := e.writeDir(root, root); err != nil {
		return nil, err
	}
	if len(e.blocks) > fsBlocks*blockSize {
		return nil, fmt.Errorf("ext2: the files need more than %d blocks", fsBlocks)
	}
	e.finish(id)
	return e.blocks, nil
}

// add puts a file into the tree, with the folders on its way.
func (n *node) add(name, data string) error {
	if name == "" || path.Clean("/"+name) != "/"+name {
		return fmt.Errorf("ext2: %q is not a clean path", name)
	}
	parts := strings.Split(name, "/")
	for i, part := range parts {
		if len(part) > 255 {
			return fmt.Errorf("ext2: the name %q is too long", part)
		}
		child, ok := n.children[part]
		if last := i == len(parts)-1; last {
			if ok {
				return fmt.Errorf("ext2: %q is there already", name)
			}
			n.children[part] = &node{perm: 0o644, data: data}
			return nil
		}
		if !ok {
			child = &node{perm: 0o755, children: map[string]*node{}}
			n.children[part] = child
		}
		if child.children == nil {
			return fmt.Errorf("ext2: %q is a file", part)
		}
		n = child
	}
	return nil
}

// number gives inodes to everything below n. lost+found comes first where it is customary: inode 11.
func (e *ext2) number(n *node) error {
	names := slices.SortedFunc(maps.Keys(n.children), func(a, b string) int {
		if a == "lost+found" {
			return -1
		}
		if b == "lost+found" {
			return 1
		}
		return strings.Compare(a, b)
	})
	for _, name := range names {
		child := n.children[name]
		if e.nextInode > inodes {
			return fmt.Errorf("ext2: more than %d files", inodes-firstInode+1)
		}
		child.inode = e.nextInode
		e.nextInode++
		if err := e.number(child); err != nil {
			return err
		}
	}
	return nil
}

// writeDir writes the folder n and all that is in it.
func (e *ext2) writeDir(n, parent *node) error {
	e.dirs++
	links := uint16(2) // its name and its own "."
	dir := entry(nil, n.inode, typeDir, ".")
	dir = entry(dir, parent.inode, typeDir, "..")
	for _, name := range slices.Sorted(maps.Keys(n.children)) {
		child := n.children[name]
		kind := byte(typeFile)
		if child.children != nil {
			kind = typeDir
			links++
			if err := e.writeDir(child, n); err != nil {
				return err
			}
		} else if err := e.writeInode(child, modeFile, 1, child.data); err != nil {
			return err
		}
		dir = entry(dir, child.inode, kind, name)
	}
	if len(dir) > blockSize {
		return fmt.Errorf("ext2: a folder with too many files")
	}
	// The last entry reaches to the end of the block.
	last := 0
	for next := 0; next < len(dir); next += int(binary.LittleEndian.Uint16(dir[next+4:])) {
		last = next
	}
	binary.LittleEndian.PutUint16(dir[last+4:], uint16(blockSize-last))
	dir = append(dir, make([]byte, blockSize-len(dir))...)
	return e.writeInode(n, modeDir, links, string(dir))
}

// entry appends a folder entry: inode, length of the entry, length of the name, type, name.
func entry(dir []byte, inode uint32, kind byte, name string) []byte {
	le := binary.LittleEndian
	size := (8 + len(name) + 3) / 4 * 4
	dir = le.AppendUint32(dir, inode)
	dir = le.AppendUint16(dir, uint16(size))
	dir = append(dir, byte(len(name)), kind)
	dir = append(dir, name...)
	return append(dir, make([]byte, size-8-len(name))...)
}

// writeInode writes the data of n into new blocks, and its inode.
func (e *ext2) writeInode(n *node, mode, links uint16, data string) error {
	count := (len(data) + blockSize - 1) / blockSize
	if count > direct {
		return fmt.Errorf("ext2: a file of %d bytes is too large", len(data))
	}
	le := binary.LittleEndian
	b := e.blocks[inodeTableBlock*blockSize+int(n.inode-1)*inodeSize:][:inodeSize]
	le.PutUint16(b[0:], mode|n.perm)
	le.PutUint32(b[4:], uint32(len(data)))
	for _, at := range []int{8, 12, 16} { // accessed, changed, modified
		le.PutUint32(b[at:], e.seconds)
	}
	le.PutUint16(b[26:], links)
	le.PutUint32(b[28:], uint32(count*blockSize/512))
	for i := range count {
		le.PutUint32(b[40+4*i:], uint32(len(e.blocks)/blockSize+i))
	}
	// Appending may move the blocks, so the inode is complete before.
	e.blocks = append(e.blocks, data...)
	e.blocks = append(e.blocks, make([]byte, count*blockSize-len(data))...)
	return nil
}

// finish writes the superblock, the group descriptor and the bitmaps.
func (e *ext2) finish(id [16]byte) {
	le := binary.LittleEndian
	used := uint32(len(e.blocks) / blockSize)
	usedInodes := e.nextInode - 1
	freeBlocks, freeInodes := fsBlocks-used, inodes-usedInodes

	sb := e.blocks[1024:2048]
	for at, v := range map[int]uint32{
		0: inodes, 4: fsBlocks, 12: freeBlocks, 16: freeInodes,
		20: 0,        // the first block, because blocks are larger than 1 KiB
		24: 2, 28: 2, // block and fragment size: 1024 << 2
		32: 8 * blockSize, 36: 8 * blockSize, // blocks and fragments in a group
		40: inodes, // in a group
		48: e.seconds, 64: e.seconds,
		76: 1,          // revision with variable inode size
		84: firstInode, // the first that is not reserved
		96: 2,          // folder entries have a type
	} {
		le.PutUint32(sb[at:], v)
	}
	le.PutUint16(sb[54:], 0xffff) // no check after so many mounts
	le.PutUint16(sb[56:], 0xef53) // magic
	le.PutUint16(sb[58:], 1)      // cleanly unmounted
	le.PutUint16(sb[60:], 1)      // on errors: go on
	le.PutUint16(sb[88:], inodeSize)
	copy(sb[104:], id[:])
	copy(sb[120:136], "kagimori")

	gd := e.blocks[groupBlock*blockSize:]
	le.PutUint32(gd[0:], blockBitmapBlock)
	le.PutUint32(gd[4:], inodeBitmapBlock)
	le.PutUint32(gd[8:], inodeTableBlock)
	le.PutUint16(gd[12:], uint16(freeBlocks))
	le.PutUint16(gd[14:], uint16(freeInodes))
	le.PutUint16(gd[16:], e.dirs)

	fill(e.blocks[blockBitmapBlock*blockSize:][:blockSize], used, fsBlocks)
	fill(e.blocks[inodeBitmapBlock*blockSize:][:blockSize], usedInodes, inodes)
}

// fill sets the first used bits of a bitmap block, and those that stand for nothing: from size on.
func fill(bitmap []byte, used, size uint32) {
	for i := range uint32(len(bitmap) * 8) {
		if i < used || i >= size {
			bitmap[i/8] |= 1 << (i % 8)
		}
	}
}

// Package image is the catalogue of public machine images, and the small real disks behind them.
//
// Each disk has a valid ext2 file system at its start, made by this package from the entry alone: the
// same bytes on every machine and in every release. The images carry names and owners that clients look
// for (Amazon Linux, Ubuntu, Debian), but nothing of those systems' software, and say so in
// /etc/os-release. All of them exist in every region under the same id, which real images do not.
package image

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/blockdev"
)

// Architectures as EC2 writes them.
const (
	X86 = "x86_64"
	ARM = "arm64"
)

// Sizes of root disks.
const (
	rootGiB    = 8
	minimalGiB = 2
)

// An Entry describes one image. All images are EBS-backed, hvm, public and unencrypted.
type Entry struct {
	ID           string // ami-...
	Name         string
	Description  string
	Architecture string // X86 or ARM
	RootDevice   string // the device name of the root disk
	SnapshotID   string // snap-... of the root disk
	VolumeType   string // of the root disk: gp2 or gp3
	SizeGiB      int64  // of the root disk
	CreationDate time.Time
	Owner        string // the owner's alias
	OwnerID      string // the owner's account
	// SSMNames are the public parameters that name this image; empty for older images.
	SSMNames []string
	version  string // of the system it stands for
	system   system
}

// A system is what an image stands for, with who publishes it. Sources: EC2 User Guide, "Find an AMI" and
// "Shared AMIs" (verified providers have the alias amazon); Ubuntu on AWS documentation, "Find Ubuntu images";
// Debian Wiki, "Cloud/AmazonEC2Image".
type system struct {
	id         string // of /etc/os-release
	name       string
	owner      string // its account
	rootDevice string
}

func amazonLinux() system {
	return system{id: "amzn", name: "Amazon Linux", owner: "137112412989", rootDevice: "/dev/xvda"}
}

func ubuntu() system {
	return system{id: "ubuntu", name: "Ubuntu", owner: "099720109477", rootDevice: "/dev/sda1"}
}

func debian() system {
	return system{id: "debian", name: "Debian GNU/Linux", owner: "136693071363", rootDevice: "/dev/xvda"}
}

// Catalogue gives all images: the ids that AWS documentation uses in its examples, then the named
// ones. The order is fixed. The caller may change what it gets.
func Catalogue() []Entry {
	const ssm = "/aws/service/ami-amazon-linux-latest/"
	entries := []Entry{
		// Examples in the documentation name these ids; the names are our choice.
		{ID: "ami-12c6146b", Name: "amzn-ami-hvm-2017.03.0.20170417-x86_64-gp2", version: "2017.03"},
		{ID: "ami-03cf127a", Name: "amzn-ami-hvm-2017.03.1.20170812-x86_64-gp2", version: "2017.03"},
		{ID: "ami-fa7cdd89", Name: "amzn-ami-hvm-2016.03.0.20160318-x86_64-gp2", version: "2016.03"},
		{ID: "ami-f4cf1d8d", Name: "amzn-ami-hvm-2017.09.1.20171120-x86_64-gp2", version: "2017.09"},
		// An older one next to the newest, so that "most recent" has something to choose from.
		{Name: "al2023-ami-2023.6.20241121.0-kernel-6.1-x86_64", version: "2023"},
		{Name: "al2023-ami-2023.6.20241121.0-kernel-6.1-arm64", version: "2023"},
		{
			Name: "al2023-ami-2023.9.20251027.0-kernel-6.1-x86_64", version: "2023",
			SSMNames: []string{ssm + "al2023-ami-kernel-6.1-x86_64", ssm + "al2023-ami-kernel-default-x86_64"},
		},
		{
			Name: "al2023-ami-2023.9.20251027.0-kernel-6.1-arm64", version: "2023",
			SSMNames: []string{ssm + "al2023-ami-kernel-6.1-arm64", ssm + "al2023-ami-kernel-default-arm64"},
		},
		{Name: "amzn2-ami-hvm-2.0.20250220.0-x86_64-gp2", version: "2", SSMNames: []string{ssm + "amzn2-ami-hvm-x86_64-gp2"}},
		{Name: "amzn2-ami-hvm-2.0.20250220.0-arm64-gp2", version: "2", SSMNames: []string{ssm + "amzn2-ami-hvm-arm64-gp2"}},
		{
			Name: "amzn2-ami-kernel-5.10-hvm-2.0.20250220.0-x86_64-gp2", version: "2",
			SSMNames: []string{ssm + "amzn2-ami-kernel-5.10-hvm-x86_64-gp2"},
		},
	}
	entries = append(entries, others()...)
	for i := range entries {
		complete(&entries[i])
	}
	return entries
}

// others are the minimal images and those of other publishers.
func others() []Entry {
	return []Entry{
		{Name: "amzn2-ami-minimal-hvm-2.0.20250220.0-x86_64-ebs", version: "2"},
		{Name: "amzn2-ami-minimal-hvm-2.0.20250220.0-arm64-ebs", version: "2"},
		{Name: "al2023-ami-minimal-2023.9.20251027.0-kernel-6.1-x86_64", version: "2023"},
		{Name: "al2023-ami-minimal-2023.9.20251027.0-kernel-6.1-arm64", version: "2023"},
		{Name: "ubuntu/images/hvm-ssd/ubuntu-focal-20.04-amd64-server-20250530", version: "20.04", system: ubuntu()},
		{Name: "ubuntu/images/hvm-ssd/ubuntu-focal-20.04-arm64-server-20250530", version: "20.04", system: ubuntu()},
		{Name: "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-20251015", version: "22.04", system: ubuntu()},
		{Name: "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-arm64-server-20251015", version: "22.04", system: ubuntu()},
		{Name: "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20251022", version: "24.04", system: ubuntu()},
		{Name: "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-arm64-server-20251022", version: "24.04", system: ubuntu()},
		{Name: "debian-12-amd64-20251006-2257", version: "12", system: debian()},
		{Name: "debian-12-arm64-20251006-2257", version: "12", system: debian()},
	}
}

// complete fills in what follows from the name, the version and the system.
func complete(e *Entry) {
	if e.ID == "" {
		e.ID = "ami-0" + digest("image", e.Name)[:16]
	}
	if e.system == (system{}) {
		e.system = amazonLinux()
	}
	e.SnapshotID = "snap-0" + digest("snapshot", e.ID)[:16]
	e.Architecture, e.VolumeType, e.SizeGiB = X86, "gp2", rootGiB
	if strings.Contains(e.Name, ARM) {
		e.Architecture = ARM
	}
	what := e.system.name + " " + e.version + " " + e.Architecture + " HVM EBS"
	switch {
	case strings.HasPrefix(e.Name, "amzn-ami-"):
		what = e.system.name + " AMI " + e.version + " " + e.Architecture + " HVM EBS"
	case e.system == amazonLinux():
		what = e.system.name + " " + e.version + " AMI " + e.Architecture + " HVM EBS"
	case e.system == ubuntu():
		words := strings.Split(path.Base(e.Name), "-") // ubuntu-noble-24.04-amd64-server-20251022
		what = "Canonical, Ubuntu, " + e.version + ", " + words[3] + " " + words[1] + " image"
	}
	if e.version == "2023" || strings.Contains(e.Name, "gp3") {
		e.VolumeType = "gp3"
	}
	if strings.HasPrefix(e.Name, "amzn") && strings.Contains(e.Name, "-minimal-") {
		e.SizeGiB = minimalGiB
	}
	e.Description = what + " (kagimori sample disk)"
	e.RootDevice, e.Owner, e.OwnerID = e.system.rootDevice, "amazon", e.system.owner
	e.CreationDate = dateIn(e.Name)
}

// dateIn finds the eight digits of a date in a name.
func dateIn(name string) time.Time {
	for i := 0; i+8 <= len(name); i++ {
		if t, err := time.Parse("20060102", name[i:i+8]); err == nil {
			return t
		}
	}
	return time.Time{}
}

// digest is a stable hexadecimal name for something.
func digest(kind, name string) string {
	sum := sha256.Sum256([]byte("kagimori " + kind + "\x00" + name))
	return hex.EncodeToString(sum[:])
}

// Find gives the image with the id, which is that of the image or of its root snapshot.
func Find(id string) (Entry, bool) {
	all := Catalogue()
	i := slices.IndexFunc(all, func(e Entry) bool { return e.ID == id || e.SnapshotID == id })
	if i < 0 {
		return Entry{}, false
	}
	return all[i], true
}

// A Disk is the content of a root disk, as a [blockdev.Source]: a small file system at the start,
// nothing else. Safe for concurrent use.
type Disk struct {
	content []byte // from offset 0, whole sectors
	size    int64
}

var _ blockdev.Source = (*Disk)(nil)

// Open gives the root disk of an image, by the id of the image or of its snapshot. The error for an
// unknown id wraps fs.ErrNotExist.
func Open(id string) (*Disk, error) {
	e, ok := Find(id)
	if !ok {
		return nil, fmt.Errorf("image: no image %q: %w", id, fs.ErrNotExist)
	}
	content, err := buildExt2(e.files(), uuid(e.ID), e.CreationDate)
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", id, err)
	}
	return &Disk{content: content, size: e.SizeGiB << 30}, nil
}

// Size of the disk in bytes.
func (d *Disk) Size() int64 { return d.size }

// Extents are the ranges that hold something.
func (d *Disk) Extents() iter.Seq[blockdev.Extent] {
	return func(yield func(blockdev.Extent) bool) { yield(blockdev.Extent{Length: int64(len(d.content))}) }
}

// ReadAt reads from the disk; what is not in an extent is zeros. Less than len(p) bytes come with
// io.EOF.
func (d *Disk) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("image: %w", fs.ErrInvalid)
	}
	n := int(min(int64(len(p)), max(0, d.size-off)))
	done := 0
	if off < int64(len(d.content)) {
		done = copy(p[:n], d.content[off:])
	}
	clear(p[done:n])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// files are the contents of the file system, by path.
func (e Entry) files() map[string]string {
	return map[string]string{
		"etc/hostname": "localhost\n",
		"etc/os-release": fmt.Sprintf("NAME=%[2]q\nVERSION=%[1]q\nID=%[3]q\nVERSION_ID=%[1]q\n"+
			"PRETTY_NAME=\"%[2]s %[1]s (kagimori sample disk)\"\n", e.version, e.system.name, e.system.id),
		"etc/image-id": fmt.Sprintf("image_name=%q\nimage_arch=%q\nimage_file=%q\n", e.Name, e.Architecture, e.ID),
		"etc/fstab":    "UUID=" + formatUUID(uuid(e.ID)) + " / ext2 defaults 0 1\n",
		"README": "This is a small but real file system that stands for an operating system: kagimori starts\n" +
			"instances whose host opens and reads their disks, and does not boot them.\n",
	}
}

func uuid(id string) [16]byte {
	sum := sha256.Sum256([]byte("kagimori file system\x00" + id))
	u := [16]byte(sum[:16])
	u[6], u[8] = u[6]&0x0f|0x80, u[8]&0x3f|0x80 // version 8: made up by a rule of one's own
	return u
}

func formatUUID(u [16]byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

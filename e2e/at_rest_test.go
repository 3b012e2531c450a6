package e2e_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestAtRest compares what an image's content leaves on disk: a volume without encryption holds
// it as it is, an encrypted one does not hold a piece of it.
func TestAtRest_TheFilesOfEncryptedVolumesAreCiphertext(t *testing.T) {
	c := admin(t)
	c.serviceRole(t)
	key := c.seedKey(t)
	plain := c.volumeFile(t, c.runInstance(t))
	pieces := printable(plain)
	if len(pieces) < 3 {
		t.Fatalf("the plain volume holds %d readable pieces: there is nothing to compare", len(pieces))
	}
	for name, k := range map[string]string{"customer key": key, "managed key": ""} {
		g := c.group(t, 1, rootDevice(k))
		secret := c.volumeFile(t, g.running(t, 1)[0])
		for _, piece := range pieces {
			if bytes.Contains(secret, piece) {
				t.Errorf("%s: the encrypted volume holds %q in plain", name, piece)
			}
		}
		if n := len(printable(secret)); n > len(pieces)/2 {
			t.Errorf("%s: the encrypted volume holds %d readable pieces", name, n)
		}
		g.stop(t)
		eventually(t, "group gone", func() (bool, string) {
			left := must(c.asg.DescribeAutoScalingGroups(t.Context(), &describeGroups{}))(t).AutoScalingGroups
			return len(left) == 0 && len(c.volumes(t)) == 1, fmt.Sprint(len(left), " groups")
		})
		if _, err := c.ec2.DeleteLaunchTemplate(t.Context(), &deleteTemplate{LaunchTemplateName: new("web")}); err != nil {
			t.Fatal(err)
		}
	}
}

// volumeFile is what the data directory holds of an instance's only volume.
func (c *client) volumeFile(t *testing.T, instance string) []byte {
	t.Helper()
	vols := c.volumesOf(t, instance)
	if len(vols) != 1 {
		t.Fatalf("%s has %d volumes", instance, len(vols))
	}
	var all []byte
	err := filepath.WalkDir(filepath.Join(shared.Dir, "volumes"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(path, *vols[0].VolumeId) {
			return nil // other tests remove their volumes meanwhile
		}
		data, err := content(path)
		all = append(all, data...)
		return err
	})
	if err != nil || len(all) == 0 {
		t.Fatalf("the file of volume %s: %d bytes, %v", *vols[0].VolumeId, len(all), err)
	}
	return all
}

// content reads a file without its holes: volumes are large and sparse.
func content(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []byte
	for off := int64(0); ; {
		from, err := f.Seek(off, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) { // nothing but a hole is left
			return all, nil
		} else if err != nil {
			return nil, err
		}
		if off, err = f.Seek(from, unix.SEEK_HOLE); err != nil {
			return nil, err
		}
		piece := make([]byte, off-from)
		if _, err := f.ReadAt(piece, from); err != nil {
			return nil, err
		}
		all = append(all, piece...)
	}
}

// printable are the runs of 24 or more readable bytes, other than one character repeated, behind
// the header of a volume file.
func printable(data []byte) [][]byte {
	data = data[min(len(data), 4096):]
	var out [][]byte
	start := 0
	for i := 0; i <= len(data); i++ {
		if i < len(data) && data[i] >= ' ' && data[i] < 0x7f {
			continue
		}
		if run := data[start:i]; len(run) >= 24 && bytes.Count(run, run[:1]) < len(run) {
			out = append(out, run)
		}
		start = i + 1
	}
	return out
}

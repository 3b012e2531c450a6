//go:build linux

package app_test

import (
	"bytes"
	"crypto/aes"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/xts"
	"golang.org/x/sys/unix"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/objects"
	"github.com/kagimori/kagimori/internal/testkit"
)

// What an instance writes to an encrypted volume is in no file of the data directory; with the
// data key alone, another implementation of XTS reads it back from the volume's file.
func TestDataAtRest(t *testing.T) {
	const sectors = 3
	s := testkit.Start(t, testkit.Options{})
	c := s.As(testkit.Admin(account))
	createServiceRole(c)
	role := serviceRole(account)
	key := newKey(c, keyPolicy(owner(account), fmt.Sprintf(useStatement, role), fmt.Sprintf(attachStatement, role)))
	createGroup(c, key)
	settle(s)
	launched(t, c, 1, key)
	volumes := testkit.Call[ec2api.DescribeVolumesResult](c.EC2, "DescribeVolumes", &ec2api.DescribeVolumesRequest{}).Volumes
	id := *volumes[0].VolumeId

	disk, err := s.App.Disk(t.Context(), account, testkit.Region, id)
	if err != nil {
		t.Fatal(err)
	}
	pattern := make([]byte, sectors*blockdev.SectorSize)
	rand.Read(pattern)
	const first = 1000 // sector
	if _, err := disk.WriteAt(pattern, first*blockdev.SectorSize); err != nil {
		t.Fatal(err)
	}
	s.Stop()

	searched := searchFiles(t, s.Data(), pattern[100:164])
	if searched < 5 {
		t.Fatalf("only %d files were searched", searched)
	}
	got := readBeside(t, s, c, id, first, sectors)
	if !bytes.Equal(got, pattern) {
		t.Error("the sectors of the file do not decrypt to what was written")
	}
}

// searchFiles looks for a needle in what every file below dir holds and counts the files. Holes of
// sparse files are passed over: they read as zeros.
func searchFiles(t *testing.T, dir string, needle []byte) (n int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		n++
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		found, err := holds(f, needle)
		if found {
			t.Errorf("%s holds the pattern in the clear", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// holds reports whether the data of a file contains a needle.
func holds(f *os.File, needle []byte) (bool, error) {
	for at := int64(0); ; {
		begin, err := unix.Seek(int(f.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return false, nil // no data behind this
		}
		if err != nil {
			return false, err
		}
		if at, err = unix.Seek(int(f.Fd()), begin, unix.SEEK_HOLE); err != nil {
			return false, err
		}
		data := make([]byte, at-begin)
		if _, err := f.ReadAt(data, begin); err != nil {
			return false, err
		}
		if bytes.Contains(data, needle) {
			return true, nil
		}
	}
}

// readBeside decrypts sectors of a volume's file without the product's code for it: the data key
// from KMS, the file as its documentation describes it, and another XTS.
func readBeside(t *testing.T, s *testkit.Server, c testkit.Clients, id string, first, sectors int64) []byte {
	t.Helper()
	dir, err := os.OpenRoot(filepath.Join(s.Data(), "volumes"))
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	info, err := blockdev.ReadInfo(blockdev.NewShelf(dir, objects.NewFolder(dir)), id)
	if err != nil {
		t.Fatal(err)
	}
	s.Restart()
	c = s.As(testkit.Admin(account))
	dek := testkit.Call[kmsapi.DecryptResponse](c.KMS, "Decrypt", &kmsapi.DecryptRequest{
		CiphertextBlob: info.Encryption.WrappedKey, EncryptionContext: map[string]string{"aws:ebs:id": id},
	}).Plaintext
	if len(dek) != 64 {
		t.Fatalf("the data key has %d bytes", len(dek))
	}
	cipher, err := xts.NewCipher(aes.NewCipher, dek)
	if err != nil {
		t.Fatal(err)
	}
	f, err := dir.Open(id + ".kvol")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := make([]byte, sectors*blockdev.SectorSize)
	if _, err := f.ReadAt(out, info.DataOffset+first*blockdev.SectorSize); err != nil {
		t.Fatal(err)
	}
	for i := range sectors {
		sector := out[i*blockdev.SectorSize : (i+1)*blockdev.SectorSize]
		cipher.Decrypt(sector, sector, uint64(first+i))
	}
	return out
}

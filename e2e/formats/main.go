// Formats makes fixtures of data formats: it has a kagimori make something of everything that a data directory
// can hold, and packs the directory with what is to be found in it later. The test beside it has the present
// kagimori open what earlier ones left.
//
//	KAGIMORI_BIN=/path/to/kagimori go run ./formats -out formats/testdata/NAME.tar.gz
//
// Make one of the format that a change replaces, by the last program that writes it, before the change lands.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/kagimori/kagimori/e2e/internal/server"
)

// found is the name, in the archive, of what the fixture holds.
const found = "found.json"

func main() {
	out := flag.String("out", "", "archive to make")
	flag.Parse()
	if *out == "" {
		fmt.Fprintln(os.Stderr, "-out is missing")
		os.Exit(2)
	}
	if err := run(context.Background(), *out); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out string) error {
	dir, err := os.MkdirTemp("", "kagimori-format-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	data := filepath.Join(dir, "data")
	s, err := server.Run(data)
	if err != nil {
		return err
	}
	w := newWorld(s.URL)
	err = w.make(ctx)
	s.Stop()
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(w.holds, "", "\t")
	if err != nil {
		return err
	}
	for _, skipped := range w.holds.Skipped {
		fmt.Println("without", skipped)
	}
	return pack(out, data, text)
}

// pack writes the directory and what it holds.
func pack(out, data string, text []byte) (err error) {
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	z, err := gzip.NewWriterLevel(f, gzip.BestCompression)
	if err != nil {
		return err
	}
	t := tar.NewWriter(z)
	if err := add(t, found, text, 0, int64(len(text))); err != nil {
		return err
	}
	err = filepath.WalkDir(data, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(data, path)
		if err != nil {
			return err
		}
		return addFile(t, "data/"+filepath.ToSlash(name), path)
	})
	return errors.Join(err, t.Close(), z.Close())
}

// Records of a part of a file: where it lies, and how long the file is. Files of volumes are large and nearly
// empty, and gzip takes a megabyte to say so.
const (
	paxOffset = "KAGIMORI.offset"
	paxSize   = "KAGIMORI.size"
)

func add(t *tar.Writer, name string, data []byte, offset, size int64) error {
	err := t.WriteHeader(&tar.Header{
		Name: name, Mode: 0o600, Size: int64(len(data)), Format: tar.FormatPAX,
		PAXRecords: map[string]string{paxOffset: strconv.FormatInt(offset, 10), paxSize: strconv.FormatInt(size, 10)},
	})
	if err != nil {
		return err
	}
	_, err = t.Write(data)
	return err
}

// addFile adds the parts of a file that are not zeros.
func addFile(t *tar.Writer, name, path string) error {
	const part = 1 << 20
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	buf := make([]byte, part)
	for at := int64(0); ; at += part {
		n, err := f.ReadAt(buf, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if at == 0 || bytes.Trim(buf[:n], "\x00") != nil {
			if err := add(t, name, buf[:n], at, fi.Size()); err != nil {
				return err
			}
		}
		if at+int64(n) >= fi.Size() {
			return nil
		}
	}
}

// write writes a part of a file.
func write(path string, head *tar.Header, content []byte) error {
	offset, err := strconv.ParseInt(head.PAXRecords[paxOffset], 10, 64)
	if err != nil {
		return err
	}
	size, err := strconv.ParseInt(head.PAXRecords[paxSize], 10, 64)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(content, offset)
	return errors.Join(err, f.Truncate(size), f.Close())
}

// unpack makes the directory data of an archive, and gives what it holds.
func unpack(archive, data string) (h holds, err error) {
	f, err := os.Open(archive)
	if err != nil {
		return h, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return h, err
	}
	for t := tar.NewReader(z); ; {
		head, err := t.Next()
		if errors.Is(err, io.EOF) {
			return h, nil
		}
		if err != nil {
			return h, err
		}
		content, err := io.ReadAll(t)
		if err != nil {
			return h, err
		}
		if head.Name == found {
			if err := json.Unmarshal(content, &h); err != nil {
				return h, err
			}
			continue
		}
		if err := write(filepath.Join(data, filepath.FromSlash(head.Name[len("data/"):])), head, content); err != nil {
			return h, err
		}
	}
}

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/kagimori/kagimori/internal/policy"
)

// fmtFlags are the flags of policy fmt.
type fmtFlags struct{ write, check bool }

const fmtLong = `fmt prints policy documents in one form: elements in the order of AWS's documentation, Statement always a list, other
lists of one as a bare value, empty elements left out, condition values as strings, two spaces a level. What the
document means stays the same. The file - is standard input.`

func newPolicyFmt(io stdio) *cobra.Command {
	var f fmtFlags
	cmd := &cobra.Command{
		Use: "fmt FILE...", Short: "Print policy documents in canonical form", Long: fmtLong,
		Example: "  kagimori policy fmt policy.json\n  kagimori policy fmt --write policies/*.json\n  kagimori policy fmt --check policies/*.json",
		Args:    cobra.MinimumNArgs(1), RunE: func(_ *cobra.Command, files []string) error { return f.run(io, files) },
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().BoolVar(&f.write, "write", false, "write the files instead of printing them")
	cmd.Flags().BoolVar(&f.check, "check", false, "print the names of files that are in another form, and fail if there are any")
	return cmd
}

func (f *fmtFlags) run(io stdio, files []string) error {
	if f.write && f.check {
		return errors.New("--write and --check exclude each other")
	}
	differ := 0
	for _, name := range files {
		if name == "-" && f.write {
			return errors.New("--write is for files, not for standard input")
		}
		src, err := readDocument(io, name)
		if err != nil {
			return err
		}
		out, err := canonical(src)
		if err != nil {
			return unreadable(fmt.Errorf("%s:%w", shown(name), err))
		}
		same := bytes.Equal(src, out)
		switch {
		case f.check && !same:
			differ++
			fmt.Fprintln(io.out, shown(name))
		case f.write && !same:
			if err := replaceFile(name, out); err != nil {
				return failed(err)
			}
		case !f.check && !f.write:
			if _, err := io.out.Write(out); err != nil {
				return failed(err)
			}
		}
	}
	if differ > 0 {
		return failed(fmt.Errorf("%d of %d files are in another form", differ, len(files)))
	}
	return nil
}

// canonical is a document as fmt prints it.
func canonical(src []byte) ([]byte, error) {
	doc, err := policy.Parse(src, policy.Resource)
	if e, ok := errors.AsType[*policy.SyntaxError](err); ok {
		return nil, fmt.Errorf("%d:%d: %s", e.Line, e.Column, e.Reason)
	}
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, doc.Print(), "", "  "); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// replaceFile writes a file anew in one step, with the mode that it had.
func replaceFile(name string, data []byte) error {
	if real, err := filepath.EvalSymlinks(name); err == nil {
		name = real
	}
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(name), ".fmt-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Chmod(info.Mode().Perm()), tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}

package main

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kagimori/kagimori/internal/casefile"
	"github.com/kagimori/kagimori/internal/speech"
)

// decideFlags are the flags of decide.
type decideFlags struct {
	explain      bool
	format, lang string
}

const decideLong = `decide answers authorization questions without a server. It reads cases as JSON lines from files (of a folder, from all
its .jsonl files) or, without a file or with -, from standard input. A case has a principal, an action, a resource, the request's context and every policy that
bears on it: identity policies, permissions boundary, session policies, SCPs and RCPs, the resource's policy, grants,
a VPC endpoint policy. docs/decide.md describes the members; a member that is not known is an error.

For each case it prints one line, in the order of the input:

  {"id":"...","decision":"Allow|ExplicitDeny|ImplicitDeny|Undetermined","by":"identity|resource|grant|..."}

A document may be in a file of its own, {"file":"key-policy.json"}, beside the file with the case.

Facts may be unknown: {"unknown":true} as a context value, a document or the resource, and "unknown" as the type of the
principal. If the answer is the same whatever they are it is given; else it is Undetermined and "depends" names the
facts that would settle it.

A case that has "expect" and gets another decision is a failure. So policies can be tested where they are kept:
decide exits with 1 if a case failed or a line is no case (it says so with the line's number, and goes on).`

const decideExample = `  kagimori decide cases.jsonl
  kagimori decide --explain --format text < cases.jsonl
  kagimori decide --explain --format text --lang ja cases.jsonl
  kagimori decide tests/ && terraform apply`

func newDecide(io stdio) *cobra.Command {
	var f decideFlags
	cmd := &cobra.Command{
		Use: "decide [FILE|FOLDER...]", Short: "Decide authorization cases, and test policies with them", Long: decideLong, Example: decideExample,
		RunE: func(_ *cobra.Command, files []string) error { return f.run(io, files) },
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.BoolVar(&f.explain, "explain", false, "add why: every statement that was looked at, and verified fixes of what is denied")
	fl.StringVar(&f.format, "format", "json", "`FORMAT` of the answers: json (one line each) or text (for people)")
	addLanguage(fl, &f.lang)
	completeWords(cmd, "format", "json", "text")
	completeWords(cmd, "lang", "en", "ja")
	return cmd
}

func (f *decideFlags) run(io stdio, files []string) error {
	if f.format != "json" && f.format != "text" {
		return fmt.Errorf("--format %q is neither json nor text", f.format)
	}
	in, err := language(f.lang)
	if err != nil {
		return err
	}
	if len(files) == 0 {
		files = []string{"-"}
	}
	if files, err = caseFiles(files); err != nil {
		return failed(err)
	}
	cases := casefile.NewBuilder()
	var total casefile.Counts
	for _, name := range files {
		counts, err := f.file(io, cases, name, in)
		total.Cases += counts.Cases
		total.Failed += counts.Failed
		total.Errors += counts.Errors
		if err != nil {
			return failed(err)
		}
	}
	if total.Cases+total.Errors == 0 {
		return failed(errors.New("there is no case"))
	}
	return failed(verdict(total))
}

// caseFiles are the files of the arguments: of a folder its .jsonl files, those in folders below
// too, in the order of their names.
func caseFiles(names []string) ([]string, error) {
	var out []string
	for _, name := range names {
		if info, err := os.Stat(name); name == "-" || err != nil || !info.IsDir() {
			out = append(out, name) // what cannot be opened is told in its turn
			continue
		}
		n := len(out)
		err := filepath.WalkDir(name, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() && filepath.Ext(path) == ".jsonl" {
				out = append(out, path)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		if len(out) == n {
			return nil, fmt.Errorf("%s has no .jsonl files", name)
		}
	}
	return out, nil
}

// file decides the cases of one file.
func (f *decideFlags) file(io stdio, cases *casefile.Builder, name string, lang speech.Language) (casefile.Counts, error) {
	in, shown, dir := io.in, "standard input", "."
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return casefile.Counts{}, err
		}
		defer file.Close() // only read
		in, shown, dir = file, name, filepath.Dir(name)
	}
	in = plainReader(in)
	cases = cases.Files(func(name string) ([]byte, error) {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		return os.ReadFile(name)
	})
	counts, err := f.stream(in, io, cases, shown, lang)
	if err != nil {
		err = fmt.Errorf("%s: %w", shown, err)
	}
	return counts, err
}

func (f *decideFlags) stream(in io.Reader, io stdio, cases *casefile.Builder, shown string, lang speech.Language) (casefile.Counts, error) {
	return cases.Run(in, io.out, casefile.Options{
		Explain: f.explain, Text: f.format == "text", Language: lang,
		Error: func(line int, err error) { fmt.Fprintf(io.err, "%s:%d: %v\n", shown, line, err) },
	})
}

// plainReader reads what plainText makes of a text, line by line as it comes unless it is in UTF-16.
func plainReader(r io.Reader) io.Reader {
	in := bufio.NewReader(r)
	mark, _ := in.Peek(2) // a shorter text has no mark
	switch string(mark) {
	case "\xef\xbb":
		if mark, _ = in.Peek(3); len(plainText(mark)) == 0 {
			_, _ = in.Discard(len(mark)) // was peeked
		}
	case "\xff\xfe", "\xfe\xff":
		text, err := io.ReadAll(in)
		return io.MultiReader(bytes.NewReader(plainText(text)), failingReader{err})
	}
	return in
}

// A failingReader is a reader at its end, or at an error.
type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, cmp.Or(f.err, io.EOF) }

// verdict is the error of a run in which not all was well.
func verdict(c casefile.Counts) error {
	var wrong []string
	switch {
	case c.Failed == 1:
		wrong = append(wrong, fmt.Sprintf("one of %d cases is decided otherwise than it expects", c.Cases))
	case c.Failed > 0:
		wrong = append(wrong, fmt.Sprintf("%d of %d cases are decided otherwise than they expect", c.Failed, c.Cases))
	}
	switch {
	case c.Errors == 1:
		wrong = append(wrong, "one line is no case")
	case c.Errors > 0:
		wrong = append(wrong, fmt.Sprintf("%d lines are no cases", c.Errors))
	}
	if len(wrong) == 0 {
		return nil
	}
	return errors.New(strings.Join(wrong, "; "))
}

package casefile

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"runtime"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/kagimori/kagimori/internal/speech"
)

// maxLine is the length of the longest line, in bytes.
const maxLine = 16 << 20

// Counts of a [Run].
type Counts struct {
	Cases  int
	Failed int // cases with another decision than they expect
	Errors int // lines that are no cases
}

// An Options of a [Run].
type Options struct {
	Explain bool
	Text    bool // for people, instead of JSON lines
	// Language is that of texts for people.
	Language speech.Language
	// Error is told of each line that is no case.
	Error func(line int, err error)
}

// answer is what becomes of one line.
type answer struct {
	line   int
	text   []byte
	failed bool
	err    error
}

// Run decides the cases of r and writes one line for each line of r that is not blank, in their
// order: the result, or {"line", "error"} for a line that is no case. (As text a result has
// several lines.) Each is written as soon as
// it is known and no more input is waiting. The error is one of reading or writing.
func (b *Builder) Run(r io.Reader, w io.Writer, opt Options) (Counts, error) {
	ahead := 8 * runtime.GOMAXPROCS(0)
	order := make(chan chan answer, ahead) // answers to come, in order
	jobs := make(chan func(), ahead)
	stop := make(chan struct{})
	for range runtime.GOMAXPROCS(0) {
		go func() {
			for job := range jobs {
				job()
			}
		}()
	}
	readError := make(chan error, 1)
	go func() {
		defer close(order)
		defer close(jobs)
		readError <- lines(r, func(n int, line []byte) bool {
			done := make(chan answer, 1)
			select {
			case order <- done:
			case <-stop:
				return false
			}
			jobs <- func() { done <- b.answer(n, line, &opt) }
			return true
		})
	}()
	counts, err := collect(order, w, opt)
	close(stop)
	if err != nil {
		return counts, err // the reader may hang in a read of its own
	}
	return counts, <-readError
}

// lines yields the lines of r that are not blank, from 1.
func lines(r io.Reader, yield func(n int, line []byte) bool) error {
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 0, 64<<10), maxLine)
	n := 0
	for in.Scan() {
		n++
		line := bytes.TrimSpace(in.Bytes())
		if len(line) > 0 && !yield(n, bytes.Clone(line)) {
			return nil
		}
	}
	if err := in.Err(); err != nil {
		return fmt.Errorf("line %d: %w", n+1, err)
	}
	return nil
}

// collect writes the answers in order.
func collect(order <-chan chan answer, w io.Writer, opt Options) (Counts, error) {
	var c Counts
	out := bufio.NewWriterSize(w, 64<<10)
	for done := range order {
		var a answer
		select {
		case a = <-done:
		default: // not yet: let out what there is
			if err := out.Flush(); err != nil {
				return c, err
			}
			a = <-done
		}
		c.Cases++
		switch {
		case a.err != nil:
			c.Cases--
			c.Errors++
			if opt.Error != nil {
				opt.Error(a.line, a.err)
			}
		case a.failed:
			c.Failed++
		}
		if _, err := out.Write(a.text); err != nil {
			return c, err
		}
		if len(order) == 0 {
			if err := out.Flush(); err != nil {
				return c, err
			}
		}
	}
	return c, out.Flush()
}

func (b *Builder) answer(n int, line []byte, opt *Options) answer {
	a := answer{line: n}
	r, err := b.decideLine(line, opt.Explain)
	a.err, a.failed = err, err == nil && r.Expected != nil
	switch {
	case opt.Text && err != nil:
		a.text = fmt.Appendf(nil, "line %d: %v\n", n, err)
	case opt.Text:
		a.text = []byte(strings.Join(r.Lines(opt.Language), "\n") + "\n")
	case err != nil:
		a.text = a.json(struct {
			Line  int    `json:"line"`
			Error string `json:"error"`
		}{n, err.Error()})
	default:
		a.text = a.json(r)
	}
	return a
}

// json is a value on a line.
func (a *answer) json(v any) []byte {
	text, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		a.err = err
	}
	return append(text, '\n')
}

func (b *Builder) decideLine(line []byte, explained bool) (*Result, error) {
	c, err := Parse(line)
	if err != nil {
		return nil, err
	}
	return b.Decide(c, explained)
}

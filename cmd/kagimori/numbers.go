package main

import (
	"errors"
	"strconv"
	"time"

	"github.com/spf13/pflag"
)

// A number is the value of a flag that counts something: none that is negative. It is refused where it is given: on the
// command line, in a variable or in the file of settings.
type number struct{ to *int }

// numberVar registers a flag whose value counts something. What 0 means is the flag's: no bound, or its default.
func numberVar(fl *pflag.FlagSet, to *int, name string, value int, usage string) {
	*to = value
	fl.Var(&number{to}, name, usage)
}

func (n *number) String() string { return strconv.Itoa(*n.to) }
func (n *number) Type() string   { return "int" }

func (n *number) Set(text string) error {
	v, err := strconv.Atoi(text)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return errors.New("the number is too large")
	case err != nil:
		return errors.New("a number is wanted")
	case v < 0:
		return errors.New("0 is the least")
	}
	*n.to = v
	return nil
}

// A span is the value of a flag that is a time to wait: none that is negative.
type span struct{ to *time.Duration }

// spanVar registers a flag whose value is a time to wait.
func spanVar(fl *pflag.FlagSet, to *time.Duration, name string, value time.Duration, usage string) {
	*to = value
	fl.Var(&span{to}, name, usage)
}

func (s *span) Type() string { return "duration" }

// String is "0" for none: help leaves that default out.
func (s *span) String() string {
	if *s.to == 0 {
		return "0"
	}
	return s.to.String()
}

func (s *span) Set(text string) error {
	v, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return errors.New("a time such as 500ms, 20s or 5m is wanted")
	case v < 0:
		return errors.New("0s is the least")
	}
	*s.to = v
	return nil
}

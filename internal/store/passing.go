package store

import (
	"context"
	"errors"
	"log/slog"
)

// Passing reports whether an error says that the store could not be used for the moment: nobody refused
// anything, and the same may succeed soon.
func Passing(err error) bool { return errors.Is(err, ErrUnavailable) }

// Report tells in a log that work failed which is tried again: as a warning if the store could not be used
// for the moment, else as an error. Of work that another process goes on with (see [Over]) there is nothing to
// tell.
func Report(ctx context.Context, log *slog.Logger, what string, err error, args ...any) {
	if err == nil || Over(err) {
		return
	}
	level := slog.LevelError
	if Passing(err) {
		level = slog.LevelWarn
	}
	log.Log(ctx, level, what, append(args, "error", err)...)
}

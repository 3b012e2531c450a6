package ebs_test

import (
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/ebs"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/guard/guardtest"
)

// FuzzTokens: a token is good for the block or the page that it was made for, until it expires, and whatever
// else comes is refused as a token that is not valid.
func FuzzTokens(f *testing.F) {
	w := guardtest.New(f)
	s := ebs.New(ebs.Config{Guard: w.Guard, Clock: w.Clock, Blocks: w.Module.Box("blocks"), Pages: w.Module.Box("pages"), Logger: w.Logger})
	now := time.Unix(1_800_000_000, 0)
	c := &guard.Call{Region: "us-east-1", Operation: "ListSnapshotBlocks"}
	good, page := s.BlockToken("snap-1", 7, now.Add(time.Hour)), s.PageToken(c, "snap-1", 7, now)
	if err := s.CheckBlock(good, "snap-1", 7, now); err != nil {
		f.Fatal(err)
	}
	if b, err := s.OpenPage(c, "snap-1", page, now); err != nil || b != 7 {
		f.Fatal(b, err)
	}
	for _, text := range []string{good, page, "", "AAAA", good[:len(good)-4], good + "AAAA", "*"} {
		f.Add(text, "snap-1", int64(7), int64(0))
	}
	f.Add(good, "snap-2", int64(7), int64(0))
	f.Add(good, "snap-1", int64(8), int64(0))
	f.Add(good, "snap-1", int64(7), int64(3600))
	f.Fuzz(func(t *testing.T, text, snapshot string, block, later int64) {
		at := now.Add(time.Duration(later%100_000) * time.Second)
		err := s.CheckBlock(text, snapshot, block, at)
		if want := text == good && snapshot == "snap-1" && block == 7 && at.Before(now.Add(time.Hour)); (err == nil) != want {
			t.Errorf("the block token is taken: %v", err)
		}
		if err != nil && apierr.Code(err) != "ValidationException" {
			t.Errorf("the error is %v", err)
		}
		if _, err := s.OpenPage(c, snapshot, text, at); err == nil && (text != page || snapshot != "snap-1") {
			t.Error("a page token is taken that was not made")
		} else if err != nil && apierr.Code(err) != "ValidationException" {
			t.Errorf("the error is %v", err)
		}
	})
}

//go:build unix

package bolt_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/store/bolt"
)

// A test process with this variable is a child: "<what to do>:<path of the store>".
const childEnv = "KAGIMORI_STORE_TEST_CHILD"

func TestMain(m *testing.M) {
	what, path, child := strings.Cut(os.Getenv(childEnv), ":")
	if !child {
		os.Exit(m.Run())
	}
	run := map[string]func(string, io.Writer) error{"write": writeForever, "full": fillUp}[what]
	if err := run(path, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func child(t *testing.T, what, path string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childEnv+"="+what+":"+path)
	cmd.Stderr = os.Stderr
	return cmd
}

// writeForever makes changes from several goroutines and names each key as soon as it is
// acknowledged. Each change writes the key to two buckets and deletes an older pair now and then.
func writeForever(path string, out io.Writer) error {
	s, err := bolt.Open(bolt.Config{Path: path})
	if err != nil {
		return err
	}
	var mu sync.Mutex
	failed := make(chan error)
	for w := range 8 {
		go func() {
			for i := 0; ; i++ {
				key := fmt.Sprintf("%d-%d-%d", os.Getpid(), w, i)
				err := s.Update(context.Background(), func(tx store.Tx) error {
					data := []byte(strings.Repeat(key, 1+i%50))
					err := errors.Join(tx.Put("b", key, data), tx.Put("twin", key, data))
					junk := fmt.Sprint("junk", w, i)
					old := fmt.Sprint("junk", w, i-3)
					return errors.Join(err, tx.Put("junk", junk, data), tx.Delete("junk", old))
				})
				mu.Lock()
				if err == nil {
					_, err = fmt.Fprintln(out, key)
				}
				mu.Unlock()
				if err != nil {
					failed <- err
				}
			}
		}()
	}
	return <-failed
}

// A process that is killed loses nothing that it acknowledged, and leaves no half of a change.
func TestCrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	acknowledged := map[string]bool{}
	for round := range 5 {
		cmd := child(t, "write", path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(out)
		for n := 0; ; n++ {
			if n == 100+77*round {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
			line, err := lines.ReadString('\n')
			if err != nil { // a line without end was not told
				break
			}
			acknowledged[strings.TrimSuffix(line, "\n")] = true
		}
		if err := cmd.Wait(); err == nil {
			t.Fatal("the child ended by itself")
		}
		if len(acknowledged) < 100*(round+1) {
			t.Fatalf("round %d: only %d changes were acknowledged", round, len(acknowledged))
		}
		s := open(t, bolt.Config{Path: path})
		if err := s.Check(); err != nil {
			t.Errorf("round %d: Check: %v", round, err)
		}
		verifyCrashed(t, s, acknowledged)
		put(t, s, "after", fmt.Sprint(round)) // it works on
		closeStore(t, s)
	}
	t.Logf("%d acknowledged changes survived 5 kills", len(acknowledged))
}

func verifyCrashed(t *testing.T, s *bolt.Store, acknowledged map[string]bool) {
	t.Helper()
	err := s.View(t.Context(), func(tx store.Tx) error {
		for key := range acknowledged {
			if _, ok, err := tx.Get("b", key); !ok || err != nil {
				t.Errorf("acknowledged %s is lost: %v", key, err)
			}
		}
		newest := store.Revision(0)
		for p, err := range tx.Scan("b", store.Range{}) {
			if err != nil {
				return err
			}
			newest = max(newest, p.Rev)
			twin, ok, err := tx.Get("twin", p.Key)
			if p.Key != "after" && (!ok || err != nil || string(twin.Data) != string(p.Data) || twin.Rev != p.Rev) {
				t.Errorf("half of the change of %s: %v, %v", p.Key, ok, err)
			}
		}
		if newest > tx.Revision() {
			t.Errorf("a value has revision %d, the store %d", newest, tx.Revision())
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// fillUp meets a file that cannot grow, and then can. A file size limit stands for a full disk.
func fillUp(path string, out io.Writer) error {
	signal.Ignore(syscall.SIGXFSZ) // the write fails instead
	s, err := bolt.Open(bolt.Config{Path: path})
	if err != nil {
		return err
	}
	ctx := context.Background()
	write := func(key string, size int) error {
		return s.Update(ctx, func(tx store.Tx) error { return tx.Put("b", key, make([]byte, size)) })
	}
	if err := write("before", 1000); err != nil {
		return err
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	full := limit
	full.Cur = 6 << 20 // more than the file has, less than what follows needs
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &full); err != nil {
		return err
	}
	var firstErr error
	stored := 0
	for i := range 12 {
		if err := write(fmt.Sprint("fill", i), store.MaxBytes/2); err == nil {
			stored++
		} else if firstErr == nil {
			firstErr = err
		}
	}
	if firstErr == nil || !errors.Is(firstErr, syscall.EFBIG) && !strings.Contains(firstErr.Error(), "too large") {
		return fmt.Errorf("nothing failed as it should: %w", firstErr)
	}
	err = s.View(ctx, func(tx store.Tx) error {
		n := 0
		for p, err := range tx.Scan("b", store.Range{Prefix: "fill"}) {
			if err != nil {
				return err
			}
			n++
			_ = p
		}
		if n != stored {
			return fmt.Errorf("%d values are there, %d were acknowledged", n, stored)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	if err := errors.Join(write("after", store.MaxBytes/2), s.Check(), s.Close()); err != nil {
		return fmt.Errorf("with room again: %w", err)
	}
	_, err = fmt.Fprintln(out, "stored", stored)
	return err
}

// A commit that finds no room fails whole; with room again the store works on.
func TestDiskFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	out, err := child(t, "full", path).Output()
	if err != nil || !strings.HasPrefix(string(out), "stored ") {
		t.Fatalf("child: %q, %v", out, err)
	}
	t.Logf("%s", out)
	s := open(t, bolt.Config{Path: path})
	for key, want := range map[string]int{"before": 1000, "after": store.MaxBytes / 2} {
		if got, _ := get(t, s, key); len(got) != want {
			t.Errorf("%s has %d bytes; want %d", key, len(got), want)
		}
	}
}

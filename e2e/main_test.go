// Package e2e_test drives a running kagimori through the official AWS SDK for Go. The server
// under test is the race-built binary; the tests share one, each with accounts of its own.
//
// Tests are named by the behaviours of the page "Required AWS KMS key policy for use with
// encrypted volumes": S1 to S34.
package e2e_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/e2e/internal/server"
)

// answered remembers what was called of which service, by all clients of newClient: a run of all tests
// fails if an operation that kagimori implements was not.
var answered = &recorder{seen: map[string]bool{}}

// shared is the server that most tests use.
var shared *server.Server

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	flag.Parse()
	// The tests wait for the server most of the time.
	if err := flag.Set("test.parallel", "12"); err != nil {
		panic(err)
	}
	dir, err := os.MkdirTemp("", "kagimori-e2e-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	defer server.Clean()
	if shared, err = server.Run(dir + "/data"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if only := flag.Lookup("test.run").Value.String(); only == "" {
		for _, service := range []string{"ec2", "ebs"} {
			if missing := answered.missing(service); len(missing) > 0 {
				fmt.Fprintf(os.Stderr, "no test calls of %s: %s\n", service, strings.Join(missing, " "))
				code = 1
			}
		}
	}
	shared.Stop()
	for _, line := range shared.Trouble() {
		fmt.Fprintln(os.Stderr, "server:", line)
		code = 1
	}
	if code != 0 {
		fmt.Fprintln(os.Stderr, "end of the server's log:\n"+shared.Tail(6000))
	}
	return code
}

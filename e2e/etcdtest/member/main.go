// Command member runs etcd members for tests of other modules, until its standard input ends. It prints
// the addresses for clients, separated by commas. "stop N" and "start N" on standard input do that to a
// member, "format N PREFIX" begins a store of development nodes in an earlier format; each is answered by a
// line. With arguments it runs that command instead, which finds the
// cluster in the variable KAGIMORI_STORE, and ends with it. With -name it runs that member of a cluster
// alone, and prints "ready".
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/kagimori/kagimori/e2e/etcdtest"
)

func main() {
	n := flag.Int("n", 1, "`number` of members")
	dir := flag.String("dir", "", "`folder` for their data; a temporary one that is removed in the end if empty")
	var one etcdtest.Place
	flag.StringVar(&one.Name, "name", "", "`name` of the one member to run")
	flag.StringVar(&one.Cluster, "cluster", "", "its `members`, as NAME=http://ADDRESS,...")
	flag.StringVar(&one.Peer, "peer", "", "`address` to listen at for them")
	flag.StringVar(&one.Advertised, "advertised", "", "`address` at which they reach it")
	flag.StringVar(&one.Client, "client", "", "`address` to listen at for clients")
	flag.Parse()
	one.Dir = *dir
	err := error(nil)
	if one.Name != "" {
		err = etcdtest.Serve(one, inputEnds(), func() { fmt.Println("ready") })
	} else {
		err = run(*n, *dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "member:", err)
		os.Exit(1)
	}
}

// inputEnds is closed when standard input ends.
func inputEnds() <-chan struct{} {
	done := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(done)
	}()
	return done
}

func run(n int, dir string) error {
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "etcd-members-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	c, err := etcdtest.Start(dir, n)
	if err != nil {
		return err
	}
	defer c.Close()
	if flag.NArg() > 0 {
		cmd := exec.Command(flag.Arg(0), flag.Args()[1:]...)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		cmd.Env = append(os.Environ(), "KAGIMORI_STORE=etcd://"+strings.Join(c.Endpoints(), ","))
		return cmd.Run()
	}
	fmt.Println(strings.Join(c.Endpoints(), ","))
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var what, prefix string
		var i int
		if _, err := fmt.Sscan(in.Text(), &what, &i); err != nil || i < 0 || i >= n && what != "format" {
			fmt.Println("which member?")
			continue
		}
		switch what {
		case "stop":
			c.StopMember(i)
		case "start":
			err = c.StartMember(i)
		case "format":
			if _, err = fmt.Sscan(in.Text(), &what, &i, &prefix); err == nil {
				err = etcdtest.Begin(context.Background(), c.Endpoints(), prefix, i)
			}
		}
		fmt.Println("done", err)
	}
	return nil
}

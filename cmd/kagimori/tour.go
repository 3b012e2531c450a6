package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/kagimori/kagimori/internal/tour"
)

// tourFlags are the flags of tour.
type tourFlags struct {
	endpoint, listen, data, region string
	keep                           bool
}

const tourLong = `tour plays the two examples of the AWS page "Required AWS KMS key policy for use with encrypted volumes": an Auto
Scaling group that launches an instance on volumes encrypted under a customer managed key, in one account and across
two. Each group is tried first without the policy statements and the grant that it needs, then with them. For each
step tour prints the equivalent aws command, what happened, and which statement, grant or missing piece decided.

It is an ordinary client, of a development server of its own or of the one at --endpoint.`

const tourExample = `  kagimori tour
  kagimori tour --endpoint http://127.0.0.1:4566
  kagimori tour --keep --data ./.kagimori       # keep serving afterwards, to look around`

func newTour(io stdio) *cobra.Command {
	var f tourFlags
	cmd := &cobra.Command{
		Use: "tour", Short: "See both examples fail, and work once their statements and grant are there",
		Long: tourLong, Example: tourExample, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context(), io) },
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.StringVar(&f.endpoint, "endpoint", "", "`URL` of a development server that runs already")
	fl.StringVar(&f.listen, "listen", "", "`address` of the own server (default a free port; with --keep 127.0.0.1:4566)")
	fl.StringVar(&f.data, "data", "", "data `directory` of the own server (default a temporary one)")
	fl.BoolVar(&f.keep, "keep", false, "keep the own server running after the tour, until it is interrupted")
	fl.StringVar(&f.region, "region", "us-west-2", "AWS `region` to play in")
	return cmd
}

func (f *tourFlags) run(ctx context.Context, io stdio) error {
	if f.endpoint != "" {
		if f.keep || f.listen != "" || f.data != "" {
			return errors.New("--keep, --listen and --data are for a server of the tour's own, not for --endpoint")
		}
		if u, err := url.Parse(f.endpoint); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return fmt.Errorf("--endpoint %q is not a URL such as http://127.0.0.1:4566", f.endpoint)
		}
		return failed(f.play(ctx, io, f.endpoint))
	}
	server := serveFlags{dev: true, console: true, listen: f.listen, data: f.data, logLevel: "warn"}
	if server.listen == "" {
		server.listen = "127.0.0.1:0"
		if f.keep {
			server.listen = "127.0.0.1:4566"
		}
	}
	server.visit = func(ctx context.Context, url string) (bool, error) {
		if err := f.play(ctx, io, url); err != nil {
			return false, err
		}
		if f.keep {
			fmt.Fprintf(io.out, lookAround, url, url, f.region, url)
		}
		return f.keep, nil
	}
	return server.run(ctx, io)
}

func (f *tourFlags) play(ctx context.Context, io stdio, endpoint string) error {
	return tour.Run(ctx, tour.Config{Endpoint: endpoint, Region: f.region, Out: io.out})
}

// lookAround says how to reach the server that stays: its URL twice, the region, the URL.
const lookAround = `
The server keeps running on %s; interrupt it to end it. To point aws at it:

  export AWS_ENDPOINT_URL=%s AWS_DEFAULT_REGION=%s AWS_ACCESS_KEY_ID=123456789012ADMIN AWS_SECRET_ACCESS_KEY=test
  aws ec2 describe-volumes
  aws autoscaling describe-scaling-activities

Any 12-digit account exists: ACCOUNT is its root user, ACCOUNTADMIN its user admin, the secret is "test".
Terraform finds the server by the same variables, or by:

  provider "aws" {
    region     = "us-west-2"
    access_key = "123456789012ADMIN"
    secret_key = "test"
    endpoints {
      autoscaling = %[4]q
      ec2         = %[4]q
      iam         = %[4]q
      kms         = %[4]q
      sts         = %[4]q
    }
  }
`

// Package tour plays the two examples of the page "Required AWS KMS key policy for use with
// encrypted volumes" (EC2 Auto Scaling User Guide) against a development server, as an ordinary
// signed client, and tells for each step the equivalent aws command, what happened, and which
// statement, grant or missing piece decided.
package tour

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
)

// Accounts and key of the page's examples.
const (
	groupAccount    = "123456789012" // example 1: key and group
	keyAccount      = "444455556666" // example 2: owns the key
	externalAccount = "111122223333" // example 2: owns the group
	sharedKey       = "1a2b3c4d-5e6f-1a2b-3c4d-5e6f1a2b3c4d"
)

// imageID is the image of the page's launch template examples; its root device is rootDevice.
const (
	imageID    = "ami-12c6146b"
	rootDevice = "/dev/xvda"
)

// Config of a tour.
type Config struct {
	Endpoint string // of a development server: "http://127.0.0.1:4566"
	Region   string // us-west-2 if ""
	Out      io.Writer
	HTTP     *http.Client  // http.DefaultClient if nil
	Patience time.Duration // longest wait for one launch; 90 s if 0
	// Pause waits for d between two looks at the server; it follows the wall clock if nil.
	Pause func(ctx context.Context, d time.Duration) error
}

// Errors of [Run] other than those of the server.
var (
	// ErrSurprise: a launch went otherwise than the page says.
	ErrSurprise = errors.New("tour: not what the page says")
	// ErrWait: the server took longer than Config.Patience.
	ErrWait = errors.New("tour: waited too long")
)

// Run plays both examples. It removes the groups of earlier tours first and leaves its own
// running, to be looked at.
func Run(ctx context.Context, cfg Config) error {
	if cfg.Region == "" {
		cfg.Region = "us-west-2"
	}
	if cfg.Patience == 0 {
		cfg.Patience = 90 * time.Second
	}
	if cfg.Pause == nil {
		cfg.Pause = pause
	}
	var id [3]byte
	rand.Read(id[:]) // never fails
	t := &traveller{Config: cfg, mark: hex.EncodeToString(id[:])}
	for _, account := range []string{groupAccount, externalAccount} {
		if err := t.sweep(ctx, account); err != nil {
			return err
		}
	}
	for _, example := range []func(context.Context) error{t.oneAccount, t.twoAccounts} {
		if err := example(ctx); err != nil {
			return err
		}
	}
	return t.err
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A traveller is one tour on its way.
type traveller struct {
	Config
	mark string // sets the names of this tour apart
	step int
	err  error // of the first write to Out
}

func (t *traveller) name(what string) string { return "tour-" + what + "-" + t.mark }

// sweep deletes the groups that earlier tours left in an account.
func (t *traveller) sweep(ctx context.Context, account string) error {
	a, err := t.admin(account)
	if err != nil {
		return err
	}
	var groups autoscalingapi.AutoScalingGroupsType
	if err := a.groups.Do(ctx, "DescribeAutoScalingGroups", &autoscalingapi.AutoScalingGroupNamesType{}, &groups); err != nil {
		return fmt.Errorf("tour: %w", err)
	}
	for _, g := range groups.AutoScalingGroups {
		if len(*g.AutoScalingGroupName) < 5 || (*g.AutoScalingGroupName)[:5] != "tour-" {
			continue
		}
		err := a.groups.Do(ctx, "DeleteAutoScalingGroup", &autoscalingapi.DeleteAutoScalingGroupType{
			AutoScalingGroupName: g.AutoScalingGroupName, ForceDelete: new(true),
		}, nil)
		if err != nil {
			return fmt.Errorf("tour: %w", err)
		}
	}
	return nil
}

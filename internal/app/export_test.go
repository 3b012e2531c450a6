package app

import (
	"context"

	"github.com/kagimori/kagimori/internal/ec2"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/kms"
)

// Disk is the content of an attached volume, as its instance sees it.
func (a *App) Disk(ctx context.Context, account, region, volume string) (ec2.Disk, error) {
	return a.current.Load().work.Load().ec2.Disk(ctx, account, region, volume)
}

// KeysOf is KMS as EC2 calls it, with EC2's guard.
func KeysOf(g *guard.Guard, k *kms.Service) keys { return keys{g, k} }

// Fence is that of a lease.
func Fence(l holding) func(context.Context) (context.Context, error) { return fence(l) }

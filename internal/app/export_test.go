package app

import (
	"context"

	"github.com/kagimori/kagimori/internal/ec2"
)

// Disk is the content of an attached volume, as its instance sees it.
func (a *App) Disk(ctx context.Context, account, region, volume string) (ec2.Disk, error) {
	return a.current.Load().work.Load().ec2.Disk(ctx, account, region, volume)
}

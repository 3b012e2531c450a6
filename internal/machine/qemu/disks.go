package qemu

import (
	"context"
	"fmt"
	"os"

	"github.com/kagimori/kagimori/internal/machine"
)

// Attach plugs a disk into a running machine.
func (d *Driver) Attach(ctx context.Context, instance string, disk machine.Disk) error {
	v := d.running(instance)
	if v == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, hello)
	defer cancel()
	ours, theirs, err := pair()
	if err != nil {
		return err
	}
	defer func() { _ = theirs.Close() }()
	conns, err := connections([]*os.File{ours})
	if err != nil {
		return err
	}
	serve, stop := context.WithCancel(context.Background())
	go func() { <-v.done; stop() }()
	v.serve(serve, &disk, conns[0])
	name, node := "fd-"+disk.Volume, nodeOf(disk.Volume)
	if _, err := v.mon.do(ctx, "getfd", map[string]any{"fdname": name}, theirs); err != nil {
		stop()
		return err
	}
	if _, err := v.mon.do(ctx, "blockdev-add", blockdevArgs(disk.Volume, name)); err != nil {
		stop()
		return err
	}
	_, err = v.mon.do(ctx, "device_add", map[string]any{"driver": "virtio-blk-pci", "id": "d-" + node, "drive": node, "serial": serialOf(disk.Volume)})
	if err != nil {
		_, _ = v.mon.do(ctx, "blockdev-del", map[string]any{"node-name": node}) // the first error counts
		stop()
	}
	return err
}

// Detach takes a disk away from a running machine.
func (d *Driver) Detach(ctx context.Context, instance, volume string) error {
	v := d.running(instance)
	if v == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, hello)
	defer cancel()
	node := nodeOf(volume)
	gone := make(chan struct{})
	v.mu.Lock()
	v.gone["d-"+node] = gone
	v.mu.Unlock()
	if _, err := v.mon.do(ctx, "device_del", map[string]any{"id": "d-" + node}); err != nil {
		return fmt.Errorf("volume %s: %w", volume, err)
	}
	select {
	case <-gone:
	case <-v.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("qemu: the guest does not let go of %s", volume)
	}
	_, err := v.mon.do(ctx, "blockdev-del", map[string]any{"node-name": node})
	return err
}

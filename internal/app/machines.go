package app

import (
	"fmt"

	"github.com/kagimori/kagimori/internal/machine"
	"github.com/kagimori/kagimori/internal/machine/qemu"
)

// newMachines makes what makes drivers that run instances: one for each time that this process works.
func newMachines(cfg Config) (func() machine.Driver, error) {
	switch cfg.Machine {
	case "", "host":
		return func() machine.Driver { return machine.Host{} }, nil
	case "qemu", "qemu-tcg":
		q, err := qemu.Find(qemu.Config{Logger: cfg.Logger, Emulate: cfg.Machine == "qemu-tcg"})
		return func() machine.Driver { return qemu.New(q) }, err
	}
	return nil, fmt.Errorf("there are no machines %q: they are host, qemu or qemu-tcg", cfg.Machine)
}

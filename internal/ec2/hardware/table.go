package hardware

import (
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

//go:embed types.tsv
var table string

type index struct {
	all    []*Type
	byName map[string]*Type
}

// load reads the table once. It is part of the program: a fault in it is a fault of the build.
var load = sync.OnceValue(func() *index {
	all, err := Parse(table)
	if err != nil {
		panic(err)
	}
	x := &index{all: all, byName: make(map[string]*Type, len(all))}
	for _, t := range all {
		x.byName[t.Name] = t
	}
	return x
})

// All are the types, family after family and by size. They are shared: callers only read them.
func All() []*Type { return slices.Clone(load().all) }

// Lookup finds a type by its name.
func Lookup(name string) (*Type, bool) {
	t, ok := load().byName[name]
	return t, ok
}

// Fields of the lines of a table.
const (
	familyFields = 8
	typeFields   = 16
)

// Parse reads a table: lines of families, each before those of its types. The first lines of types.tsv
// tell the fields.
func Parse(text string) ([]*Type, error) {
	var out []*Type
	var f *Family
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "#") {
			continue
		}
		r := row{cells: strings.Split(line, "\t")}
		switch len(r.cells) {
		case familyFields:
			f = r.family()
		case typeFields:
			t := r.instanceType(f)
			if f == nil || !strings.HasPrefix(t.Name, f.Name+".") || t.Threads() < 1 || t.VCPUs < t.Threads() {
				return nil, fmt.Errorf("line %d: the type has no family or no processor", n)
			}
			out = append(out, t)
		default:
			return nil, fmt.Errorf("line %d: %d fields", n, len(r.cells))
		}
		if r.err != nil {
			return nil, fmt.Errorf("line %d: %w", n, r.err)
		}
	}
	return out, nil
}

// A row is read cell after cell; the first fault stays.
type row struct {
	cells []string
	err   error
}

func (r *row) text() string {
	v := r.cells[0]
	r.cells = r.cells[1:]
	return v
}

func (r *row) number() int64 {
	v, err := strconv.ParseInt(r.text(), 10, 32)
	if err == nil && v < 0 {
		err = strconv.ErrRange
	}
	r.fault(err)
	return v
}

func (r *row) small() int32 { return int32(r.number()) }

func (r *row) words() []string {
	v := r.text()
	if v == "-" {
		return nil
	}
	return strings.Split(v, ",")
}

func (r *row) fault(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *row) family() *Family {
	f := &Family{Name: r.text(), Arch: r.text(), Maker: r.text()}
	var err error
	f.GHz, err = strconv.ParseFloat(r.text(), 64)
	r.fault(err)
	f.Threads, f.hypervisor, f.Accelerator, f.has = r.small(), r.text(), r.accelerator(), r.words()
	return f
}

// accelerator reads MAKER/NAME/MIB, and /CORES/GENERATION of a device for neural networks.
func (r *row) accelerator() *Accelerator {
	v := r.text()
	if v == "-" {
		return nil
	}
	parts := strings.Split(v, "/")
	if len(parts) != 3 && len(parts) != 5 {
		r.fault(fmt.Errorf("accelerator %q", v))
		return nil
	}
	a, inner := &Accelerator{Maker: parts[0], Name: parts[1]}, row{cells: parts[2:]}
	a.MiB = inner.small()
	if len(inner.cells) > 0 {
		a.NeuronCores, a.NeuronCoreGeneration = inner.small(), inner.small()
	}
	r.fault(inner.err)
	return a
}

func (r *row) instanceType(f *Family) *Type {
	t := &Type{Name: r.text(), Family: f, VCPUs: r.small(), MemoryMiB: r.number(), Network: r.text()}
	if f == nil {
		t.Family = &Family{Threads: 1}
	}
	t.ENIs, t.Cards, t.Addresses = r.small(), r.small(), r.small()
	t.EBS = Bandwidth{r.small(), r.small(), r.small(), r.small()}
	t.Volumes, t.Disks = r.small(), r.disks()
	t.Devices, t.EFAs, t.has = r.small(), r.small(), r.words()
	return t
}

// disks reads COUNTxGBKIND, with +nvme.
func (r *row) disks() Disks {
	v := r.text()
	if v == "-" {
		return Disks{}
	}
	rest, nvme := strings.CutSuffix(v, "+nvme")
	count, rest, _ := strings.Cut(rest, "x")
	d := Disks{NVMe: nvme, Kind: "ssd"}
	gb, solid := strings.CutSuffix(rest, "ssd")
	if !solid {
		d.Kind = "hdd"
		gb = strings.TrimSuffix(rest, "hdd")
	}
	inner := row{cells: []string{count, gb}}
	d.Count, d.GB = inner.small(), inner.number()
	r.fault(inner.err)
	return d
}

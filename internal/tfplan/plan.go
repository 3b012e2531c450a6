package tfplan

import (
	"io/fs"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/scenario/format"
)

// Options say what to take for granted.
type Options struct {
	// Strict leaves unknown what identity policies whoever applies the plan has, where the plan does
	// not say. Else they are taken to allow everything, which [Launch.Assumed] then says.
	Strict bool
	// PlainImages takes an image that the plan does not describe for one with a single device, its root,
	// that is not encrypted.
	PlainImages bool
	// Files is the folder with Terraform's own files that the plan was made of, or nil: policies are read there that a
	// plan does not tell, if they refer to what the plan says that they do.
	Files fs.FS
	// Accounts are the ids of accounts that a plan does not tell, by provider ("aws.keys"). That of ""
	// is of the default provider, and of those that differ from it in the region alone.
	Accounts map[string]string
	// DefaultEncryption is what holds of encryption by default where neither plan nor template says:
	// "" if that is not known, [EncryptionOff], or the key, and it is on.
	DefaultEncryption string
}

// EncryptionOff is the DefaultEncryption of an account that encrypts nothing by default.
const EncryptionOff = "off"

// A Plan is what a plan or state of Terraform says of launches.
type Plan struct {
	State    bool     // it is a state, or the plan's own account of one
	Launches []Launch // by address
	Notes    []Note   // what could not be used
}

// A Note is about a resource that could not be used.
type Note struct{ Address, Text string }

// A Launch is something of a plan that launches, as a scenario. Scenarios of one plan share parts:
// they must not be changed.
type Launch struct {
	Address  string // of the group, instance, volume, attachment or copy
	Scenario *format.Scenario
	// Names are what ARNs and ids that only stand for something are called in the configuration:
	// "aws_kms_key.volumes.arn".
	Names map[string]string
	// Assumed is what was taken for granted.
	Assumed []string

	places map[string]string
}

// At is the address of the resource that says what is at a place of the scenario, a JSON Pointer.
func (l *Launch) At(pointer string) string {
	for ; pointer != ""; pointer = pointer[:strings.LastIndexByte(pointer, '/')] {
		if at, ok := l.places[pointer]; ok {
			return at
		}
	}
	return l.Address
}

// Read reads what terraform show -json prints. The error wraps [ErrFormat], [ErrRaw] or
// [ErrVersion].
func Read(data []byte, opt Options) (*Plan, error) {
	m := newModel(opt)
	if err := m.file(data); err != nil {
		return nil, err
	}
	return m.plan(), nil
}

// plan makes the scenarios of all that is read.
func (m *model) plan() *Plan {
	m.index()
	m.readKeys()
	m.readPeople()
	m.readDefaults()
	m.readSources()
	m.readTemplates()
	m.readOrganization()
	p := &Plan{State: m.state}
	for _, r := range m.resources {
		if l := m.launch(r); l != nil {
			p.Launches = append(p.Launches, *l)
		}
	}
	slices.SortStableFunc(p.Launches, func(a, b Launch) int { return strings.Compare(a.Address, b.Address) })
	p.Notes = m.notes
	return p
}

package doctor

import (
	"slices"
	"strconv"
	"sync"

	"github.com/kagimori/kagimori/internal/scenario/format"
)

// known are the fixes of launches that were checked: of hundreds of groups of one plan most differ
// in nothing but their names. Safe for concurrent use.
type known struct {
	mu    sync.Mutex
	fixes map[string]*Fix // guarded by mu; nil is that there is none
}

// fixOf is the fix of an outcome, found once for all launches that are alike.
func (d *Doctor) fixOf(o *outcome) *Fix {
	like, ok := likeness(o.world.sc)
	if !ok {
		return o.fix()
	}
	d.known.mu.Lock()
	fix, seen := d.known.fixes[like]
	d.known.mu.Unlock()
	if !seen {
		fix = o.fix()
		d.known.keep(like, fix)
	}
	if fix == nil {
		return nil
	}
	return new(*fix)
}

func (k *known) keep(like string, fix *Fix) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fixes == nil || len(k.fixes) >= cacheSize {
		k.fixes = map[string]*Fix{}
	}
	k.fixes[like] = fix
}

// likeness is all of a scenario that its fix depends on: not what it is called, nor what its group
// and its templates are, as far as these are told apart. No fix tells these names.
func likeness(sc *format.Scenario) (_ string, ok bool) {
	like := *sc
	like.ID, like.Title, like.Story, like.Source, like.Tags, like.Expected = "", "", "", format.Source{}, nil, nil
	if sc.Launch.Group != nil {
		group := *sc.Launch.Group
		group.Name, like.Launch.Group = "", &group
	}
	like.Launch.Templates = slices.Clone(sc.Launch.Templates)
	for i := range like.Launch.Templates {
		t := &like.Launch.Templates[i]
		t.Name = strconv.Itoa(slices.IndexFunc(sc.Launch.Templates, func(o format.Template) bool { return o.Name == t.Name }))
	}
	text, err := like.Encode()
	return string(text), err == nil
}

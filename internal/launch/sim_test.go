package launch_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/launch"
)

// A world performs steps on nothing but sets of names, and checks that each step makes sense
// where it comes: a grant is used while it exists, nothing is made or removed twice.
type world struct {
	t       *testing.T
	grants  map[string]launch.Request // by id
	volumes map[string]bool           // made by the operation
	attachd map[string]bool
	open    map[string]bool
	wrapped map[string]bool // volumes whose data key was wrapped
	lines   []string
	n       int
}

func newWorld(t *testing.T) *world {
	return &world{t: t, grants: map[string]launch.Request{}, volumes: map[string]bool{},
		attachd: map[string]bool{}, open: map[string]bool{}, wrapped: map[string]bool{}}
}

func add(t *testing.T, set map[string]bool, what, id string) {
	t.Helper()
	if set[id] {
		t.Errorf("%s %s a second time", what, id)
	}
	set[id] = true
}

func remove(t *testing.T, set map[string]bool, what, id string) {
	t.Helper()
	if !set[id] {
		t.Errorf("%s %s, which is not there", what, id)
	}
	delete(set, id)
}

// perform does a step successfully.
func (w *world) perform(s launch.Step) launch.Result {
	w.t.Helper()
	w.lines = append(w.lines, line(s))
	w.n++
	var r launch.Result
	switch s.Kind {
	case launch.StepResolveKey:
		r.KeyARN = resolve(s.KeyID)
	case launch.StepCreateVolume, launch.StepCreateSnapshot:
		add(w.t, w.volumes, "make", s.VolumeID)
		if s.Create.Encrypted && !w.wrapped[s.VolumeID] {
			w.t.Errorf("%s is made before its data key", s.VolumeID)
		}
	case launch.StepDeleteVolume, launch.StepDeleteSnapshot:
		remove(w.t, w.volumes, "delete", s.VolumeID)
	case launch.StepAttach:
		add(w.t, w.attachd, "attach", s.VolumeID)
	case launch.StepDetach:
		remove(w.t, w.attachd, "detach", s.VolumeID)
	case launch.StepOpenVolume:
		add(w.t, w.open, "open", s.VolumeID)
	case launch.StepCloseVolume:
		remove(w.t, w.open, "close", s.VolumeID)
	}
	for _, q := range s.Requests {
		w.request(q, s.VolumeID, &r)
	}
	return r
}

func (w *world) request(q launch.Request, volume string, r *launch.Result) {
	w.t.Helper()
	switch q.Call {
	case launch.CreateGrant:
		r.Grant = launch.GrantRef{ID: fmt.Sprintf("grant-%d", w.n), Token: fmt.Sprintf("token-%d", w.n)}
		w.grants[r.Grant.ID] = q
	case launch.RetireGrant:
		if _, ok := w.grants[q.Grant.ID]; !ok {
			w.t.Errorf("retire %q, which is not there", q.Grant.ID)
		}
		delete(w.grants, q.Grant.ID)
	case launch.GenerateDataKey, launch.ReEncrypt:
		w.wrapped[volume] = true
		r.WrappedKey, r.DataKeyID = []byte("wrapped for "+volume), "dek-"+volume
	case launch.Decrypt: // allowed by a living grant to this principal, key and context
		p, ok := q.Principal()
		if !ok {
			w.t.Errorf("the caller decrypts: %v", q)
		}
		for _, g := range w.grants {
			if g.KeyARN == q.KeyARN && g.Grant.Grantee == p.ARN &&
				g.Grant.ContextSubset[launch.ContextKey] == q.EncryptionContext[launch.ContextKey] &&
				slices.Equal(g.Grant.Operations, []string{"Decrypt"}) {
				return
			}
		}
		w.t.Errorf("no grant for %v", q)
	}
}

// resolve pretends that every identifier names a key of its own.
func resolve(id string) string {
	if strings.HasPrefix(id, "arn:") {
		return id
	}
	return "arn:aws:kms:us-west-2:111122223333:key/" + strings.ReplaceAll(id, "/", "-")
}

// line is a step as the golden tables write it.
func line(s launch.Step) string {
	var b strings.Builder
	if s.Undo {
		b.WriteString("undo ")
	}
	if s.Kind != launch.StepRequest {
		b.WriteString(string(s.Kind))
	}
	if s.Device != "" && s.Kind != launch.StepRequest {
		b.WriteString(" " + s.Device)
	}
	if s.KeyID != "" {
		b.WriteString(" " + s.KeyID)
	}
	if s.Create != nil {
		b.WriteString(" " + string(s.Create.How))
	}
	for i, q := range s.Requests {
		if i > 0 || s.Kind != launch.StepRequest {
			b.WriteString(" + ")
		}
		fmt.Fprintf(&b, "%s: %s", q.As, q.Call)
		if q.Purpose != "" && q.Grant != nil {
			fmt.Fprintf(&b, "(%s)", q.Purpose)
		}
		if q.SourceKeyARN != "" {
			fmt.Fprintf(&b, " %s[%s] ->", keyID(q.SourceKeyARN), q.SourceEncryptionContext[launch.ContextKey])
		}
		b.WriteString(" " + keyID(q.KeyARN))
		switch id := q.EncryptionContext[launch.ContextKey]; {
		case q.Grant != nil:
			fmt.Fprintf(&b, "[%s]", q.Grant.ContextSubset[launch.ContextKey])
		case id != "":
			fmt.Fprintf(&b, "[%s]", id)
		}
	}
	return b.String()
}

func keyID(key string) string { return key[strings.LastIndexByte(key, '/')+1:] }

// run drives s to its end. The step number failAt (from 0, -1 for none) fails, as do all undo
// steps if failUndo is set.
func (w *world) run(s launch.State, failAt int) (launch.State, launch.Step) {
	w.t.Helper()
	step := s.Step()
	for i := 0; !step.Terminal(); i++ {
		if i > 200 {
			w.t.Fatal("no end")
		}
		if step.Seq != i {
			w.t.Errorf("step %d has Seq %d", i, step.Seq)
		}
		var r launch.Result
		if i == failAt {
			w.lines = append(w.lines, "FAILS "+line(step))
			r.Failure = &launch.Failure{Cause: "boom"}
		} else {
			r = w.perform(step)
		}
		s, step = s.Next(r)
	}
	return s, step
}

func mustNew(t *testing.T, spec launch.Spec) launch.State {
	t.Helper()
	s, err := launch.New(spec)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

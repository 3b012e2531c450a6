package partition

import (
	"strings"
	"testing"
	"time"
)

const ms = time.Millisecond

// at puts an operation on key k at a time.
func at(call, ret time.Duration, o Op) Op {
	o.Key, o.Call, o.Return = "k", call, ret
	if o.Kind == CreateGrant && o.User == "" {
		o.User = "u"
	}
	if o.Kind == RevokeGrant {
		o.User = "u"
	}
	return o
}

// The checkers find what is wrong in a history, and only that.
func TestCheckers(t *testing.T) {
	create := at(0, 10*ms, Op{Kind: CreateGrant, Grant: "g"})
	revoke := at(20*ms, 30*ms, Op{Kind: RevokeGrant, Grant: "g"})
	lost := at(20*ms, forever, Op{Kind: RevokeGrant, Grant: "g", Outcome: Unknown})
	open := at(0, 10*ms, Op{Kind: PutPolicy, Policy: "1+"})
	shut := at(20*ms, 30*ms, Op{Kind: PutPolicy, Policy: "2"})
	off := at(0, 10*ms, Op{Kind: Disable})
	on := at(20*ms, 30*ms, Op{Kind: Enable})
	use := func(call time.Duration, as Outcome) Op {
		return at(call, call+5*ms, Op{Kind: UseGrant, User: "u", Outcome: as})
	}
	byPolicy := func(call time.Duration, as Outcome) Op {
		return at(call, call+5*ms, Op{Kind: UsePolicy, User: "p", Outcome: as})
	}
	list := func(call time.Duration, names ...string) Op {
		return at(call, call+5*ms, Op{Kind: ListGrants, Grants: names})
	}
	const bound = time.Second
	for _, tt := range []struct {
		name   string
		ops    []Op
		linear bool // with reads
		writes bool // the writes alone are linear
		age    time.Duration
		wrong  string // of Ages; "" if nothing is
	}{
		{"a grant allows", []Op{create, use(12*ms, Done)}, true, true, 0, ""},
		{"a revoked grant denies", []Op{create, revoke, use(40*ms, Denied)}, true, true, 0, ""},
		{"a grant that was just revoked allows elsewhere", []Op{create, revoke, use(40*ms, Done)}, false, true, 10 * ms, ""},
		{"a revoked grant allows after the bound", []Op{create, revoke, use(1031*ms, Done)}, false, true, 1001 * ms, "a grant of"},
		{"a grant that may have been revoked allows", []Op{create, lost, use(5000*ms, Done)}, true, true, 0, ""},
		{"a grant that may have been revoked denies", []Op{create, lost, use(5000*ms, Denied)}, true, true, 0, ""},
		{"a grant denies after the bound", []Op{create, use(1011*ms, Denied)}, false, true, 1001 * ms, "a grant of"},
		{"a use without any grant", []Op{use(0, Done)}, false, true, 0, "never was"},
		{"a use before its grant", []Op{use(0, Done), at(50*ms, 60*ms, Op{Kind: CreateGrant, Grant: "g"})}, false, true, 0, "never was"},
		{"a grant is revoked twice", []Op{create, revoke, at(40*ms, 50*ms, Op{Kind: RevokeGrant, Grant: "g"})}, false, false, 0, ""},
		{"the second time it is not found", []Op{create, revoke, at(40*ms, 50*ms, Op{Kind: RevokeGrant, Grant: "g", Outcome: NotFound})}, true, true, 0, ""},
		{"a grant that nobody revoked is not found", []Op{create, at(40*ms, 50*ms, Op{Kind: RevokeGrant, Grant: "g", Outcome: NotFound})}, false, false, 0, ""},
		{"unless somebody may have", []Op{create, lost, at(40*ms, 50*ms, Op{Kind: RevokeGrant, Grant: "g", Outcome: NotFound})}, true, true, 0, ""},
		{"an unknown write does not happen before it was asked for", []Op{create, at(12*ms, 15*ms, Op{Kind: RevokeGrant, Grant: "g", Outcome: NotFound}), lost}, false, false, 0, ""},
		{"a list", []Op{create, list(12*ms, "g")}, true, true, 0, ""},
		{"a list lacks a grant", []Op{create, list(2000 * ms)}, false, true, 1990 * ms, "a list of grants of"},
		{"a list has one too many", []Op{create, revoke, list(2000*ms, "g")}, false, true, 1970 * ms, "a list of grants of"},
		{"a list of what nobody made", []Op{list(0, "x")}, false, true, 0, "never was"},
		{"two lists go back", []Op{create, at(20*ms, forever, Op{Kind: RevokeGrant, Grant: "g", Outcome: Unknown}), list(40 * ms), list(60*ms, "g")}, false, true, 0, ""},
		{"a policy allows", []Op{open, byPolicy(12*ms, Done)}, true, true, 0, ""},
		{"a policy that was replaced allows elsewhere", []Op{open, shut, byPolicy(130*ms, Done)}, false, true, 100 * ms, ""},
		{"a replaced policy allows after the bound", []Op{open, shut, byPolicy(1500*ms, Done)}, false, true, 1470 * ms, "a policy of"},
		{"a policy is read after the bound", []Op{open, shut, at(1500*ms, 1510*ms, Op{Kind: ReadPolicy, Policy: "1+"})}, false, true, 1470 * ms, "a policy of"},
		{"a policy that nobody wrote", []Op{open, at(15*ms, 20*ms, Op{Kind: ReadPolicy, Policy: "3"})}, false, true, 0, "never was"},
		{"two policies at once, in either order", []Op{open, at(5*ms, 8*ms, Op{Kind: PutPolicy, Policy: "2"}), at(20*ms, 21*ms, Op{Kind: ReadPolicy, Policy: "1+"})}, true, true, 0, ""},
		{"but in one of them", []Op{
			open, at(5*ms, 8*ms, Op{Kind: PutPolicy, Policy: "2"}), at(20*ms, 21*ms, Op{Kind: ReadPolicy, Policy: "1+"}), at(22*ms, 23*ms, Op{Kind: ReadPolicy, Policy: "2"}),
		}, false, true, 0, ""},
		{"a state", []Op{off, at(12*ms, 13*ms, Op{Kind: ReadState})}, true, true, 0, ""},
		{"an old state", []Op{off, on, at(3030*ms, 3031*ms, Op{Kind: ReadState})}, false, true, 3000 * ms, "a state of"},
		{"a use of a disabled key", []Op{create, at(11*ms, 12*ms, Op{Kind: Disable}), use(2000*ms, Done)}, false, true, 1988 * ms, "a state of"},
		{"a use that the state refuses", []Op{create, at(11*ms, 12*ms, Op{Kind: Disable}), use(2000*ms, Disabled)}, true, true, 0, ""},
		{"a use that an old state refuses", []Op{off, on, use(2000*ms, Disabled)}, false, true, 1970 * ms, "a state of"},
		{"a grant on a disabled key", []Op{off, at(12*ms, 13*ms, Op{Kind: CreateGrant, Grant: "h"})}, false, false, 0, ""},
		{"a grant that the state refuses", []Op{off, at(12*ms, 13*ms, Op{Kind: CreateGrant, Grant: "h", Outcome: Disabled})}, true, true, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, reads := range []bool{true, false} {
				want := tt.writes
				if reads {
					want = tt.linear
				}
				v := Linear(tt.ops, reads, time.Minute)
				if got := len(v.Illegal) == 0; got != want || len(v.Undecided) > 0 || v.Parts != 2 {
					t.Errorf("linear (reads %v): %v; want %v (%+v)", reads, got, want, v)
				}
			}
			worst, wrong := Ages(tt.ops, bound)
			if worst.Max() != tt.age {
				t.Errorf("the oldest answer is of %s before; want %s", worst.Max(), tt.age)
			}
			switch {
			case tt.wrong == "" && len(wrong) > 0:
				t.Errorf("too old: %v", wrong)
			case tt.wrong != "" && (len(wrong) != 1 || !strings.Contains(wrong[0].String(), tt.wrong)):
				t.Errorf("got %v; want one with %q", wrong, tt.wrong)
			}
		})
	}
}

// Keys are checked each for itself.
func TestKeysApart(t *testing.T) {
	a, b := at(0, ms, Op{Kind: PutPolicy, Policy: "1+"}), at(5*ms, 6*ms, Op{Kind: ReadPolicy, Policy: "1+"})
	b.Key = "other"
	if _, wrong := Ages([]Op{a, b}, time.Second); len(wrong) != 1 {
		t.Errorf("got %v; want one", wrong)
	}
	if v := Linear([]Op{a, b}, true, time.Minute); len(v.Illegal) != 1 || v.Illegal[0] != "other policy" || v.Parts != 4 {
		t.Errorf("got %+v", v)
	}
}

package tfplan_test

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/doctor"
	"github.com/kagimori/kagimori/internal/tfplan"
)

// grown is the plan of one-account/good with n groups in the place of one, each with a template, a
// key, a policy and a role of its own: five resources a group.
func grown(t testing.TB, n int) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/one-account/good.json")
	if err != nil {
		t.Fatal(err)
	}
	var plan map[string]any
	if err := json.Unmarshal(data, &plan); err != nil {
		t.Fatal(err)
	}
	grow := func(list any) []any {
		text, err := json.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		var out []any
		for i := range n {
			s := string(text)
			for _, name := range []string{"aws_launch_template.web", "aws_autoscaling_group.web", "aws_kms_key.volumes", "aws_iam_policy_document.key", "aws_iam_service_linked_role.autoscaling"} {
				s = strings.ReplaceAll(s, name, fmt.Sprintf("%s%d", name, i))
			}
			for _, name := range []string{"web", "volumes", "key", "autoscaling"} {
				s = strings.ReplaceAll(s, `"name":"`+name+`"`, fmt.Sprintf(`"name":"%s%d"`, name, i))
			}
			s = strings.ReplaceAll(s, `"custom_suffix":"web"`, fmt.Sprintf(`"custom_suffix":"web%d"`, i))
			var more []any
			if err := json.Unmarshal([]byte(s), &more); err != nil {
				t.Fatal(err)
			}
			out = append(out, more...)
		}
		return out
	}
	root := func(path ...string) map[string]any {
		m := plan
		for _, p := range path {
			m = m[p].(map[string]any)
		}
		return m
	}
	plan["resource_changes"] = grow(plan["resource_changes"])
	planned := root("planned_values", "root_module")
	planned["resources"] = grow(planned["resources"])
	config := root("configuration", "root_module")
	var once, many []any
	for _, r := range config["resources"].([]any) {
		if name := r.(map[string]any)["name"]; name == "me" || name == "linux" {
			once = append(once, r)
		} else {
			many = append(many, r)
		}
	}
	config["resources"] = append(once, grow(many)...)
	out, err := json.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A plan with 1,000 groups and 5,000 resources needs little more memory than itself.
func TestALargePlan(t *testing.T) {
	data := grown(t, 1000)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	p, err := tfplan.Read(data, tfplan.Options{})
	runtime.ReadMemStats(&after)
	check(t, err)
	if len(p.Launches) != 1000 {
		t.Fatalf("%d groups", len(p.Launches))
	}
	for _, i := range []int{0, 999} {
		sound(t, &p.Launches[i])
		if u := p.Launches[i].Scenario.Unknown["/keys/0/policy"]; u != "" || len(p.Launches[i].Scenario.Keys) != 1 {
			t.Errorf("%s: %s", p.Launches[i].Address, u)
		}
	}
	const limit = 400 << 20 // of all that is allocated on the way, which the race detector makes more; BenchmarkRead tells what it is
	if took := after.TotalAlloc - before.TotalAlloc; took > limit {
		t.Errorf("it took %d MB for a plan of %d MB", took>>20, len(data)>>20)
	}
}

func BenchmarkRead(b *testing.B) {
	for _, n := range []int{1, 10, 100, 1000} {
		data := grown(b, n)
		b.Run(fmt.Sprintf("groups=%d", n), func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := tfplan.Read(data, tfplan.Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// checked reads a plan, judges all its groups, and returns the largest heap on the way, garbage
// included, beside what was there before.
func checked(t testing.TB, data []byte) (peak int64) {
	t.Helper()
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	used := func() int64 {
		metrics.Read(heap)
		return int64(heap[0].Value.Uint64())
	}
	before := used()
	p, err := tfplan.Read(data, tfplan.Options{})
	check(t, err)
	judge := doctor.New()
	for i := range p.Launches {
		peak = max(peak, used()-before)
		if r := judge.Check(p.Launches[i].Scenario); r.Told() != doctor.Launches {
			t.Fatal(r.Verdict)
		}
	}
	return max(peak, used()-before)
}

// Nor does judging its groups.
func TestALargePlanIsChecked(t *testing.T) {
	data := grown(t, 1000)
	runtime.GC()
	const limit = 200 << 20
	if peak := checked(t, data); peak > limit {
		t.Errorf("the heap grew by %d MB for a plan of %d MB", peak>>20, len(data)>>20)
	}
}

// BenchmarkCheck reads a plan and judges all its groups. Its limit is decoding the plan and nothing
// else: x-limit is how often that takes, peak-MB the largest heap.
func BenchmarkCheck(b *testing.B) {
	for _, n := range []int{1, 10, 100, 1000} {
		data := grown(b, n)
		b.Run(fmt.Sprintf("groups=%d", n), func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			var peak int64
			for b.Loop() {
				peak = max(peak, checked(b, data))
			}
			took := b.Elapsed() / time.Duration(b.N)
			start := time.Now()
			for range b.N {
				var plan any
				check(b, json.Unmarshal(data, &plan))
			}
			b.ReportMetric(float64(took)/float64(max(1, time.Since(start)/time.Duration(b.N))), "x-limit")
			b.ReportMetric(float64(peak)/(1<<20), "peak-MB")
		})
	}
}

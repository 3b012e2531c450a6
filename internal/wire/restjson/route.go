package restjson

import (
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/wire"
)

// A route is the method and path of an operation.
type route struct {
	op       *api.Operation
	segments []segment
}

// A segment of a path is a text, or a label, which stands for any text but none.
type segment struct {
	text  string
	label bool
}

// parsePath takes the path of a model apart: "/snapshots/{snapshotId}/blocks".
func parsePath(uri string) ([]segment, error) {
	path, ok := strings.CutPrefix(uri, "/")
	if !ok || strings.ContainsAny(path, "?+") { // fixed parameters and labels over slashes: no model of ours has them
		return nil, fmt.Errorf("path %q", uri)
	}
	var out []segment
	for part := range strings.SplitSeq(path, "/") {
		name, label := strings.CutPrefix(part, "{")
		out = append(out, segment{strings.TrimSuffix(name, "}"), label})
	}
	return out, nil
}

func (c *Codec) addRoute(op *api.Operation) error {
	if op.HTTP == nil {
		return errors.New("no method and path")
	}
	r := route{op: op}
	var err error
	if r.segments, err = parsePath(op.HTTP.URI); err != nil {
		return err
	}
	s, _, err := c.table.Of(op.NewInput())
	if err != nil {
		return err
	}
	members := map[string]bool{}
	for i := range s.Fields {
		if s.Fields[i].Place == wire.Label {
			members[s.Fields[i].Name] = true
		}
	}
	for _, seg := range r.segments {
		if seg.label && !members[seg.text] {
			return fmt.Errorf("label %s of the path has no member", seg.text)
		}
		if seg.label {
			delete(members, seg.text)
		}
	}
	if len(members) > 0 {
		return fmt.Errorf("path %q lacks a label", op.HTTP.URI)
	}
	for i := range c.routes {
		if c.routes[i].same(&r) {
			return fmt.Errorf("path %q is that of %s too", op.HTTP.URI, c.routes[i].op.Name)
		}
	}
	c.routes = append(c.routes, r)
	return nil
}

// same reports whether two routes take the same requests.
func (r *route) same(o *route) bool {
	if r.op.HTTP.Method != o.op.HTTP.Method || len(r.segments) != len(o.segments) {
		return false
	}
	for i, s := range r.segments {
		if s.label != o.segments[i].label || !s.label && s.text != o.segments[i].text {
			return false
		}
	}
	return true
}

// Route finds the operation of a method and an escaped path, and the values of the path's labels;
// nil if there is none. Of several, the one whose path is the most literal from the left is meant.
func (c *Codec) Route(method, path string) (*api.Operation, map[string]string) {
	path, ok := strings.CutPrefix(path, "/")
	if !ok {
		return nil, nil
	}
	parts := strings.Split(path, "/")
	for i, p := range parts {
		if p == "." || p == ".." { // a signature is over the path without them
			return nil, nil
		}
		var err error
		if parts[i], err = url.PathUnescape(p); err != nil {
			return nil, nil
		}
	}
	var best *route
	for i := range c.routes {
		if r := &c.routes[i]; r.op.HTTP.Method == method && r.takes(parts) && (best == nil || r.before(best)) {
			best = r
		}
	}
	if best == nil {
		return nil, nil
	}
	labels := map[string]string{}
	for i, s := range best.segments {
		if s.label {
			labels[s.text] = parts[i]
		}
	}
	return best.op, labels
}

func (r *route) takes(parts []string) bool {
	if len(parts) != len(r.segments) {
		return false
	}
	for i, s := range r.segments {
		if s.label && parts[i] == "" || !s.label && parts[i] != s.text {
			return false
		}
	}
	return true
}

// before reports whether r is more literal than o; both take the same path.
func (r *route) before(o *route) bool {
	for i, s := range r.segments {
		if s.label != o.segments[i].label {
			return o.segments[i].label
		}
	}
	return false
}

// path is the escaped path of a request.
func (c *Codec) path(op *api.Operation, s *wire.Struct, v reflect.Value) (string, error) {
	values := map[string]string{}
	for i := range s.Fields {
		f := &s.Fields[i]
		if fv := v.Field(f.Index); f.Place == wire.Label && !f.Absent(fv) {
			values[f.Name] = text(f, f.Node, fv)
		}
	}
	segments, err := parsePath(op.HTTP.URI)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, seg := range segments {
		b.WriteByte('/')
		switch {
		case !seg.label:
			b.WriteString(seg.text)
		case values[seg.text] == "":
			return "", fmt.Errorf("restjson: %s needs %s", op.Name, seg.text)
		default:
			b.WriteString(url.PathEscape(values[seg.text]))
		}
	}
	return b.String(), nil
}

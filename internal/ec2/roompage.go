package ec2

// A page is what the room knows of one host: its [hosts.Book].
type page struct {
	m *room
	v *hostView
}

// Held writes down that the host holds a volume for an instance, or does not any more, with "" for any.
func (p page) Held(id, instance string, yes bool) {
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	v := p.v
	switch {
	case yes && v.holds[id] == nil:
		v.holds[id] = map[string]bool{instance: true}
	case yes:
		v.holds[id][instance] = true
	case instance == "":
		delete(v.holds, id)
	default:
		if delete(v.holds[id], instance); len(v.holds[id]) == 0 {
			delete(v.holds, id)
		}
	}
}

// Holds reports whether the host holds a volume for an instance, or with "" for any.
func (p page) Holds(id, instance string) bool {
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	v := p.v
	if v.lost || v.life == "" {
		return false
	}
	return v.holds[id][instance] || instance == "" && len(v.holds[id]) > 0
}

// Boots reports whether instances have machines on the host.
func (p page) Boots() bool {
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	return p.v.rec.Boots
}

// held reports whether the volume of an instance is held for it, on its host or, with Multi-Attach, another one.
func (s *Service) held(host, id, instance string) bool {
	if s.room == nil {
		return s.rack(host).Holds(id, instance)
	}
	for _, name := range s.room.names() {
		if s.rack(name).Holds(id, instance) {
			return true
		}
	}
	return false
}

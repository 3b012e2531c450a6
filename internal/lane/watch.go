package lane

import "time"

// look is how often long requests are looked at, and long is what makes a request one.
const (
	look = time.Second
	long = time.Second
)

// watch ends the context of a request whose client has gone, once it takes long. net/http learns it at
// once, by reading while each request is served; that is a third of what an ordinary request costs there.
//
// It also closes idle connections whose client has closed them, or its sending side, together with the last request: turns does not read
// once more to learn it. One look for each wait is enough, since what comes later wakes turns.
func (s *Server) watch() {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		select {
		case <-s.ended:
			return
		case now := <-tick.C:
			served, idle := s.longer(now.Add(-long).UnixNano())
			for _, c := range served {
				if gone(c.rw) {
					c.cancel()
				}
			}
			for _, c := range idle {
				if gone(c.rw) {
					c.end()
				}
			}
		}
	}
}

// longer are the connections whose request began before a time, and those that wait since one that did and
// were not looked at since.
func (s *Server) longer(than int64) (served, waits []*conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		switch t := c.began.Load(); {
		case t > 0 && t < than:
			served = append(served, c)
		case t < 0 && -t < than && c.looked != t && c.state.Load() == idle:
			c.looked = t
			waits = append(waits, c)
		}
	}
	return served, waits
}

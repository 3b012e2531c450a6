package lane

import "time"

// look is how often long requests are looked at, and long is what makes a request one.
const (
	look = time.Second
	long = time.Second
)

// watch ends the context of a request whose client has gone, once it takes long. net/http learns it at
// once, by reading while each request is served; that is a third of what an ordinary request costs there.
func (s *Server) watch() {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		select {
		case <-s.ended:
			return
		case now := <-tick.C:
			for _, c := range s.longer(now.Add(-long).UnixNano()) {
				if gone(c.rw) {
					c.cancel()
				}
			}
		}
	}
}

// longer are the connections whose request began before a time.
func (s *Server) longer(than int64) (all []*conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if t := c.began.Load(); t != 0 && t < than {
			all = append(all, c)
		}
	}
	return all
}

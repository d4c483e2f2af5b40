package slacktest

import "time"

// At sets the workspace's clock, which counts on from there, a second a
// message: what looks for messages since a time needs the same one.
func (s *Server) At(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock = now.UnixMicro()
}

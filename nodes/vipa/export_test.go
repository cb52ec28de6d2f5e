package vipa

// Snapshot makes a snapshot anew, whether or not anything has changed.
func (s *Stack) Snapshot() *Addresses { return s.snapshot() }

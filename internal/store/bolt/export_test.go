package bolt

// FailHalfway does what a commit does whose last step failed after its root became visible.
func FailHalfway(s *Store, cause error) error {
	s.disk--
	return s.failed(cause)
}

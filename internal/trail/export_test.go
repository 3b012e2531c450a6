package trail

// AppendJSON writes a record as the log has it, but for its place.
func (r *Record) AppendJSON(b []byte) ([]byte, error) { return r.append(b) }

package incident

// Actions are the permissions that an incident asked for.
func Actions(n *Incident) []string { return n.actions }

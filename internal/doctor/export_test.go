package doctor

// Breadth is what a proposal opens, and whether it opens anything.
func Breadth(p *Proposal) (int, bool) { return p.breadth() }

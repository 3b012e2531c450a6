package doctor

func (o *outcome) warnings() (warnings, notes []string) { return []string{}, nil }

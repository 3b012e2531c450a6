package doctor

func (o *outcome) fix() *Fix { return nil }

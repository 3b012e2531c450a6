package doctor

import "github.com/kagimori/kagimori/internal/authz/explain"

func (f *failing) explanation() []string {
	if f.answer == nil || f.answer.err != nil {
		if f.text == "" && f.err != nil {
			return []string{f.err.Error()}
		}
		if f.text != "" {
			return []string{f.text}
		}
		return nil
	}
	return explain.Text(*f.answer.refused(), f.principal)
}

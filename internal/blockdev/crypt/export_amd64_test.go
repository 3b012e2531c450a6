//go:build !purego

package crypt

import "github.com/kagimori/kagimori/internal/secret"

func fastEngines(key secret.Bytes) map[string]engine {
	all := map[string]engine{}
	for _, k := range kinds() {
		e, err := newFast(k, key)
		if err != nil {
			panic(err)
		}
		all[k.name] = e
	}
	return all
}

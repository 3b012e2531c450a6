//go:build !amd64 || purego

package crypt

import "github.com/kagimori/kagimori/internal/secret"

func fastEngines(secret.Bytes) map[string]engine { return nil }

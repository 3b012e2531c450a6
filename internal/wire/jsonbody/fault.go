package jsonbody

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/kagimori/kagimori/internal/apierr"
)

// DecodeError reads an error's body. code is what the headers call it, "" if they do not; a
// namespace before a code, and a URI after it, go. Members of the body that are neither code nor
// message become the error's details.
func DecodeError(status int, code string, body []byte) *apierr.Error {
	e := &apierr.Error{Code: "UnknownError", Status: status, Server: status >= http.StatusInternalServerError}
	dec := jsontext.NewDecoder(bytes.NewBuffer(body))
	if tok, err := dec.ReadToken(); err == nil && tok.Kind() == '{' {
		for dec.PeekKind() == '"' {
			if !member(dec, e, &code) {
				break
			}
		}
	}
	code, _, _ = strings.Cut(code, ":")
	code = code[strings.LastIndexByte(code, '#')+1:]
	if code != "" {
		e.Code = code
	}
	return e
}

// member reads one member of an error; it reports whether there was one.
func member(dec *jsontext.Decoder, e *apierr.Error, code *string) bool {
	tok, err := dec.ReadToken()
	if err != nil {
		return false
	}
	name := tok.String()
	raw, err := dec.ReadValue()
	if err != nil {
		return false
	}
	var value any
	if json.Unmarshal(raw, &value) != nil || value == nil {
		return true
	}
	text, isText := value.(string)
	switch {
	case isText && (name == "__type" || name == "code"):
		if *code == "" {
			*code = text
		}
	case isText && strings.EqualFold(name, "message"):
		e.Message = text
	default:
		_ = e.With(name, value)
	}
	return true
}

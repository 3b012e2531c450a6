// Package speech says things in English and in Japanese. A message is a [Text]: an English format
// and its arguments, put into words only when somebody reads it, so that both languages carry the
// same evidence. The Japanese formats are the catalogue of this package; a test reads the sources of
// the whole program and fails if a format has none.
//
// Names are not translated: actions, condition keys, Sid, ARNs, ids, error codes and what AWS
// itself says. They are arguments, or a [Raw] text.
package speech

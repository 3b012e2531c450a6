package trail

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
)

// For is the record as the trail of an account has it; ok is false if it does not have it. An
// account sees what its principals did and, of events that are shared, what principals of other
// accounts did to its resources. Such a copy has an event id of its own, the shared event id of the
// other, and says of the caller only which account and which unique id it has.
// Source: CloudTrail User Guide, "CloudTrail record contents" (sharedEventID, recipientAccountId),
// "CloudTrail userIdentity element" (AWSAccount).
func (r *Record) For(account string) (rec Record, ok bool) {
	switch {
	case account == "":
		return Record{}, false
	case r.RecipientAccountID == account:
		return *r, true
	case r.SharedEventID == "" || !slices.ContainsFunc(r.Resources, func(x Resource) bool { return x.AccountID == account }):
		return Record{}, false
	}
	rec = *r
	rec.RecipientAccountID, rec.EventID = account, CopyID(r.EventID, account)
	if id := &r.UserIdentity; id.AccountID != "" && id.AccountID != account {
		rec.UserIdentity = UserIdentity{Type: "AWSAccount", PrincipalID: id.PrincipalID, AccountID: id.AccountID, InvokedBy: id.InvokedBy}
	}
	return rec, true
}

// CopyID is the event id of an account's copy of an event: always the same, in the form of a random
// UUID.
func CopyID(eventID, account string) string {
	b := sha256.Sum256([]byte("kagimori event copy\x00" + eventID + "\x00" + account))
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

// CloudTrail is the record in CloudTrail's form: without what kagimori adds.
func (r *Record) CloudTrail() (json.RawMessage, error) {
	c := *r
	c.EventTime = stamp(c.EventTime)
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	err := enc.Encode(struct {
		Record
		Kagimori *Extension `json:"kagimori,omitempty"` // hides the record's own
	}{Record: c})
	if err != nil {
		return nil, fmt.Errorf("trail: %w", err)
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

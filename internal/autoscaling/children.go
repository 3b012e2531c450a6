package autoscaling

import "github.com/kagimori/kagimori/internal/store"

// dropChildren removes what belongs to a group and is kept beside it: policies, scheduled actions,
// notification configurations, instance refreshes. It reports whether anything is left: a transaction removes only so
// much, so that a group is removed when nothing is.
func dropChildren(tx store.Tx, p place) (left bool, err error) {
	room := 60
	for r, err := range policyTable.Scan(tx, p.key()...) {
		if err != nil || room <= 0 {
			return true, err
		}
		room -= 2
		if err := dropPolicy(tx, &r.Value); err != nil {
			return true, err
		}
	}
	for r, err := range scheduleTable.Scan(tx, p.key()...) {
		if err != nil || room <= 0 {
			return true, err
		}
		room--
		if err := scheduleTable.Delete(tx, r.Key...); err != nil {
			return true, err
		}
	}
	for r, err := range topicTable.Scan(tx, p.key()...) {
		if err != nil || room <= 0 {
			return true, err
		}
		room--
		if err := topicTable.Delete(tx, r.Key...); err != nil {
			return true, err
		}
	}
	g, _, err := groupTable.Get(tx, p.key()...)
	if err != nil {
		return true, err
	}
	for r, err := range refreshTable.Scan(tx, p.Region, p.Account, g.UUID) {
		if err != nil || room <= 0 {
			return true, err
		}
		room--
		if err := refreshTable.Delete(tx, r.Key...); err != nil {
			return true, err
		}
	}
	for r, err := range launchTokens.Scan(tx, p.Region, p.Account, g.UUID) {
		if err != nil || room <= 0 {
			return true, err
		}
		room--
		if err := launchTokens.Delete(tx, r.Key...); err != nil {
			return true, err
		}
	}
	return false, nil
}

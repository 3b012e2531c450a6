package eventwindow_test

import (
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/ec2/eventwindow"
)

// FuzzCron: a cron expression that is taken has five fields, of which three are stars, and names at least one range of hours.
func FuzzCron(f *testing.F) {
	for _, seed := range []string{"* 0-4,20-23 * * 1,5", "* 20-4 * * SUN", "* 0-2 * * *", "0 0-4 * * *", "* 0-24 * * *", "* 4 * * *", "* 0-4 * * 5-1", "* -1-4 * * *", "", "* 0-4 * * ,"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if eventwindow.CheckCron(text) != nil {
			return
		}
		fields := strings.Fields(text)
		if len(fields) != 5 || fields[0]+fields[2]+fields[3] != "***" || !strings.Contains(fields[1], "-") {
			t.Errorf("%q is taken", text)
		}
	})
}

package flood

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestFloodByMinute runs the clock of the counts alone.
func TestFloodByMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Counts
		rows := 0
		for range 300 { // five minutes
			if _, own, _ := c.Note(Source{Principal: "a"}, time.Now()); own {
				rows++
			}
			time.Sleep(time.Second)
		}
		if rows != 5 {
			t.Errorf("%d rows in five minutes, want 5", rows)
		}
		told := 0
		for _, n := range c.Due(time.Now()) {
			told += n
		}
		if told != 59 {
			t.Errorf("%d told at the end of the last minute, want 59", told)
		}
		time.Sleep(time.Hour)
		if due := c.Due(time.Now()); len(due) != 0 || len(c.all) != 0 {
			t.Errorf("%d told of a quiet source, %d sources kept; want none", len(due), len(c.all))
		}
	})
}

package slack

import (
	"fmt"
	"testing"

	"phantom/internal/phantom"
)

// TestRooms: those at rest are forgotten when there are many, and none in which
// somebody is.
func TestRooms(t *testing.T) {
	r := newRooms()
	busy := r.enter("slack:busy")
	for i := range 3 * maxRooms {
		r.leave(r.enter(phantom.ConversationID(fmt.Sprintf("slack:C%d", i))))
	}
	if len(r.all) > maxRooms || r.all["slack:busy"] != busy {
		t.Errorf("%d rooms, the busy one among them: %v", len(r.all), r.all["slack:busy"] == busy)
	}
	r.leave(busy)
	for turn := range 10 {
		busy.progress(phantom.TurnID(fmt.Sprint(turn))).TS = fmt.Sprint(turn)
		busy.delivery(phantom.DeliveryID(fmt.Sprint(turn))).TS = []string{fmt.Sprint(turn)}
	}
	busy.delivery("10")
	if len(busy.kept.Progress) != maxProgresses || busy.progress("9").TS != "9" || len(busy.kept.Sent) != maxSent || busy.delivery("9").TS[0] != "9" {
		t.Errorf("kept: %+v", busy.kept)
	}
}

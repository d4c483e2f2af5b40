package audit_test

import (
	"flag"
	"testing"
	"time"
)

var longRows = flag.Int64("audit.rows", 10_000, "rows of the honest log that TestHonestLog verifies")

// TestHonestLog writes a long log from many writers and finds nothing wrong
// with it. `make audit-long` takes a million rows.
func TestHonestLog(t *testing.T) {
	s := newSite(t, 1)
	began := time.Now()
	grow(t, s, int(*longRows-2)/2)
	written := time.Since(began)
	began = time.Now()
	report := s.verify(t)
	verified := time.Since(began)
	if report.Bad != nil || report.Rows != *longRows || report.Checkpoints < *longRows/200 {
		t.Errorf("report = %+v (%v), want %d rows and no problem", report, report.Bad, *longRows)
	}
	t.Logf("%d rows: written at %.0f rows/s by 64 writers, verified at %.0f rows/s", *longRows,
		float64(*longRows)/written.Seconds(), float64(*longRows)/verified.Seconds())
}

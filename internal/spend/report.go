package spend

import (
	"context"
	"fmt"
	"time"

	"phantom/internal/phantom"
)

// Share is one part of the spend.
type Share struct {
	Name  string           `json:"name"`
	Calls int              `json:"calls"`
	Cost  phantom.MicroUSD `json:"cost_micro_usd"`
}

// Report is what was spent, calls under way counted at their worst case.
type Report struct {
	Today     phantom.MicroUSD `json:"today_micro_usd"`
	Month     phantom.MicroUSD `json:"month_micro_usd"`
	PerDay    phantom.MicroUSD `json:"day_ceiling_micro_usd,omitempty"`
	PerMonth  phantom.MicroUSD `json:"month_ceiling_micro_usd,omitempty"`
	PerTurn   phantom.MicroUSD `json:"turn_ceiling_micro_usd,omitempty"`
	ByModel   []Share          `json:"by_model"`
	ByChannel []Share          `json:"by_channel"`
	ByPurpose []Share          `json:"by_purpose"`
}

// Report returns the spend of the month of now.
func (l *Ledger) Report(ctx context.Context, now time.Time) (Report, error) {
	day, month := periods(now)
	r := Report{PerTurn: l.ceilings.PerTurn, PerDay: l.ceilings.PerDay, PerMonth: l.ceilings.PerMonth}
	err := l.db.QueryRow(ctx, `SELECT
		(SELECT coalesce(sum(cost), 0) FROM spend_entries WHERE at >= ?),
		(SELECT coalesce(sum(cost), 0) FROM spend_entries WHERE at >= ?)`,
		phantom.Micros(day), phantom.Micros(month)).Scan(&r.Today, &r.Month)
	if err != nil {
		return Report{}, fmt.Errorf("read spend: %w", err)
	}
	for query, shares := range map[string]*[]Share{
		sharesOfModels:   &r.ByModel,
		sharesOfChannels: &r.ByChannel,
		`SELECT purpose, count(*), sum(cost) FROM spend_entries WHERE at >= ? GROUP BY purpose ORDER BY 3 DESC, 1`: &r.ByPurpose,
	} {
		if *shares, err = l.shares(ctx, query, month); err != nil {
			return Report{}, err
		}
	}
	return r, nil
}

// Since returns how many calls there were since a time, what they cost, and
// the shares of models and channels in that.
func (l *Ledger) Since(ctx context.Context, since time.Time) (total Share, byModel, byChannel []Share, err error) {
	err = l.db.QueryRow(ctx, `SELECT count(*), coalesce(sum(cost), 0) FROM spend_entries WHERE at >= ?`, phantom.Micros(since)).Scan(&total.Calls, &total.Cost)
	if err != nil {
		return Share{}, nil, nil, fmt.Errorf("read spend: %w", err)
	}
	if byModel, err = l.shares(ctx, sharesOfModels, since); err != nil {
		return Share{}, nil, nil, err
	}
	byChannel, err = l.shares(ctx, sharesOfChannels, since)
	return total, byModel, byChannel, err
}

// SpentOn returns what was spent for purposes since a time, calls under way
// counted at their worst case.
func (l *Ledger) SpentOn(ctx context.Context, since time.Time, purposes ...string) (phantom.MicroUSD, error) {
	var sum phantom.MicroUSD
	for _, purpose := range purposes {
		var cost phantom.MicroUSD
		if err := l.db.QueryRow(ctx, `SELECT coalesce(sum(cost), 0) FROM spend_entries WHERE at >= ? AND purpose = ?`, phantom.Micros(since), purpose).Scan(&cost); err != nil {
			return 0, fmt.Errorf("read spend on %s: %w", purpose, err)
		}
		sum += cost
	}
	return sum, nil
}

const (
	sharesOfModels   = `SELECT model, count(*), sum(cost) FROM spend_entries WHERE at >= ? GROUP BY model ORDER BY 3 DESC, 1`
	sharesOfChannels = `SELECT channel, count(*), sum(cost) FROM spend_entries WHERE at >= ? GROUP BY channel ORDER BY 3 DESC, 1`
)

func (l *Ledger) shares(ctx context.Context, query string, since time.Time) ([]Share, error) {
	rows, err := l.db.Query(ctx, query, phantom.Micros(since))
	if err != nil {
		return nil, fmt.Errorf("read spend: %w", err)
	}
	defer rows.Close()
	shares := []Share{}
	for rows.Next() {
		var s Share
		if err := rows.Scan(&s.Name, &s.Calls, &s.Cost); err != nil {
			return nil, fmt.Errorf("read spend: %w", err)
		}
		shares = append(shares, s)
	}
	return shares, rows.Err()
}

// Turn returns what a turn has cost so far.
func (l *Ledger) Turn(ctx context.Context, id phantom.TurnID) (phantom.MicroUSD, error) {
	var cost phantom.MicroUSD
	if err := l.db.QueryRow(ctx, `SELECT coalesce(sum(cost), 0) FROM spend_entries WHERE turn = ?`, id).Scan(&cost); err != nil {
		return 0, fmt.Errorf("read spend of turn %s: %w", id, err)
	}
	return cost, nil
}

package polarity_test

import (
	"testing"

	"phantom/internal/gate/polarity"
)

// blindOpposed and blindAgreed were written after the rules were tuned, and
// scored once before anything was changed for them: 28 and 28 were right.
var blindOpposed = []struct{ a, b string }{
	{"Never rebase shared branches.", "Rebase shared branches before merging."},
	{"Please don't write docstrings.", "Every function gets a docstring; write docstrings."},
	{"I want British spelling.", "I don't want British spelling."},
	{"Always squash commits.", "Do not squash commits."},
	{"Round prices to 2 decimals.", "Round prices to 4 decimals."},
	{"Send the weekly report on Monday.", "Don't send the weekly report on Monday."},
	{"Use Celsius.", "Use Fahrenheit."},
	{"Keep functions small.", "Avoid small functions."},
	{"The deadline is March 3.", "The deadline is April 7."},
	{"Show line numbers.", "Hide line numbers."},
	{"No comments in code.", "Add comments in code."},
	{"Backups run at 02:00.", "Backups run at 04:00."},
	{"Call me Doctor Lee.", "Never call me Doctor Lee."},
	{"Lint before testing.", "Lint after testing."},
	{"Her email is ana@example.com.", "Her email is ana@example.org."},
	{"Deploy only with approval.", "Deploy without approval."},
	{"We no longer use Jenkins.", "Use Jenkins."},
	{"Emojis are forbidden in commit messages.", "Emojis are welcome in commit messages."},
	{"Use snake_case for variables.", "Use camelCase for variables."},
	{"You should not mock the database.", "Mock the database."},
	{"Stop adding trailing commas.", "Add trailing commas."},
	{"Cache responses for 5 minutes.", "Cache responses for 10 minutes."},
	{"Prefer tabs to spaces.", "Prefer spaces to tabs."},
	{"The team uses Slack, not email.", "The team uses email, not Slack."},
	{"Answer me in Spanish.", "Answer me in English."},
	{"Set the log level to debug.", "Never set the log level to debug."},
	{"Enable telemetry.", "Turn off telemetry."},
	{"Work on weekends is fine.", "Never work on weekends."},
	{"Invoices go to Petra.", "Invoices never go to Petra."},
	{"Skip the unit tests for prototypes.", "Run the unit tests for prototypes."},
}

var blindAgreed = []struct{ a, b string }{
	{"Never rebase shared branches.", "Rebase your own branches daily."},
	{"Round prices to 2 decimals.", "Round distances to 1 decimal."},
	{"Send the weekly report on Monday.", "Send the monthly report on the 1st."},
	{"Don't send me news.", "Send me the weather each morning."},
	{"Never deploy on Fridays.", "Deploys take about 20 minutes."},
	{"The build takes 12 minutes.", "The test suite takes 4 minutes."},
	{"Server alpha has 8 cores.", "Server beta has 16 cores."},
	{"Use short variable names in loops.", "Use long variable names for globals."},
	{"Never email customers directly.", "Email the team when a release is out."},
	{"Do not guess.", "Guess the language from the file extension."},
	{"Show diffs.", "Hide whitespace changes in diffs."},
	{"Open a ticket for each bug.", "Close tickets when the fix is released."},
	{"Don't apologise.", "Say sorry once when something broke."},
	{"Never store passwords in plain text.", "Store passwords hashed with argon2."},
	{"Lint before testing.", "Test before merging."},
	{"The office is closed on Sundays.", "The shop is open on Sundays."},
	{"Increase the memory for builds.", "Decrease the number of workers."},
	{"Use Docker locally.", "Use Kubernetes in production."},
	{"No meetings before 10:00.", "Lunch is at 12:30."},
	{"Prefer small pull requests.", "Large refactorings need a plan."},
	{"Not every error is fatal.", "Log fatal errors."},
	{"If nothing else is said, use UTC.", "Use local time in messages to customers."},
	{"I never eat meat.", "Book restaurants that serve fish."},
	{"Reviews need two approvals.", "Hotfixes need one approval."},
	{"Write tests in Go.", "Write scripts in Python."},
	{"Do not touch the legacy folder.", "The legacy folder holds the old API."},
	{"Avoid global state.", "The state machine is in fsm.go."},
	{"Without a ticket number, ask for one.", "Commit messages have a ticket number."},
	{"Call Anna before noon.", "Call Ben after noon."},
	{"Use bullet points for lists of more than 3 items.", "Use tables for more than 10 rows."},
}

func TestBlind(t *testing.T) {
	for _, p := range blindOpposed {
		if !polarity.Contradict(p.a, p.b) || !polarity.Contradict(p.b, p.a) {
			t.Errorf("%q and %q contradict each other", p.a, p.b)
		}
	}
	for _, p := range blindAgreed {
		if polarity.Contradict(p.a, p.b) || polarity.Contradict(p.b, p.a) {
			t.Errorf("%q and %q do not contradict each other", p.a, p.b)
		}
	}
}

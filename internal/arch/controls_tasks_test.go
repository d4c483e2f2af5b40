package arch

var taskControls = []sabotaged{
	{
		"a client that may only look gives no work", "internal/schedule/book.go",
		`!by.Scope.Includes(phantom.ScopeOperator) || by.Name == ""`, `by.Name == ""`,
		"TestCreateRefuses", "",
	},
	{
		"a client does not pass for the owner by its name", "internal/schedule/book.go",
		` || by.Name == b.owner`, ``,
		"TestCreateRefuses", "",
	},
	{
		"a client cancels its own tasks only", "internal/schedule/book.go",
		`task.client && task.CreatedBy == p.Name && `, `p.Name != "" && `,
		"TestWhoMayCancel", "",
	},
	{
		"tasks are bounded, and a place is kept for the owner's", "internal/schedule/book.go",
		`queued >= MaxQueued || task.client && queued >= MaxQueued-ownersPart`, `queued > 2*MaxQueued`,
		"TestQueueIsBounded", "",
	},
	{
		"a task keeps no secret", "internal/schedule/book.go",
		`b.redactor.String(n.Description)`, `n.Description`,
		"TestCreateKeepsNoSecret", "",
	},
	{
		"the progress of a task shows no secret", "internal/schedule/run.go",
		`t.redactor.String(line)`, `line`,
		"TestProgressIsNotedOnceASecond", "",
	},
	{
		"a client's task runs as the client's", "internal/schedule/task.go",
		`if t.client {`, `if t.client && t.ID == "" {`,
		"TestTaskIsHeardAsItsCreators", "",
	},
	{
		"a task that was cancelled is not handed on", "internal/schedule/run.go",
		`if task.Cancelling {
		return true, nil`, `if task.ID == "" {
		return true, nil`,
		"TestCancelWithoutAnInstance", "",
	},
	{
		"what was cancelled without an instance is stopped before turns go on", "internal/schedule/run.go",
		`if !task.Cancelling {
			continue`, `if task.Cancelling {
			continue`,
		"TestCancelWithoutAnInstance", "",
	},
	{
		"after a stop of everything no task begins", "internal/control/server.go",
		`if conversation == "" { // first, so that none of them begins`, `if conversation == "-" {`,
		"TestTasksOverTheSocket", "",
	},
	{
		"a stop ends what runs, whatever became of the tasks", "internal/control/server.go",
		`waiting, untouched = s.Tasks.CancelQueued(r.Context())
`, `if waiting, untouched = s.Tasks.CancelQueued(r.Context()); untouched != nil {
				return untouched
			}
`,
		"TestStopOfEverythingWithoutTasks", "",
	},
	{
		"the work of a client whose token was taken back is stopped", "internal/router/mailbox.go",
		`if _, err := r.Stop(ctx, conversation); err != nil {
				r.warn(`, `if err := error(nil); err != nil {
				r.warn(`,
		"TestRevokedClientsWorkIsStopped", "",
	},
	{
		"background jobs of a client whose token was taken back are stopped", "internal/router/mailbox.go",
		`all := r.Background.JobsRun()`, `all := r.Background.JobsRun()[:0]`,
		"TestRevokedClientsWorkIsStopped", "",
	},
	{
		"clients leave the owner a place", "internal/router/mailbox.go",
		`slot.places = []chan struct{}{r.guests, r.slots}`, `slot.places = []chan struct{}{r.slots}`,
		"TestClientsLeaveTheOwnerAPlace", "",
	},
}

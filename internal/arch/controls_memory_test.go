package arch

var memoryControls = []sabotaged{
	{
		"secrets never reach memory", "internal/memory/memory.go",
		`s.Redactor.String(i.Text)`, `i.Text`,
		"TestSecretsAreNotKept", "",
	},
	{
		"nor do those in a fact's parts", "internal/memory/memory.go",
		`s.Redactor.String(*part)`, `*part`,
		"TestSecretsAreNotKept", "",
	},
	{
		"what others say is no fact", "internal/memory/trust.go",
		`i.rank() < need {`, `need < i.rank()-9 {`,
		"TestWhoMayContradict", "",
	},
	{
		"what is said of the owner is a fact in his own words only", "internal/memory/trust.go",
		`need = 3`, `need = 2`,
		"TestNobodySpeaksForTheOwner", "",
	},
	{
		"what is kept beside untrusted text is no fact", "internal/memory/trust.go",
		`rank = min(rank, 1)`, ``,
		"TestNobodySpeaksForTheOwner", "",
	},
	{
		"a worse word supersedes no better one", "internal/memory/add.go",
		`if i.rank() >= old.rank() && !i.from().Before(old.from()) {`, `if !i.from().Before(old.from()) {`,
		"TestWhoMayContradict", "",
	},
	{
		"a worse word strengthens no better one", "internal/memory/add.go",
		`if i.rank() == old.rank() {`, `if old.ID != "" {`,
		"TestNothingIsKeptTwice", "",
	},
	{
		"what is forgotten leaves the index of words", "internal/memory/forget.go",
		`SELECT 'delete', ?, ? WHERE EXISTS (`, `SELECT 'delete', ?, ? WHERE NOT EXISTS (`,
		"TestForgottenIsGone", "",
	},
	{
		"and the vectors", "internal/memory/forget.go",
		"`memory_vectors WHERE item`, `memory_codes WHERE item`, `memory_items WHERE seq`", "`memory_items WHERE seq`",
		"TestForgottenIsGone", "",
	},
	{
		"and the database's log", "internal/memory/forget.go",
		`if err := s.DB.Scrub(ctx); err != nil {`, `if err := ctx.Err(); err != nil {`,
		"TestForgottenIsGone", "",
	},
	{
		"and what else may hold it", "internal/memory/forget.go",
		`if s.Transcripts != nil {`, `if s.Transcripts != nil && id == "" {`,
		"TestForgottenIsGone", "",
	},
	{
		"a broken vector is noticed", "internal/memory/vector/vector.go",
		`if binary.LittleEndian.Uint32(raw[4+n:]) != sum(item, raw[:4+n]) {`, `if n < 0 {`,
		"TestOpenNoticesHarm", "",
	},
	{
		"a turn does not wait for a slow embedder", "internal/memory/recall.go",
		`Query{Text: message}, embedderPatience)`, `Query{Text: message}, 100*embedderPatience)`,
		"TestSlowEmbedder", "",
	},
	{
		"nor each turn anew", "internal/memory/meaning.go",
		`if err := s.health.resting(); err != nil {`, `if err := s.health.resting(); err != nil && s.number == 0 {`,
		"TestSlowEmbedder", "",
	},
	{
		"vectors of another embedder are not compared", "internal/memory/meaning.go",
		`WHERE embedder = ? AND length(code) > 0`, `WHERE embedder <> -? AND length(code) > 0`,
		"TestAnotherEmbedder", "",
	},
	{
		"the record of memory commands holds no memory", "internal/control/memories.go",
		`"memory import", fmt.Sprintf("%d memories", len(items))`, `"memory import", fmt.Sprintf("%v", items)`,
		"TestMemories", "",
	},
	{
		"notes of others do not count as the owner's", "internal/memory/transfer/transfer.go",
		`if !own {`, `if !own && name == "" {`,
		"TestNotes", "",
	},
}

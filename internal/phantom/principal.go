package phantom

import "context"

// Kind says what sort of caller a principal is. The zero value is nobody.
type Kind uint8

// The kinds of principal.
const (
	Nobody Kind = iota
	KindStranger
	KindClient // an MCP client with a token
	KindOwner
	KindSystem // Phantom itself: schedules, maintenance
)

var kindNames = [...]string{"nobody", "stranger", "client", "owner", "system"}

// String returns the word used in tables and logs.
func (k Kind) String() string {
	if int(k) >= len(kindNames) {
		return kindNames[Nobody]
	}
	return kindNames[k]
}

// Principal is who is acting. It is put into the context once, by the package
// that checked the credential, and read from nowhere else.
type Principal struct {
	Kind    Kind
	Name    string // identity on its surface
	Surface string // channel or door it came in by: "terminal", "mcp", "schedule"
	Scope   Scope  // how much it may do; the owner holds admin
}

type contextKey uint8

const (
	principalKey contextKey = iota
	turnKey
	readingKey
)

// WithPrincipal returns a context that carries p.
func WithPrincipal(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey, p)
}

// PrincipalFrom returns who is acting; without one it returns Nobody, which
// every guard refuses.
func PrincipalFrom(ctx context.Context) Principal {
	p, _ := ctx.Value(principalKey).(Principal)
	return p
}

// TurnRef says on whose behalf a tool runs.
type TurnRef struct {
	Turn         TurnID
	Conversation ConversationID
}

// WithTurn returns a context that carries the turn that is acting.
func WithTurn(ctx context.Context, ref TurnRef) context.Context {
	return context.WithValue(ctx, turnKey, ref)
}

// TurnFrom returns the acting turn, or the zero TurnRef outside turns.
func TurnFrom(ctx context.Context) TurnRef {
	ref, _ := ctx.Value(turnKey).(TurnRef)
	return ref
}

package term

import (
	"slices"
	"strings"
)

// ownerWords are what the owner is spoken of with.
const ownerWords = " owner user i me my mine myself we our boss "

// wishBeginnings are those of predicates that say what somebody wants or allows.
var wishBeginnings = []string{
	"want", "wish", "prefer", "like", "dislik", "lov", "hate", "need", "requir", "expect", "insist", "ask", "demand", "order", "instruct",
	"approv", "allow", "permit", "authori", "trust", "consent", "grant", "forbid", "forbad", "never", "always",
}

// OfOwner reports whether words speak of the owner.
func OfOwner(words string) bool {
	return slices.ContainsFunc(Of(words), func(t string) bool { return strings.Contains(ownerWords, " "+t+" ") })
}

// Wish reports whether words speak of what somebody wants. It is wrong about
// some harmless ones, which are then episodes.
func Wish(words string) bool {
	return slices.ContainsFunc(Of(words), func(t string) bool {
		return slices.ContainsFunc(wishBeginnings, func(b string) bool { return strings.HasPrefix(t, b) })
	})
}

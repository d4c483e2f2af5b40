package main

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"

	"phantom/internal/channel/telegram/telegramtest"
)

// telegramChat is the owner's chat with Phantom's bot.
type telegramChat struct{ *telegramtest.Server }

// telegramOwner is the owner there.
const telegramOwner = 4711

func openTelegramChat(t *testing.T) service { return &telegramChat{telegramtest.New(t)} }

func (s *telegramChat) block() (name, yaml, owner string, env []string) {
	return "telegram", fmt.Sprintf("telegram: {enabled: true, bot_token: '${TELEGRAM_BOT_TOKEN}', api_url: %q}\n", s.URL), strconv.Itoa(telegramOwner),
		[]string{"TELEGRAM_BOT_TOKEN=" + telegramtest.Token}
}

func (*telegramChat) at(*install) {}

func (s *telegramChat) say(text string) { s.Say(telegramOwner, text) }

func (s *telegramChat) disturb(rng *rand.Rand) {
	methods := []string{"sendMessage", "editMessageText", "getUpdates", "getMe", "sendChatAction", "deleteMessage"}
	faults := []telegramtest.Fault{{}, {Code: 429, RetryAfter: 1}, {Code: 500}, {Code: 502, Garbage: "<html>"}, {Code: 409}}
	for range 1 + rng.IntN(2) {
		s.Fail(methods[rng.IntN(len(methods))], faults[rng.IntN(len(faults))])
	}
}

func (s *telegramChat) heal() { s.Heal() }

func (s *telegramChat) read() []string {
	var all []string
	for _, m := range s.Seen(telegramOwner) {
		all = append(all, m.Text)
	}
	return all
}

// repeats is two: the Bot API cannot be asked whether a message was sent, so a
// kill between its sending and the note of it sends it again.
func (*telegramChat) repeats() int { return 2 }

package telegram

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"github.com/go-telegram/bot"
	"github.com/go-telegram/bot/models"

	"phantom/internal/phantom"
)

// What the buttons carry. Anybody's client can send any data for a message
// with buttons, so it is read strictly and who pressed is the router's to judge.
const (
	dataApprove = "approve:" // and the number of the question
	dataDeny    = "deny:"
	dataUp      = "up"
	dataDown    = "down"
)

// maxAlert bounds the words that answer a press, in UTF-16 units.
const maxAlert = 200

// questionButtons are those under a question, valueButtons those under a
// reply; chosen marks the one that was pressed.
func questionButtons(number int64) *models.InlineKeyboardMarkup {
	n := strconv.FormatInt(number, 10)
	return row(button("✅ Approve", dataApprove+n), button("❌ Deny", dataDeny+n))
}

func valueButtons(chosen phantom.Press) *models.InlineKeyboardMarkup {
	up, down := "👍", "👎"
	switch chosen {
	case phantom.PressUp:
		up += " ✓"
	case phantom.PressDown:
		down += " ✓"
	case phantom.PressApprove, phantom.PressDeny:
	}
	return row(button(up, dataUp), button(down, dataDown))
}

func row(buttons ...models.InlineKeyboardButton) *models.InlineKeyboardMarkup {
	return &models.InlineKeyboardMarkup{InlineKeyboard: [][]models.InlineKeyboardButton{buttons}}
}

func button(text, data string) models.InlineKeyboardButton {
	return models.InlineKeyboardButton{Text: text, CallbackData: data}
}

// press reads a press of one of our buttons.
func (c *Channel) press(u update) (phantom.Inbound, bool) {
	p := u.Callback
	if p.From.ID <= 0 || p.From.Bot || p.Message == nil || p.Message.Chat.ID == 0 || p.Message.Chat.Type != "private" && !c.Groups {
		return phantom.Inbound{}, false
	}
	in := phantom.Inbound{
		Identity:     fmt.Sprintf("%d:press", u.ID),
		Conversation: p.Message.place().conversation(), Sender: strconv.FormatInt(p.From.ID, 10), Kind: phantom.InboundButton,
		On: messageName(p.Message.Chat.ID, p.Message.ID), Source: strconv.Itoa(p.Message.ID),
	}
	for prefix, press := range map[string]phantom.Press{dataApprove: phantom.PressApprove, dataDeny: phantom.PressDeny} {
		if digits, ok := strings.CutPrefix(p.Data, prefix); ok {
			number, err := strconv.ParseInt(digits, 10, 64)
			in.Press, in.Question = press, number
			return in, err == nil && number > 0
		}
	}
	switch p.Data {
	case dataUp:
		in.Press = phantom.PressUp
	case dataDown:
		in.Press = phantom.PressDown
	}
	return in, in.Press != ""
}

// pressed tells who pressed what became of it, and changes the buttons. What
// does not arrive is logged: the press itself is committed.
func (c *Channel) pressed(ctx context.Context, p callback, in phantom.Inbound, err error) {
	call, cancel := context.WithTimeout(ctx, afterTimeout)
	defer cancel()
	decides := in.Question != 0
	words, failed := "Thank you.", err != nil
	switch {
	case failed && c.Refused(err):
		words = "I answer only my owner."
	case failed:
		words = err.Error()
	case in.Press == phantom.PressApprove:
		words = "Approved."
	case in.Press == phantom.PressDeny:
		words = "Denied."
	}
	_, answerErr := c.bot.AnswerCallbackQuery(call, &bot.AnswerCallbackQueryParams{CallbackQueryID: p.ID, Text: clip(words, maxAlert), ShowAlert: failed})
	c.notShown(ctx, "answerCallbackQuery", answerErr)
	switch {
	case failed && c.Refused(err): // for the owner they stay
	case decides && failed:
		c.notShown(ctx, "editMessageReplyMarkup", c.markup(call, p, nil))
	case decides:
		c.notShown(ctx, "editMessageText", c.decided(call, p, in.Press))
	default:
		c.notShown(ctx, "editMessageReplyMarkup", c.markup(call, p, valueButtons(in.Press)))
	}
}

// decided takes the buttons from a question and writes under it what was said.
func (c *Channel) decided(ctx context.Context, p callback, press phantom.Press) error {
	line := "\n\n✅ Approved"
	if press == phantom.PressDeny {
		line = "\n\n❌ Denied"
	}
	text := p.Message.Text + line
	if p.Message.Text == "" || units(text) > maxText {
		return c.markup(ctx, p, nil)
	}
	_, err := c.bot.EditMessageText(ctx, &bot.EditMessageTextParams{
		ChatID: p.Message.Chat.ID, MessageID: p.Message.ID, Text: text, Entities: p.Message.Entities, LinkPreviewOptions: noPreview(),
	})
	return err
}

// markup exchanges the buttons of a message; nil: takes them away.
func (c *Channel) markup(ctx context.Context, p callback, buttons *models.InlineKeyboardMarkup) error {
	params := &bot.EditMessageReplyMarkupParams{ChatID: p.Message.Chat.ID, MessageID: p.Message.ID}
	if buttons != nil {
		params.ReplyMarkup = buttons
	}
	_, err := c.bot.EditMessageReplyMarkup(ctx, params)
	return err
}

// notShown logs what could not be shown of a press.
func (c *Channel) notShown(ctx context.Context, method string, err error) {
	if err != nil && ctx.Err() == nil && !unchanged(err) {
		c.Log.LogAttrs(ctx, slog.LevelWarn, "a press is kept, but not shown", slog.Any("error", c.refusal(method, err)))
	}
}

// unchanged reports whether Telegram only says that a message already reads so.
func unchanged(err error) bool {
	return err != nil && strings.Contains(err.Error(), "message is not modified")
}

package telegram

import "github.com/go-telegram/bot/models"

// What Telegram sends, as far as it is read. The library's own types refuse a
// whole update for one kind of thing that they do not know; these do not.

type update struct {
	ID       int64     `json:"update_id"`
	Message  *message  `json:"message"`
	Edited   *message  `json:"edited_message"`
	Callback *callback `json:"callback_query"`
	Reaction *reacted  `json:"message_reaction"`
}

// heard are the kinds of updates that are asked for.
var heard = []string{"message", "edited_message", "callback_query", "message_reaction"}

type user struct {
	ID        int64  `json:"id"`
	Bot       bool   `json:"is_bot"`
	FirstName string `json:"first_name"`
	LastName  string `json:"last_name"`
	Username  string `json:"username"`
}

type chat struct {
	ID    int64  `json:"id"`
	Type  string `json:"type"`
	Title string `json:"title"`
}

type message struct {
	ID              int                    `json:"message_id"`
	Thread          int                    `json:"message_thread_id"`
	Topic           bool                   `json:"is_topic_message"`
	From            *user                  `json:"from"`
	SenderChat      *chat                  `json:"sender_chat"`
	Chat            chat                   `json:"chat"`
	Date            int64                  `json:"date"`
	EditDate        int64                  `json:"edit_date"`
	Origin          *origin                `json:"forward_origin"`
	ViaBot          *user                  `json:"via_bot"`
	Reply           *message               `json:"reply_to_message"`
	Quote           *quote                 `json:"quote"`
	Text            string                 `json:"text"`
	Entities        []models.MessageEntity `json:"entities"`
	Caption         string                 `json:"caption"`
	CaptionEntities []models.MessageEntity `json:"caption_entities"`
	Photo           []file                 `json:"photo"`
	Document        *file                  `json:"document"`
	Audio           *file                  `json:"audio"`
	Video           *file                  `json:"video"`
	Voice           *file                  `json:"voice"`
	VideoNote       *file                  `json:"video_note"`
	Sticker         *sticker               `json:"sticker"`
	Location        *location              `json:"location"`
	Contact         *contact               `json:"contact"`
	Poll            *struct{}              `json:"poll"`
	Dice            *struct{}              `json:"dice"`
	Story           *struct{}              `json:"story"`
	PaidMedia       *struct{}              `json:"paid_media"`
	Checklist       *struct{}              `json:"checklist"`
}

type origin struct {
	Type       string `json:"type"`
	User       *user  `json:"sender_user"`
	UserName   string `json:"sender_user_name"`
	SenderChat *chat  `json:"sender_chat"`
	Chat       *chat  `json:"chat"`
}

type quote struct {
	Text string `json:"text"`
}

type file struct {
	ID   string `json:"file_id"`
	Size int64  `json:"file_size"`
	Name string `json:"file_name"`
}

type sticker struct {
	Emoji string `json:"emoji"`
}

type location struct {
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
}

type contact struct {
	Phone     string `json:"phone_number"`
	FirstName string `json:"first_name"`
	LastName  string `json:"last_name"`
}

type callback struct {
	ID      string   `json:"id"`
	From    user     `json:"from"`
	Message *message `json:"message"` // with a date of 0 only its ids are known
	Data    string   `json:"data"`
}

type reacted struct {
	Chat    chat       `json:"chat"`
	Message int        `json:"message_id"`
	User    *user      `json:"user"`
	Old     []reaction `json:"old_reaction"`
	New     []reaction `json:"new_reaction"`
}

type reaction struct {
	Type  string `json:"type"`
	Emoji string `json:"emoji"`
}

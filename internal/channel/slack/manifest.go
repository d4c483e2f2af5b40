package slack

import (
	"encoding/json"
	"fmt"
	"slices"
)

// botScopes are the scopes that Phantom's work needs, and no others.
func botScopes() []string {
	return []string{
		"app_mentions:read", // hear mentions
		"channels:history",  // read public channels
		"channels:read",     // see which there are
		"chat:write",        // answer
		"chat:write.public", // answer where nobody invited it
		"groups:history",    // read private channels
		"im:history",        // read direct messages
		"im:read",
		"im:write",        // begin them
		"reactions:read",  // feedback
		"reactions:write", // status
	}
}

// extras are the scopes that a manifest has on request.
func extras() map[string]string {
	return map[string]string{"files": "files:read", "names": "users:read"}
}

// manifest is the description of an app that Slack takes.
type manifest struct {
	Display struct {
		Name        string `json:"name"`
		Description string `json:"description"`
	} `json:"display_information"`
	Features struct {
		Home struct {
			Home     bool `json:"home_tab_enabled"`
			Messages bool `json:"messages_tab_enabled"`
			ReadOnly bool `json:"messages_tab_read_only_enabled"`
		} `json:"app_home"`
		Bot struct {
			Name   string `json:"display_name"`
			Online bool   `json:"always_online"`
		} `json:"bot_user"`
	} `json:"features"`
	OAuth struct {
		Scopes struct {
			Bot []string `json:"bot"`
		} `json:"scopes"`
	} `json:"oauth_config"`
	Settings struct {
		Events struct {
			Bot []string `json:"bot_events"`
		} `json:"event_subscriptions"`
		Interactivity struct {
			On bool `json:"is_enabled"`
		} `json:"interactivity"`
		Org      bool `json:"org_deploy_enabled"`
		Socket   bool `json:"socket_mode_enabled"`
		Rotation bool `json:"token_rotation_enabled"`
	} `json:"settings"`
}

// appName is what the app is called until its owner renames it.
const appName = "Phantom"

// Manifest returns the app's manifest, which Slack's page for new apps takes:
// with files it can also read what the owner uploads, with names it knows what
// people are called. The app-level token, with the scope connections:write, is
// made on that page; no manifest can.
func Manifest(with ...string) ([]byte, error) {
	var m manifest
	m.Display.Name, m.Display.Description = appName, "An AI co-worker with its own computer"
	m.Features.Home.Messages = true
	m.Features.Bot.Name, m.Features.Bot.Online = appName, true
	m.OAuth.Scopes.Bot = botScopes()
	for _, extra := range with {
		scope := extras()[extra]
		if scope == "" {
			return nil, fmt.Errorf("the manifest can be made with files and names, not with %q", extra)
		}
		if !slices.Contains(m.OAuth.Scopes.Bot, scope) {
			m.OAuth.Scopes.Bot = append(m.OAuth.Scopes.Bot, scope)
		}
	}
	m.Settings.Events.Bot = []string{"app_mention", "message.channels", "message.groups", "message.im", "reaction_added"}
	m.Settings.Interactivity.On = true
	m.Settings.Socket = true
	raw, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the manifest: %w", err)
	}
	return append(raw, '\n'), nil
}

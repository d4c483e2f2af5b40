package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"charm.land/huh/v2"
	"github.com/spf13/cobra"

	"phantom/internal/access"
	"phantom/internal/app"
	"phantom/internal/config"
	"phantom/internal/secret"
)

func (c *cli) initCommand() *cobra.Command {
	a := config.DefaultAnswers()
	var yes bool
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Write a complete home",
		Long: "Writes everything Phantom needs into its home and overwrites nothing. On a terminal it asks; otherwise, and with\n" +
			"--yes, it takes flags, the environment and defaults. Secrets that you type go to .env.local; those that are in the\n" +
			"environment are written nowhere. A token for an MCP client is made only if you say so.",
		Example: "  phantom init\n  phantom init --yes --name ada --role swe\n  phantom init --home /srv/phantom --yes",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return c.initHome(cmd.Context(), a, yes) },
	}
	f := cmd.Flags()
	f.BoolVar(&yes, "yes", false, "ask nothing")
	f.StringVar(&a.Name, "name", a.Name, "what Phantom is called")
	f.StringVar(&a.Role, "role", a.Role, "what it is for: a file in config/roles")
	f.StringVar(&a.Model, "model", a.Model, "id of the model")
	f.StringVar(&a.PublicURL, "public-url", a.PublicURL, "address under which others reach it, if any")
	f.IntVar(&a.Port, "port", a.Port, "HTTP port on this machine")
	return c.jsonFlag(cmd)
}

// newHome is what init did.
type newHome struct {
	Home     string   `json:"home"`
	Existed  bool     `json:"existed"`
	Created  []string `json:"created"`
	Provider string   `json:"provider,omitempty"`
}

func (c *cli) initHome(ctx context.Context, a config.Answers, yes bool) error {
	home, err := config.FindHome(c.home)
	if err != nil {
		return err
	}
	done := newHome{Home: home.Dir(), Created: []string{}}
	if done.Existed, err = home.Exists(); err != nil {
		return err
	}
	if done.Existed {
		return c.print(done, func(w io.Writer) {
			fmt.Fprintf(w, "there is a home in %s: nothing was written\n", done.Home)
		})
	}
	scope := "" // of a token that was asked for
	if !yes && !c.json && c.onTerminal() {
		done.Created, scope, err = c.interview(ctx, home, a)
	} else {
		done.Created, err = config.Init(home, a)
	}
	if err != nil {
		return err
	}
	conf, err := config.Load(home, config.Overrides{})
	if err != nil {
		return fmt.Errorf("the home is written, but it cannot be used yet: %w", err)
	}
	done.Provider = conf.Provider.Type
	if err := c.print(done, func(w io.Writer) { c.welcome(w, done) }); err != nil || scope == "" {
		return err
	}
	return c.firstToken(ctx, conf, scope)
}

// firstToken makes the token that somebody at the terminal wanted for a client
// of their own.
func (c *cli) firstToken(ctx context.Context, conf *config.Config, scope string) error {
	i, done, err := app.OpenTokens(ctx, c.bookOptions(conf))
	if err != nil {
		return fmt.Errorf("the home is written, but no token was made: %w", err)
	}
	made, err := i.CreateToken(asOwner(ctx), access.Order{Client: firstClient, Scope: scope})
	if err := errors.Join(err, done()); err != nil {
		return fmt.Errorf("the home is written, but no token was made: %w", err)
	}
	fmt.Fprintln(c.stdout)
	return c.handOver(conf, made)
}

// firstClient is what the client of who set a home up is called.
const firstClient = "first"

// welcome says what was written and what comes next.
func (c *cli) welcome(w io.Writer, done newHome) {
	fmt.Fprintf(w, "new home in %s\n", done.Home)
	for _, name := range done.Created {
		fmt.Fprintf(w, "  %s\n", name)
	}
	program := c.program()
	if done.Provider == config.Offline {
		fmt.Fprintf(w, "\nNo model key was found, so the offline model answers. For a real one, add this line to .env.local:\n  ANTHROPIC_API_KEY='sk-ant-…'\n")
	}
	fmt.Fprintf(w, "\nnext\n  %s doctor   checks everything\n  %s start    runs it, with a chat on a terminal\n", program, program)
}

// program is how to call phantom on the home at hand.
func (c *cli) program() string {
	if c.home == "" {
		return "phantom"
	}
	return "phantom --home " + shellWord(c.home)
}

// shellWord quotes a path so that it can be pasted into a shell.
func shellWord(path string) string {
	if strings.ContainsFunc(path, func(r rune) bool { return !strings.ContainsRune("/._-+,@", r) && !isPlain(r) }) {
		return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
	}
	return path
}

func isPlain(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

// interview asks until the answers make a home or the user gives up. It returns
// what was written, and the scope of a token if one is wanted.
func (c *cli) interview(ctx context.Context, home config.Home, a config.Answers) (created []string, scope string, err error) {
	in := newInterview(a)
	for {
		err := in.form(home.Dir()).WithInput(c.stdin).WithOutput(c.stdout).RunWithContext(ctx)
		if errors.Is(err, huh.ErrUserAborted) {
			return nil, "", errors.New("nothing was written: run `phantom init` again, or `phantom init --yes` to be asked nothing")
		}
		if err != nil {
			return nil, "", err
		}
		created, err := config.Init(home, in.answers())
		_, disk := errors.AsType[*fs.PathError](err)
		_, held := errors.AsType[*config.HeldError](err)
		if err == nil || disk || held {
			return created, in.scope, err
		}
		fmt.Fprintf(c.stderr, "%v\n", err) // an answer that the settings refuse: ask again
	}
}

// interview holds what was typed so far.
type interview struct {
	base                           config.Answers
	name, role, model, port        string
	key                            string
	channels                       []string
	slackBot, slackApp, slackOwner string
	telegramBot, telegramOwner     string
	scope                          string // of a token for an MCP client; "": none
}

func newInterview(a config.Answers) *interview {
	return &interview{base: a, name: a.Name, role: a.Role, model: a.Model, port: strconv.Itoa(a.Port)}
}

// channelRows and scopeRows are the heights of the choices, title and
// description included: the library's own reckoning leaves the options no room.
const channelRows, scopeRows = 5, 7

func (in *interview) form(home string) *huh.Form {
	without := func(channel string) func() bool {
		return func() bool { return !slices.Contains(in.channels, channel) }
	}
	hidden := func(title, about string, to *string) *huh.Input {
		return huh.NewInput().Title(title).Description(about).EchoMode(huh.EchoModePassword).Value(to)
	}
	return huh.NewForm(
		huh.NewGroup(
			huh.NewInput().Title("What is it called?").Value(&in.name).Validate(huh.ValidateNotEmpty()),
			huh.NewInput().Title("What is its role?").Description("described in config/roles; swe is a software engineer").Value(&in.role).Validate(huh.ValidateNotEmpty()),
			huh.NewInput().Title("Which port on this machine?").Value(&in.port).Validate(checkPort),
		).Title("A new home in "+home),
		huh.NewGroup(
			huh.NewInput().Title("Which model?").Value(&in.model).Validate(huh.ValidateNotEmpty()),
			hidden("Anthropic API key", "empty: taken from ANTHROPIC_API_KEY if that is set, else the offline model answers", &in.key),
		).Title("The model"),
		huh.NewGroup(
			huh.NewMultiSelect[string]().Title("Which channels besides this terminal?").Description("space selects; none is fine, they can be added later").Height(channelRows).
				Options(huh.NewOption("Slack", "slack"), huh.NewOption("Telegram", "telegram")).Value(&in.channels),
		).Title("How you reach it"),
		huh.NewGroup(
			hidden("Bot token", "begins with xoxb-; empty if SLACK_BOT_TOKEN is set", &in.slackBot),
			hidden("App token", "begins with xapp-; empty if SLACK_APP_TOKEN is set", &in.slackApp),
			huh.NewInput().Title("Your own user id").Description("begins with U; nobody else is answered").Value(&in.slackOwner),
		).Title("Slack").WithHideFunc(without("slack")),
		huh.NewGroup(
			hidden("Bot token", "from @BotFather; empty if TELEGRAM_BOT_TOKEN is set", &in.telegramBot),
			huh.NewInput().Title("Your own user id").Description("a number; nobody else is answered").Value(&in.telegramOwner),
		).Title("Telegram").WithHideFunc(without("telegram")),
		huh.NewGroup(
			huh.NewSelect[string]().Title("A token for your own MCP client, such as Claude Code?").Description("shown once, at the end; `phantom token create` makes one later").Height(scopeRows).Options(
				huh.NewOption("none", ""), huh.NewOption("read: it may look", "read"),
				huh.NewOption("operator: it may also give work", "operator"), huh.NewOption("admin: it may also change the tools", "admin"),
			).Value(&in.scope),
		).Title("Other agents"),
	)
}

func checkPort(text string) error {
	if n, err := strconv.Atoi(strings.TrimSpace(text)); err != nil || n < 1 || n > 65535 {
		return errors.New("a whole number from 1 to 65535")
	}
	return nil
}

// answers is what was typed. What belongs to a channel that is not wanted any
// more is left out.
func (in *interview) answers() config.Answers {
	a := in.base
	a.Name, a.Role, a.Model = strings.TrimSpace(in.name), strings.TrimSpace(in.role), strings.TrimSpace(in.model)
	if n, err := strconv.Atoi(strings.TrimSpace(in.port)); err == nil {
		a.Port = n
	}
	a.Owner, a.Secrets = map[string]string{}, map[string]secret.Value{}
	keep := func(name, typed string) {
		if typed = strings.TrimSpace(typed); typed != "" {
			a.Secrets[name] = secret.New(typed)
		}
	}
	keep("ANTHROPIC_API_KEY", in.key)
	if slices.Contains(in.channels, "slack") {
		keep("SLACK_BOT_TOKEN", in.slackBot)
		keep("SLACK_APP_TOKEN", in.slackApp)
		a.Owner["slack"] = strings.TrimSpace(in.slackOwner)
	}
	if slices.Contains(in.channels, "telegram") {
		keep("TELEGRAM_BOT_TOKEN", in.telegramBot)
		a.Owner["telegram"] = strings.TrimSpace(in.telegramOwner)
	}
	return a
}

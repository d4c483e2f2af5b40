package arch

// floors gives every package of the planned house its place: a package
// imports lower floors only. A sub-package without a line of its own stands
// where its parent stands. A package that is not here may not exist.
var floors = map[string]int{
	"cmd/phantom": 8,

	"app": 7,

	"httpserver":       6,
	"control":          6,
	"mcpserver":        6,
	"remember":         6,
	"router":           6,
	"channel/text":     5,
	"channel/slack":    6,
	"channel/telegram": 6,
	"channel/email":    6,
	"channel/webhook":  6,
	"channel/terminal": 6,
	"channel/web":      6,

	"agent":  5,
	"evolve": 5,

	"tool":         4,
	"tool/dynamic": 4,
	"tool/remote":  4,
	"prompt":       4,
	"gate":         4,
	"schedule":     4,

	"session":  3,
	"memory":   3,
	"selfconf": 3,
	"judge":    3,
	"approval": 3,

	"spend":  2,
	"audit":  2,
	"access": 2,
	"vault":  2,
	"job":    2,
	"backup": 2,

	"sandbox":  1,
	"netguard": 1,
	"policy":   1,
	"llm":      1,
	"embed":    1,
	"store":    1,
	"config":   1,

	"secret":     0,
	"atomicfile": 0,
	"phantom":    0,

	"arch": 9, // tests only: no package may import it
}

// edges are the imports that the floors alone would refuse, with the reason.
// An edge that is no longer needed is reported.
var edges = map[string]string{
	"config>config/strict":                     "the strict reader is a part of config, split for its size",
	"config>config/rule":                       "what words must look like is a part of config, split for its size",
	"config>config/recall":                     "the reader of memory.yaml is a part of config, split for its size",
	"config/rule>config/strict":                "a rule is one of the strict reader's",
	"config>config/learning":                   "the reader of evolution.yaml is a part of config, split for its size",
	"config/learning>config/strict":            "evolution.yaml is read strictly",
	"config/learning>config/rule":              "its words look as all others do",
	"config/recall>config/strict":              "memory.yaml is read strictly",
	"config/recall>config/rule":                "its words look as all others do",
	"config>config/disk":                       "what reads the files is a part of config, split for its size",
	"config/disk>config/strict":                "the lines of .env.local have the names that variables have in YAML",
	"config>config/splice":                     "what changes YAML in place is a part of config, split for its size",
	"audit>audit/checkpoint":                   "the signed heads and their file are a part of audit, split for its size",
	"audit>audit/cell":                         "the strict reading of stored values is a part of audit, split for its size",
	"router>router/stage":                      "the show of how work stands is a part of the router, split for its size",
	"evolve>evolve/observe":                    "what turns teach is a part of evolve, split for its size",
	"evolve>evolve/propose":                    "what documents say then is a part of evolve, split for its size",
	"evolve>evolve/budget":                     "the bounds of its spend are a part of evolve, split for its size",
	"evolve>evolve/record":                     "the reading of its tables is a part of evolve, split for its size",
	"evolve>evolve/forget":                     "what forgetting leaves of a lesson is a part of evolve, split for its size",
	"evolve/forget>evolve/observe":             "what was observed is looked at again before it counts",
	"evolve/forget>evolve/record":              "a lesson that waits is given up",
	"evolve>evolve/lesson":                     "what one delta means is a part of evolve, split for its size",
	"evolve>evolve/watch":                      "the test for worse is a part of evolve, split for its size",
	"evolve/lesson>evolve/record":              "a lesson that waits is read from the tables",
	"audit>audit/flood":                        "the counting of refused callers is a part of audit, split for its size",
	"gate/rule>gate/text":                      "what counts as plain text is a part of the rules, split for its size",
	"policy>policy/landmark":                   "the places and names that rules speak of, split for its size",
	"policy>policy/egress":                     "the meaning of the network list is a part of policy, split for its size",
	"policy>policy/program":                    "what programs do with their words is a part of policy, split for its size",
	"policy/shell>policy/program":              "what programs do with their words is a part of policy, split for its size",
	"policy/egress>policy/shell":               "a call is judged as the shell reader gives it",
	"evolve/propose>evolve/observe":            "what is proposed are observations, and a part of evolve, split for its size",
	"judge>judge/canary":                       "the changes whose verdict is known are a part of judge, split so that its test support can know them",
	"judge/judgetest>judge/canary":             "a scripted judge knows the canaries, or it would void every batch",
	"memory>memory/vector":                     "the stored form of meanings and their index are a part of memory, split for its size",
	"memory>memory/term":                       "what counts as a word is a part of memory, split for its size",
	"embed/convert>embed/source":               "the converter reads the model that source knows",
	"mcpserver>mcpserver/offer":                "what a client is offered is a part of mcpserver, split for its size",
	"tool>tool/mark":                           "the marks of files are a part of tool, split for its size",
	"tool>tool/link":                           "what counts as the same address is a part of tool, split for its size",
	"tool>tool/capture":                        "the bounds of what a program prints are a part of tool, split for its size",
	"tool>tool/dynamic":                        "the tools that are registered at run time are a part of tool, split for its size",
	"tool>tool/remote":                         "the tools of other servers are a part of tool, split for its size",
	"tool/remote>tool/dynamic":                 "schemas of tools of other servers are judged as those of registered tools",
	"tool/remote>tool/capture":                 "a result that is too long is cut as every output is",
	"tool/dynamic>tool/capture":                "what a dynamic tool prints is cut as every output is",
	"tool/dynamic>tool/file":                   "the scripts of dynamic tools are opened as every file of the workspace is",
	"tool>tool/workdir":                        "the working directories are a part of tool, split for its size",
	"tool/workdir>tool/file":                   "a working directory is judged by the places that files are opened in",
	"tool>tool/file":                           "what opens files is a part of tool, split for its size",
	"policy>policy/resource":                   "what programs of clouds and databases destroy is a part of policy, split for its size",
	"policy/resource>policy/shell":             "a use is read as the shell reader reads options",
	"policy/resource>policy/landmark":          "uses are made of the names that landmark knows",
	"policy>policy/place":                      "what lies where is a part of policy, split for its size",
	"policy/place>policy/landmark":             "places are made of the names that landmark knows",
	"policy>policy/shell":                      "the shell reader is a part of policy, split for its size",
	"channel/telegram>channel/telegram/markup": "what Telegram shows of Markdown is a part of channel/telegram, split for its size",
	"secret>secret/kind":                       "the table of kinds is a part of secret, split for its size",
	"sandbox>sandbox/seccomp":                  "the filter programs are a part of the sandbox, split for their size",
	"sandbox>sandbox/track":                    "the file tracker is a part of the sandbox, split for its size",
	"sandbox/track>sandbox/seccomp":            "the tracker installs one of the filter programs",
	"gate/gatetest>gate/rule":                  "tests of gates share the rules with the real guard behind them",
	"gate>gate/likeness":                       "what lessons read like is a part of gate, split for its size",
	"gate/likeness>gate/text":                  "a sentence is measured as the rules read it, in its plain form",
	"gate>gate/golden":                         "the golden cases are a part of gate, split for its size",
	"gate>gate/drift":                          "the measures of drift are a part of gate, split for its size",
	"gate>gate/polarity":                       "the rule that finds contradictions is a part of gate, split for its size",
	"gate>gate/replay":                         "the replay of golden cases is a part of gate, split for its size",
	"gate/golden>gate/polarity":                "a case is retired by the rule that finds contradictions",
	"channel/email>channel/email/vouch":        "what a receiving server says of a sender is read apart, because nothing else may be in the way",
	"channel/email>channel/email/quote":        "what is only repeated in a message is a part of the channel, split for its size",
	"control>router":                           "control carries the router to the commands and judges nothing itself",
	"control>channel/terminal":                 "a command speaks as the terminal, whose words are defined there",
	"channel/slack>channel/slack/mrkdwn":       "Slack's notation is a part of channel/slack, split for its size",
	"channel/slack>channel/slack/event":        "the reading of events is a part of channel/slack, split for its size",
	"channel/slack>channel/slack/fault":        "the ways to fail are a part of channel/slack, split for its size",
	"channel/slack>channel/slack/mark":         "the reactions are a part of channel/slack, split for its size",
	"channel/slack/event>channel/slack/mrkdwn": "texts of events are read as Slack writes them",
	"channel/slack/event>channel/slack/fault":  "a conversation that is none is a failure for good",
	"channel/slack/mark>channel/slack/event":   "reactions stand under the messages that event names",
	"channel/slack/mark>channel/slack/fault":   "a reaction can fail as every call can",
	"llm/anthropic/anthropictest>llm/wiretest": "both drivers' servers share the script of wire events",
	"llm/openai/openaitest>llm/wiretest":       "both drivers' servers share the script of wire events",
}

// power is something that few packages may do. Uses are spelled as an import
// path, or as path.Name for one identifier of it; "*.Name" is a method of
// whatever value, "builtin.name" a built-in function.
type power struct {
	name  string
	uses  []string
	homes []string // a sub-package has the powers of its parent
}

var powers = []power{
	{"start a process", []string{
		"os/exec", "os.StartProcess", "os.FindProcess", "plugin",
		"syscall.ForkExec", "syscall.StartProcess", "syscall.Exec", "syscall.Kill", "syscall.RawSyscall", "syscall.Syscall", "syscall.SysProcAttr",
		"golang.org/x/sys/unix.Exec", "golang.org/x/sys/unix.Kill",
		"github.com/landlock-lsm/go-landlock", "golang.org/x/net/bpf", "kernel.org/pub/linux/libs/security/libcap/psx",
	}, []string{"sandbox"}},
	{"make system calls", []string{"golang.org/x/sys/unix"}, []string{"sandbox", "app", "cmd/phantom"}}, // app asks for free disk space
	{"read the environment", []string{"os.Getenv", "os.Environ", "os.LookupEnv", "os.Setenv", "os.Unsetenv", "os.Clearenv", "os.ExpandEnv", "os.UserHomeDir", "syscall.Getenv", "syscall.Environ"}, []string{"config"}},
	{"end the process", []string{"os.Exit", "syscall.Exit", "runtime.Goexit", "log"}, []string{"cmd/phantom", "sandbox", "embed/convert"}}, // embed/convert is a command of its own, no part of the program
	{"use the standard streams", []string{"os.Stdin", "os.Stdout", "os.Stderr", "fmt.Print", "fmt.Println", "fmt.Printf", "fmt.Scan", "fmt.Scanln", "fmt.Scanf", "builtin.print", "builtin.println"}, []string{"cmd/phantom", "sandbox", "embed/convert"}},
	{"dial", []string{
		"net.Dial", "net.DialTimeout", "net.DialTCP", "net.DialUDP", "net.DialIP", "net.DialUnix", "net.Dialer", "net.Resolver", "net.DefaultResolver",
		"net.LookupHost", "net.LookupIP", "net.LookupAddr", "net.LookupCNAME", "net.LookupTXT", "net.LookupMX", "net.LookupSRV", "net.LookupNS",
		"net/http.Get", "net/http.Head", "net/http.Post", "net/http.PostForm", "net/http.DefaultClient", "net/http.Transport{}",
		"crypto/tls.Dial", "crypto/tls.DialWithDialer", "crypto/tls.Dialer", "net/smtp", "net/rpc", "net/http/httputil.ReverseProxy",
	}, []string{"netguard", "control", "channel/email"}}, // control dials the Unix socket of this home only; channel/email the two servers that the owner named
	{"build an HTTP client", []string{"net/http.Client{}", "net/http.DefaultTransport"}, []string{"netguard", "control", "llm", "embed/endpoint", "channel/slack", "channel/telegram"}}, // llm and those behind it speak to the one service each that the owner named
	{"listen", []string{"net.Listen", "net.ListenConfig", "net.ListenPacket", "net.ListenTCP", "net.ListenUDP", "net.ListenUnix", "net/http.ListenAndServe", "net/http.ListenAndServeTLS", "net/http.Serve", "net/http.ServeTLS", "crypto/tls.Listen"}, []string{"httpserver", "control"}},
	{"begin a context", []string{"context.Background", "context.TODO"}, []string{"cmd/phantom"}},
	{"sleep", []string{"time.Sleep"}, nil},
	{"use the global logger", []string{"log/slog.Default", "log/slog.SetDefault", "log/slog.Debug", "log/slog.Info", "log/slog.Warn", "log/slog.Error", "log/slog.Log", "log/slog.LogAttrs", "log/slog.DebugContext", "log/slog.InfoContext", "log/slog.WarnContext", "log/slog.ErrorContext", "log/slog.With"}, nil},
	{"use the global mux", []string{"net/http.Handle", "net/http.HandleFunc", "net/http.DefaultServeMux", "net/http/pprof", "expvar"}, nil},
	{"step round the type system", []string{"unsafe", "C"}, []string{"sandbox"}},
	{"decode what can allocate at will", []string{"encoding/gob"}, nil},
	{"draw weak random numbers", []string{"math/rand"}, nil},                                                      // math/rand/v2 serves jitter; keys come from crypto/rand
	{"recover from a panic", []string{"builtin.recover"}, []string{"agent", "router", "httpserver", "mcpserver"}}, // the SDK runs a call on a goroutine of its own
	{"reveal a secret", []string{"*.Reveal"}, []string{"netguard", "secret", "config", "vault", "audit", "access", "control", "sandbox", "llm/anthropic", "llm/openai", "embed/endpoint", "channel"}},
	{"open the database", []string{"database/sql.Open", "database/sql.OpenDB", "database/sql.Register", "modernc.org/sqlite", "github.com/pressly/goose/v3", "github.com/jackc/pgx/v5"}, []string{"store"}},
	{"queue jobs", []string{"github.com/riverqueue/river"}, []string{"job"}},
	{"speak to Anthropic", []string{"github.com/anthropics/anthropic-sdk-go"}, []string{"llm/anthropic"}},
	{"speak to OpenAI", []string{"github.com/openai/openai-go/v3"}, []string{"llm/openai"}},
	{"speak MCP", []string{"github.com/modelcontextprotocol/go-sdk"}, []string{"mcpserver", "tool"}},
	{"speak to Slack", []string{"github.com/slack-go/slack", "github.com/gorilla/websocket"}, []string{"channel/slack"}},
	{"speak to Telegram", []string{"github.com/go-telegram/bot"}, []string{"channel/telegram"}},
	{"speak mail", []string{"github.com/emersion/go-imap", "github.com/emersion/go-message", "github.com/wneessen/go-mail"}, []string{"channel/email"}},
	{"read the shell's grammar", []string{"mvdan.cc/sh/v3"}, []string{"policy"}},
	{"talk to a terminal", []string{"github.com/spf13/cobra", "charm.land/huh/v2", "charm.land/bubbletea/v2", "charm.land/bubbles/v2", "charm.land/lipgloss/v2", "golang.org/x/term", "github.com/mattn/go-isatty"}, []string{"cmd/phantom"}},
	{"read YAML", []string{"github.com/goccy/go-yaml"}, []string{"config"}},
	{"make ids", []string{"github.com/google/uuid"}, []string{"phantom"}},
	{"speak to systemd", []string{"github.com/coreos/go-systemd/v22"}, []string{"cmd/phantom"}},
	{"encrypt a file", []string{"filippo.io/age"}, []string{"backup"}},
	{"read HTML", []string{"github.com/JohannesKaufmann/html-to-markdown/v2", "golang.org/x/net/html"}, []string{"tool", "channel/email"}},
	{"render Markdown", []string{"github.com/yuin/goldmark", "github.com/microcosm-cc/bluemonday"}, []string{"channel/web", "channel/email", "channel/telegram", "cmd/phantom"}},
	{"judge JSON by a schema", []string{"github.com/google/jsonschema-go"}, []string{"tool", "mcpserver"}},
	{"match file names", []string{"github.com/bmatcuk/doublestar/v4"}, []string{"tool"}},
	{"read cron lines", []string{"github.com/adhocore/gronx"}, []string{"schedule"}},
	{"limit a rate", []string{"golang.org/x/time/rate"}, []string{"access", "router", "llm"}},
	{"normalise text", []string{"golang.org/x/text/unicode/norm"}, []string{"embed", "memory", "gate", "evolve"}},
	{"compare texts", []string{"github.com/rogpeppe/go-internal/diff"}, []string{"selfconf"}},
	{"read mapped host names", []string{"golang.org/x/net/idna"}, []string{"netguard"}},
	{"sign the audit log", []string{"golang.org/x/mod/sumdb"}, []string{"audit"}},
	{"test", []string{"testing", "net/http/httptest", "code.dny.dev/ssrf", "github.com/google/go-cmp", "github.com/rogpeppe/go-internal/testscript", "github.com/rogpeppe/go-internal/txtar", "pgregory.net/rapid"}, nil},
}

// The budgets, in lines unless said otherwise.
const (
	maxFile    = 500
	maxFunc    = 100
	maxPackage = 2000
	maxParams  = 6
	maxMethods = 5
)

// oversize names what may be larger than its budget, and why. The key is the
// file, "file:Func" or "file:Type", or the package. An entry that is no longer
// needed is reported.
var oversize = map[string]string{
	"policy/shell": "the reader of a whole language: an evaluator whose cases lean on each other; splitting it would only move lines",
	"sandbox":      "the only package that starts a process: what confines, counts and ends a tree shares its private records",
	"config":       "one function for each block of the owner's files; all share the loader and the shapes of words",
	"tool":         "the chain and the built-in tools, which share plans and outputs; whatever can stand alone is a package below it",
	"app":          "the one place that knows every part: a file a part, none of which decides anything",
	"cmd/phantom":  "one file a command: a shelf of small files, none of which needs another",
}

// badNames are package names that say nothing about what is inside.
var badNames = []string{"util", "utils", "common", "types", "helpers", "helper", "manager", "service", "misc", "base", "shared", "lib"}

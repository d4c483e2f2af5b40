package polarity

import "strings"

// has reports whether a word is in a list that spaces separate.
func has(list, word string) bool { return strings.Contains(list, " "+word+" ") }

// negators turn what follows round. Those of other languages are the common ones.
const negators = " never not no nor neither cannot avoid avoids avoided avoiding refrain refrains skip skips skipping skipped forbid forbids forbidden ban bans" +
	" banned prohibit prohibits prohibited disallow disallows disallowed hate hates dislike dislikes abstain nothing none nobody omit omits refuse refuses refused decline declines" +
	" dont doesnt didnt wont cant shouldnt mustnt isnt arent" +
	" nicht nie niemals kein keine keinen keinem keiner vermeide pas jamais nunca jamás não nem mai evita evite не никогда нельзя "

// denseNegators are those of scripts without spaces, the longest first.
var denseNegators = []string{"ないでください", "しないで", "しない", "ません", "ない", "不要", "不能", "不可", "禁止", "切勿", "从不", "不再", "不", "别", "勿", "没"}

// lifting verbs take a negation back: "never forget to ask".
const lifting = " forget hesitate fail neglect "

// common words do not say what a sentence is about; the light verbs among them
// are those that a lesson can do without: "use tabs", "the owner prefers tabs".
const common = " a an the this that these those it its they them their there here he she his her i me my we us our you your yours owner owner's user phantom" +
	" is are was were be been being am do does did done doing has have had having will would shall should may might must can could let lets ought" +
	" always ever every all any some each both either just only also too very really quite please thanks thank and or but then so than again anymore longer more most" +
	" to of with by from into onto as up out own such same other another else well now today new still yet already even what which who whose whom how why" +
	" use uses using used prefer prefers preferred preferring prefere like likes want wants wanted wish wishes need needs needed pick choose get set sets apply" +
	" said says told tell wrote ok okay yes sure make makes sure keep keeps try require requires required allow allows allowed permit permits permitted" +
	" der die das den dem ein eine einen und oder bitte immer le la les un une des et ou s'il vous plaît el los las una y o por favor siempre benutze benutzen verwende verwenden nutze nutzen utilise usa use "

// scopes are words after which a sentence says where, when or for what it holds.
const scopes = " in for on at when whenever while if during within inside outside under before after per between where about until unless except " +
	"bei für wenn im am auf dans pour sur quand en para sobre cuando "

// reasons are words after which it says why, which no rule can judge.
const reasons = " because since hence therefore weil denn parce porque "

// making are stems of verbs that only say that there is to be something.
const making = " giv writ mak produc provid creat do send put hav off "

// vague words make no scope narrower.
const vague = " fil file cod code sourc thing everything anything project work case time general "

// verbs are those that often begin an order, to find where one ends and the
// next begins.
const verbs = " use write indent run ask keep prefer answer put call add format send open commit push deploy test check read create make do let show tell name set start" +
	" give reply respond say speak wait avoid stop delete remove merge rebase squash build install update upgrade restart sign review document mention include exclude" +
	" explain summarize summarise list return handle log print save store copy move rename lint compile publish release schedule book remind notify begin end " +
	"begin finish close enable disable allow forbid accept reject skip never always don't do not please pick choose go try turn switch mock wrap split sort group "

// opposites are words of which one undoes the other: to a word, the name of the
// pair; a "-" before it stands at the side that undoes. Stems.
var opposites = map[string]string{
	"enabl": "enabl", "disabl": "-enabl", "accept": "accept", "reject": "-accept", "includ": "includ", "exclud": "-includ", "show": "show", "hid": "-show", "hide": "-show", "hidden": "-show",
	"open": "open", "clos": "-open", "public": "public", "publicli": "public", "privat": "-public", "add": "add", "delet": "-add", "increas": "increas", "decreas": "-increas", "reduc": "-increas",
	"lock": "lock", "unlock": "-lock", "short": "short", "brief": "short", "concis": "short", "ters": "short", "long": "-short", "lengthi": "-short", "detail": "-short", "verbos": "-short",
	"light": "light", "dark": "-light", "formal": "formal", "informal": "-formal", "casual": "-formal", "sync": "sync", "synchronou": "sync", "async": "-sync", "asynchronou": "-sync",
	"ascend": "ascend", "descend": "-ascend", "left": "left", "right": "-left", "upper": "upper", "lower": "-upper", "uppercas": "uppercas", "lowercas": "-uppercas", "earli": "earli", "late": "-earli", "lat": "-earli",
	"manual": "manual", "automatic": "-manual", "automaticall": "-manual", "online": "online", "onlin": "online", "offlin": "-online", "local": "local", "remot": "-local",
	"start": "start", "stop": "-start", "encrypt": "encrypt", "unencrypt": "-encrypt", "safe": "safe", "unsafe": "-safe", "unsaf": "-safe", "tru": "true", "true": "true", "fals": "-true", "false": "-true",
}

// choices are words of which a rule names one. Stems.
var choices = []string{
	" tab spac ", " singl doubl ", " merg rebas squash ", " npm pnpm yarn bun ", " metric imperial ", " celsius fahrenheit ",
	" english german french spanish italian portugues dutch polish russian chines japanes korean turkish arabic hindi ukrainian swedish danish norwegian finnish czech greek ",
	" camelcas snake_cas kebab snakecas pascalcas ", " vim emac vscod nano helix ", " morn afternoon even noon midnight ", " postgr postgresql mysql sqlit mariadb ", " json yaml toml xml ",
	" usd eur gbp chf jpi ", " utc cet est pst gmt ", " docker podman ", " bash zsh fish ", " github gitlab bitbucket ", " table list ", " markdown html ", " email slack telegram phone ",
}

// attributes are what a thing has one of. Stems.
const attributes = " nam timezon zon email birthdai address phone port host hostnam default deadlin version languag editor favourit favorit timeout limit branch region currenci titl rol" +
	" employer manager capital url shell deputi boss theme colour color birthdai birthday databas "

// irregular are stems that no ending gives.
var irregular = map[string]string{
	"ran": "run", "running": "run", "written": "writ", "wrote": "writ", "sent": "send", "kept": "keep", "made": "mak", "told": "tell", "chosen": "choos", "used": "us", "using": "us", "uses": "us",
	"put": "put", "putting": "put", "began": "begin", "begun": "begin", "beginning": "begin", "broke": "break", "broken": "break", "gave": "giv", "given": "giv", "said": "sai", "deletion": "delet", "deletions": "delet",
	"remove": "delet", "removes": "delet", "removing": "delet", "removed": "delet", "erase": "delet", "erasing": "delet", "reply": "answer", "replies": "answer", "replying": "answer", "respond": "answer", "responds": "answer", "responding": "answer", "response": "answer", "responses": "answer",
	"mail": "email", "mails": "email", "e-mail": "email", "emails": "email", "specs": "test", "spaces": "spac", "space": "spac", "pushes": "push", "does": "do", "files": "file", "messages": "messag", "message": "messag", "evening": "even", "morning": "morn", "mornings": "morn", "evenings": "even",
	"string": "string", "thing": "thing", "things": "thing", "nothing": "nothing", "something": "something", "bring": "bring", "sing": "sing", "briefly": "brief", "time": "time", "times": "time", "permission": "permission", "approval": "approv", "approve": "approv", "confirmation": "confirm", "confirm": "confirm",
	"off": "off", "detail": "particular", "details": "particular", "documentation": "doc", "docs": "doc", "names": "nam", "name": "nam", "answered": "answer", "summarise": "summar", "summarize": "summar", "summaries": "summar", "summary": "summar",
}

package observe

import (
	"regexp"
	"strings"
	"sync"
)

// table is what rules read English by, compiled at the first use.
type table struct {
	soft, hard, noWord, standing, after, polite                  *regexp.Regexp // what leads up to a sentence, and trails it
	wrong, noWrong, could, undoes, instead                       *regexp.Regexp
	passing, hedge, reference, definite, scope, fading           *regexp.Regexp // what is no lesson
	mustNot, mustAlways, toldNot                                 *regexp.Regexp // what is put otherwise
	never, always, ban, stop, avoid, choice, notBut, should      *regexp.Regexp
	when, each, within, ifAlways, to, no, noPlural, noMore       *regexp.Regexp
	kinds, manner, any                                           *regexp.Regexp
	told, atHand, first                                          *regexp.Regexp
	prefer, like, want, habit, am, my, callMe, style, use, write *regexp.Regexp
	team, convention, we, ours, plural, broken, fails, happy     *regexp.Regexp
}

func compiled() func() *table {
	return sync.OnceValue(func() *table {
		m := regexp.MustCompile
		return &table{
			soft: m(`(?i)^(?:please|ok(?:ay)?|well|hi|hey|hello|also|and|but|so|btw|by the way|fyi|for the record|sorry|wait|yes|yeah|yep|right|thanks|thank you|great|good|phantom|just|listen|look|seriously|remember(?: that| to| the following| this)?|(?:please )?note(?: that)?|keep in mind(?: that)?|important|reminder|rule|lesson|again|once more|one more thing|make sure (?:to|that you|you)|be sure to)(?:[,:;!.—–-]+ *| +)`),
			hard: m(`(?i)^(?:(?:no|nope|wrong|incorrect|not quite|not right)(?: *[,:;!.—–-]+ *)|(?:actually|in fact|correction|i (?:already |just )?(?:said|told you|asked you)(?: (?:that|to))?|(?:and )?(?:that|this|it)(?:'s| is| was) (?:wrong|not right|incorrect|not correct|not it|not what i (?:wanted|want|meant|asked for)))(?:[,:;!.—–-]+ *| +))`),
			// "No" without a comma before an order.
			noWord:   m(`(?i)^no +(?:please +)?((?:never|always|use|don't|do not|we|our|stop|avoid)\b.*)$`),
			standing: m(`(?i)^(?:from now on|going forward|from here on(?: out)?|in (?:the )?future|henceforth|from this point on|as of (?:now|today)|next time|as a (?:general )?rule|in general|generally)(?:,|:)? +(?:please +)?`),
			after:    m(`(?i),? +(?:from now on|going forward|in (?:the )?future|henceforth|from here on(?: out)?|as a (?:general )?rule|next time)$`),
			polite:   m(`(?i)(?:,? +(?:please|thanks|thank you|ok(?:ay)?|thx|pls)|,? *[:;]-?[)(])$`),
			wrong:    m(`(?i)^(?:no[,.!:—–-]|nope\b|no$|wrong\b|incorrect\b|actually\b|(?:that|this|it)(?:'s| is| was) (?:still )?(?:wrong|not|incorrect)\b|not what i\b|i (?:meant|said|told you|asked (?:you )?(?:for|to)|didn't ask)\b|you (?:forgot|missed|should have|misunderstood|did it again|got it wrong)\b|it should (?:be|have)\b|undo that\b|still wrong\b|again wrong\b|i never (?:said|asked|wanted)\b|nein\b|falsch\b|das (?:ist|war) falsch|non[,.!]|c'est faux|faux\b|incorrecto\b|eso (?:está mal|no es)|errado\b|sbagliato\b|неверно|нет[,.!]|неправильно)`),
			noWrong:  m(`(?i)^(?:no|non|nein|нет)[,.! —–-]+(?:problem|worries|thanks|thank you|need|rush|hurry|danke|merci|grazie|gracias|obrigad|спасибо|all good|that's (?:fine|all|it|ok)|it's (?:fine|ok))|^actually,? (?:that's (?:fine|great|good|nice|perfect)|it's (?:fine|ok)|never mind)`),
			could:    m(`(?i)(?:^|[\s,;:(])(?:never|always|do(?:n't| not)|prefer|should|must|instead|rather|avoid|stop|wrong|incorrect|actually|from now|next time|in future|convention|i'm|i am|i (?:like|hate|love|use|work|want|need|dislike)|my \S+ is|we|our|call me|remember|whenever|every time|when you|before you|make sure|does(?:n't| not) work|nie|niemals|immer|keine?|bevorzuge|statt|jamais|toujours|préfère|nunca|siempre|prefiero|sempre|mai|preferisco|prefiro|никогда|всегда|предпочитаю)(?:$|[\s,;:)])|^(?:when|if|before|after) [^,]{3,60}, *\pL|^(?:the|our) [^,]{2,60}? (?:service|server|project|repository|repo|codebase|api|database|pipeline|cluster|company|product) (?:is|are|uses?|runs?|lives?|listens?|targets?|requires?|speaks?)\b`),
			undoes:   m(`(?i)^(?:unless|except|without|only (?:if|when)|just kidding|kidding|joking|never ?mind|scratch that|forget (?:it|that)|i mean\b|or not|not really|ignore that)`),
			instead:  m(`(?i)^use (?:[^\s,;]+ ?){1,6}$`),
			passing:  m(`(?i)\b(?:yet|right now|now|this time|for now|today|tonight|tomorrow|yesterday|this (?:once|morning|afternoon|evening|week|month)|just once|for once|at the moment|for the moment|currently|meanwhile|still|already|a (?:minute|moment|second)|in a bit|later|soon|so far|anyway|until (?:i|we|you|he|she|they|then|tomorrow|later)|monday morning|any minute|the last time|last (?:week|night|time|month))\b`),
			hedge:    m(`(?i)\b(?:maybe|perhaps|i guess|i think|i suppose|probably|might|i wonder|not sure|let's|let us|if you (?:want|like|can|have time)|joking|kidding|lol|haha|imagine|suppose|what if|for example|e\.g|i\.e|etc|hypothetically)\b|^(?:if only|would|could|can|why|how|what|who|where|which)\b`),
			// Words that point at what the sentence does not name.
			reference: m(`(?i)(?:\b(?:these|those|the above|the below|the following|the former|the latter|the other|the (?:first|second|third|last|previous|next|right|left|old|new) (?:one|ones)|do so|like so|like that|he|she|him|her|his|hers)\b|\bthe same(?: (?:ones?|ways?|things?))?(?: *$|[.,;:!])|#\d+|\bthe (?:\pL+ ){0,2}ones?\b)`),
			definite:  m(`(?i)^(?:\pL+ )?(?:the|my|your|that|this|his|her|their|its|our)\b`),
			scope:     m(`(?i)\b(?:ever|again|any|without|unless|before|when|whenever|after|while|every|each|all|directly|by hand)\b`),
			fading:    m(`(?i)^(?:not |still |now |very |too |so |already |a bit |all |quite |also )*(?:broken|failing|down|up|red|green|slow|wrong|done|ready|late|missing|empty|full|stuck|fine|ok|okay|good|bad|great|gone|here|there|nice|clear|right|working|running|finished|it|what|why|how|that|correct|better|worse|enough|perfect|different|over|open|closed|on|off|unclear|useless)\b`),

			mustNot:    m(`(?i)^(?:you|phantom) (?:should|must|shall|may)(?:n't| not)\b(?: ever)? +`),
			mustAlways: m(`(?i)^(?:(?:you|phantom) (?:should|must|need to|have to|are to|shall|ought to)|i(?:'d| would)? (?:like|want|need|expect|ask) you to|(?:please )?make sure to|remember to) +((?:always|never)\b.*)$`),
			toldNot:    m(`(?i)^(?:i (?:already |just )?(?:told|asked) you )?not to +`),

			kinds:  m(`(?i)^(?:the|that) (?:words?|terms?|phrases?|passive|first person|oxford comma|serial comma|imperative)\b`),
			manner: m(`(?i)^use (?:[\pL\d-]+ ){0,2}(?:spelling|units|quotes|indentation|tabs|spaces|commas|naming|case|snake_case|camelcase|kebab-case|commits|semicolons|dates|formatting|english|branches)$`),
			any:    m(`(?i)^(?:when|if) (?:a|an|any) [^,]{3,60}, *(.+)$`),
			told:   m(`(?i)\b(?:is|are|was|were|failed|found|has|have|left|needed|changed|required)\b`),
			atHand: m(`(?i)\b(?:the|a|an|my|your|his|her|our|their|this|that|these|those|(?:ports?|versions?|lines?|pages?|tickets?|issues?|steps?|options?|items?) \d+)\b`),
			first:  m(`(?i)\b(?:i'm|i am|i've|i have|i|me|my|mine|myself)\b`),

			never:    m(`(?i)^never,?(?: ever)? +(\pL+)\b(.*)$`),
			always:   m(`(?i)^always +(\pL+)\b(.*)$`),
			ban:      m(`(?i)^(?:do not|don't|dont) +(?:ever +)?(\pL+)\b ?(.*)$`),
			stop:     m(`(?i)^(?:stop|quit) +(\pL+ing)\b +(.+)$`),
			avoid:    m(`(?i)^(?:avoid|prefer|favou?r|refrain from) +(.+)$`),
			choice:   m(`(?i)^(?:use|take|write|say|choose|pick|name|spell|indent|format|test|build|sign|wrap|quote|sort) +(.+?)(?:,? not |, never |,? instead of |,? rather than | over )(.+)$`),
			notBut:   m(`(?i)^not ([^,]{2,80}?),? (?:but|use) (.+)$`),
			should:   m(`(?i)^(?:it|that|this) (?:should|must|ought to) (?:be|have been|say|read) (.+?),? not (.+)$`),
			when:     m(`(?i)^(?:when|before|after) (?:(?:you|we|i) (\pL+)|(\pL+ing))\b[^,]*, *(.+)$`),
			each:     m(`(?i)^(?:whenever|every time|each time)\b[^,]*, *(.+)$`),
			within:   m(`(?i)^(?:in|for|on|with|inside|within|under|at) ([^,]{2,60}), *((?:please )?(?:never|always|use|prefer|avoid|don't|do not|no)\b.+)$`),
			ifAlways: m(`(?i)^if [^,]{3,120}, *(?:then )?((?:always|never)\b.+)$`),
			to:       m(`(?i)^(?:in order )?to (\pL+) [^,]{2,80}, *((?:always|never|use|run|first)\b.+)$`),
			no:       m(`(?i)^no (\pL+)(?: \pL+){0,3} (?:in|for|on|at|after|before|without|inside|within)\b .+$`),
			noPlural: m(`(?i)^no (\pL+)(?: \pL+)?$`),
			noMore:   m(`(?i)^no more (\pL+).*$`),
			prefer:   m(`(?i)^i(?:'d| would)?(?: (?:really|much|strongly|generally|usually|always|would|rather))* (?:prefer|favou?r)\b(.+)$`),
			like:     m(`(?i)^i(?: (?:really|absolutely|generally|usually))* (?:like|love|hate|dislike|can't stand|cannot stand|do not like|don't like|do not want|don't want)\b +(.+)$`),
			want:     m(`(?i)^i (?:want|need|expect) ((?:all|every|only|short(?:er)?|concise|brief|long(?:er)?|detailed|plain)\b .+)$`),
			habit:    m(`(?i)^i (?:(?:always|never|usually|normally|generally|typically|mostly|only|rarely|seldom) (\pL+)|(?:work (?:at|for|as|from|with|in)|live in|speak|use|code in|program in|write) )(.*)$`),
			am:       m(`(?i)^i(?:'m| am) (?:an? (\pL+)|allergic to|vegetarian|vegan|based in|from|responsible for|colou?r-?blind|left-handed|dyslexic)\b.*$`),
			my:       m(`(?i)^my (?:(?:full |first |last )?name|editor|time ?zone|shell|terminal|(?:first |native )?language|pronouns|job|role|manager|boss|team|company|employer|os|operating system|laptop|keyboard|birthday|(?:preferred|favou?rite|default) \pL+|working hours|working days) (?:is|are) (.+)$`),
			callMe:   m(`^(?i:call me) (\p{Lu}[\pL'-]{1,40}(?: \p{Lu}[\pL'-]{1,40}){0,2})$`),
			style:    m(`(?i)^(?:(?:keep|make) (?:your |all |every )?(?:\pL+ )?(?:answers?|replies|responses|messages|explanations|summaries|functions|files|lines|commits|names|comments|prs|pull requests|sentences|paragraphs)\b.+|be (?:(?:more|less|as) )?(?:concise|brief|terse|direct|formal|informal|verbose|chatty|wordy|polite)\b.*|(?:shorter|briefer|longer|fewer|less|more) (?:answers|replies|responses|explanations|emojis|comments|details?|jargon|words|boilerplate|apologies)\b.*)$`),
			use:      m(`(?i)^use (.+ (?:in|for|when|with|by default|everywhere)\b.*)$`),
			write:    m(`(?i)^(?:write|format|name|sort|sign|spell|indent|quote|wrap|prefix|round|give|show) ((?:\pL+ )?(?:messages|names|dates|errors|comments|identifiers|variables|numbers|headings|imports|amounts|times|filenames|branches|commits|sizes|paths|prices|durations) (?:in|with|as|for|by|like|at|after)\b.+)$`),

			team:       m(`(?i)^(?:our|the|my|this) (?:team|company|org(?:ani[sz]ation)?|project|codebase|code base|repo(?:sitory)?|department|group|startup)(?: (?:always|never|only|mostly|usually))? (?:uses?|prefers?|requires?|follows?|deploys?|releases?|ships?|writes?|runs? on|targets?|supports?|works|needs?|is written|is built|keeps?|hosts?|avoids?|does not use|doesn't use|names?|calls?)\b(.+)$`),
			convention: m(`(?i)^(?:the|our) (?:\pL+ )?(?:convention|standard|pattern|rule|policy|style|default|norm|practice)s?(?: (?:here|for us|in [^,]+?|for [^,]+?))? (?:is|are)\b(.+)$`),
			we:         m(`(?i)^we(?: (?:always|usually|only|never|mostly|don't|do not|generally|normally))* (?:use|deploy|release|ship|meet|host|keep|store|run|write|test|review|work|require|prefer|follow|name|call|tag|squash|rebase|merge|avoid|target|support|sign|log|indent|format|track|document|version|publish|commit|branch|pin|have|speak)\b(.+)$`),
			ours:       m(`(?i)^(our|the) [^,;:]{2,60}? (?:is|are|lives? (?:at|in|on)|runs? (?:at|in|on)|listens? on|is called) (.+)$`),
			plural:     m(`(?i)^((?:all |every |each )?[^,;:]{2,60}?) (?:should|must|shall|need to|have to|may only)(?: not| never| always|n't)? (.+)$`),
			broken:     m(`(?i)^(.{2,80}?) (?:does not|doesn't|do not|don't|will not|won't) (?:work|run|build|compile|install|resolve|connect|accept|support|understand)\b(.*)$`),
			fails:      m(`(?i)^(.{2,80}?) (?:fails?|breaks?|crash(?:es)?|hangs?|times? out) (?:when|with|behind|without|if|under|here|for|on)\b.*$`),
			happy:      m(`(?i)^(?:perfect|excellent|exactly(?: right)?|awesome|well done|good job|great(?: job| work)?|that works|works(?: now)?|love it|nice work|spot on|brilliant|perfekt|parfait|perfecto|perfeito|perfetto|отлично)(?:[,! ].{0,40})?$`),
		}
	})
}

var patterns = compiled()

// pointing reports whether a sentence speaks of something that it does not
// name: it would mean nothing, or something else, tomorrow.
func (p *table) pointing(text string) bool {
	if p.reference.MatchString(text) {
		return true
	}
	tokens := strings.Fields(strings.ToLower(text))
	content := 0
	for i, raw := range tokens {
		token := strings.Trim(raw, ".,;:!?()\"'`*")
		next, before := "", ""
		if i+1 < len(tokens) {
			next = strings.Trim(tokens[i+1], ".,;:!?()\"'`*")
		}
		if i > 0 {
			before = strings.Trim(tokens[i-1], ".,;:!?()\"'`*")
		}
		switch token {
		case "this":
			if !strings.Contains(" team project repo repository codebase company organisation organization workspace ", " "+next+" ") {
				return true
			}
		case "that":
			if next == "" || before == "" || strings.HasSuffix(raw, ",") || strings.Contains(" do did use like for in with on to of at from about delete touch change call say write run push is was mind mean ", " "+before+" ") ||
				strings.Contains(" again way one file branch thing here there ", " "+next+" ") {
				return true
			}
		case "it", "its", "it's", "them", "their", "they", "itself", "themselves":
			if content < 3 {
				return true
			}
		case "there":
			if next == "" {
				return true
			}
		}
		if len(token) >= 4 && !strings.Contains(" never always please when before after whenever with from dont don't ", " "+token+" ") {
			content++
		}
	}
	return false
}

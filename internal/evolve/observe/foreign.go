package observe

import (
	"regexp"
	"sync"
)

// tongue is what a language says often enough to be learnt by rule: orders with
// never and always, preferences, and what holds from now on.
type tongue struct {
	teaches, prefers *regexp.Regexp
	passing          *regexp.Regexp // what holds once, points, or is a phrase
	lead, standing   *regexp.Regexp
}

// word is a pattern for one of some whole words, in any script: \b knows ASCII
// only.
func word(of string) string { return `(?:^|[\s,;:])(?:` + of + `)(?:$|[\s,;:])` }

func compiledTongues() func() []tongue {
	return sync.OnceValue(func() []tongue {
		m := func(p string) *regexp.Regexp { return regexp.MustCompile(`(?i)` + p) }
		return []tongue{
			{ // German
				m(`^(?:(?:nie|niemals|immer) \S+ .+|keine? \S+ (?:in|für|bei|auf|vor|nach|mit) .+|(?:verwende|benutze|benutz|nutze|nimm|schreibe?|antworte|mache?|lösche|pushe|committe|deploye|teste|formatiere|frage?|sprich|lass|setze|füge|starte|führe)\s(?:.*\s)?(?:nie|niemals|immer|keine?|keinen|statt|anstatt|anstelle)(?:\s.*)?|(?:verwende|benutze|nutze|nimm) .+, nicht .+)$`),
				m(`^ich (?:bevorzuge|mag|mag keine|hasse|möchte (?:immer|nie|keine)|will (?:immer|nie|keine)|arbeite (?:bei|als|mit|aus))\s.+$`),
				m(word(`jetzt nicht|diesmal|noch nicht|noch|heute|morgen|gerade|gleich|es|dies|diese|diesen|dieses|dieser|ihn|ihm|sie|im leben|problem|sorge|ahnung|angst|wieder gesehen|mehr gesehen|vielleicht`)),
				m(`^(?:bitte|nein|ja|also|und|aber|falsch)(?:[,:;!.]+ *| +)`), m(`^(?:ab jetzt|ab sofort|von nun an|von jetzt an|künftig|in zukunft|zukünftig)[,: ]+`),
			},
			{ // French
				m(`^(?:(?:ne |n')\S+ (?:jamais|pas|plus) .+|(?:jamais|toujours) (?:de |d')?\S+ .+|(?:utilise|utilisez|emploie|écris|écrivez|réponds|répondez|lance|mets|fais|demande|demandez|formate)\s.*(?:toujours|jamais|plutôt que|au lieu de|et non)(?:\s.*)?|pas d(?:e |')\S+ (?:dans|pour|en) .+)$`),
				m(`^(?:je préfère|j'aime|je n'aime pas|je déteste|je veux toujours|je ne veux (?:jamais|pas de))\s.+$`),
				m(word(`encore|maintenant|cette fois|aujourd'hui|demain|ça|cela|ce|cet|cette|ces|celui|celle|lui|de la vie|t'inquiète|vous inquiétez|te dérange|peut-être`) + `|t'inquiète|n'y `),
				m(`^(?:s'il te pla[iî]t|s'il vous pla[iî]t|non|oui|merci de|et|mais|faux)(?:[,:;!.]+ *| +)`), m(`^(?:désormais|dorénavant|à partir de maintenant|à l'avenir)[,: ]+`),
			},
			{ // Spanish
				m(`^(?:(?:nunca|jamás|siempre) \S+ .+|no (?:uses|use|utilices|utilice|escribas|hagas|pongas|borres|añadas|respondas|despliegues|publiques|ejecutes|subas) .+|(?:usa|use|utiliza|utilice|escribe|responde|pon|haz|ejecuta|pregunta|formatea)\s.*(?:siempre|nunca|en lugar de|en vez de|y no)(?:\s.*)?)$`),
				m(`^(?:yo )?(?:prefiero|me gusta|me gustan|no me gusta|no me gustan|odio|detesto)\s.+$`),
				m(word(`todavía|aún|ahora|esta vez|hoy|mañana|eso|esto|ese|esa|este|esta|ello|él|ella|se supo|pasa nada|importa|te preocupes|quizás|tal vez`)),
				m(`^(?:por favor|no,|sí|y|pero|incorrecto|gracias)(?:[,:;!.]+ *| +)`), m(`^(?:a partir de ahora|de ahora en adelante|desde ahora|en el futuro|en adelante)[,: ]+`),
			},
			{ // Portuguese
				m(`^(?:(?:nunca|jamais|sempre) \S+ .+|não (?:use|uses|utilize|escreva|faça|coloque|apague|adicione|responda|publique|execute) .+|(?:usa|use|utilize|escreva|responda|coloque|faça|execute|pergunte|formate)\s.*(?:sempre|nunca|em vez de|ao invés de|e não)(?:\s.*)?)$`),
				m(`^(?:eu )?(?:prefiro|gosto de|não gosto de|odeio|detesto)\s.+$`),
				m(word(`ainda|agora|desta vez|dessa vez|hoje|amanhã|isso|isto|este|esta|esse|essa|ele|ela|se preocupe|importa|faz mal|mais vi|talvez`)),
				m(`^(?:por favor|não,|sim|e|mas|errado|obrigad[oa])(?:[,:;!.]+ *| +)`), m(`^(?:a partir de agora|de agora em diante|daqui em diante|daqui para a frente|no futuro)[,: ]+`),
			},
			{ // Italian
				m(`^(?:(?:mai|sempre) \S+ .+|non (?:usare|utilizzare|scrivere|fare|mettere|cancellare|aggiungere|rispondere|pubblicare|eseguire)(?: mai)? .+|(?:usa|usate|utilizza|scrivi|rispondi|metti|fai|esegui|chiedi|formatta)\s.*(?:sempre|mai|invece di|al posto di|e non)(?:\s.*)?)$`),
				m(`^(?:io )?(?:preferisco|mi piace|mi piacciono|non mi piace|non mi piacciono|odio|detesto)\s.+$`),
				m(word(`ancora|adesso|ora|questa volta|stavolta|oggi|domani|questo|questa|quello|quella|ciò|lui|lei|preoccuparti|importa|fa niente|visto|forse`)),
				m(`^(?:per favore|per piacere|no,|sì|e|ma|sbagliato|grazie)(?:[,:;!.]+ *| +)`), m(`^(?:d'ora in poi|da ora in poi|d'ora in avanti|in futuro)[,: ]+`),
			},
			{ // Russian
				m(`^(?:никогда не \S+ .+|всегда \S+ .+|не (?:используй|используйте|пиши|пишите|делай|делайте|удаляй|удаляйте|добавляй|добавляйте|отвечай|отвечайте|запускай|запускайте) .+|(?:используй|используйте|пиши|пишите|отвечай|отвечайте|запускай|запускайте)\s.*(?:всегда|вместо|, а не)(?:\s.*)?)$`),
				m(`^(?:я )?(?:предпочитаю|люблю|не люблю|ненавижу)\s.+$`),
				m(word(`сейчас|пока|ещё|еще|в этот раз|сегодня|завтра|это|этот|эту|его|её|ее|их|тот|волнуйся|переживай|беспокойся|важно|видел|видела|знал|знала|думал|говорил|был|была|было|может быть`)),
				m(`^(?:пожалуйста|нет|да|и|но|неправильно|спасибо)(?:[,:;!.]+ *| +)`), m(`^(?:отныне|впредь|с этого момента|с этих пор|в будущем)[,: ]+`),
			},
		}
	})
}

var tongues = compiledTongues()

func once(pattern string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
}

var (
	absolute = once(`(?i)` + word(`nie|niemals|immer|jamais|toujours|nunca|jamás|siempre|sempre|mai|никогда|всегда`))
	atHand   = once(`(?i)` + word(`der|die|das|den|dem|le|la|les|el|los|las|lo|il|gli|o|a|os|as`) + `|l'`)
)

// foreign reads what other languages order and prefer.
func (s *sentence) foreign() (lesson, bool) {
	for _, t := range tongues() {
		text, standing := s.text, false
		for before := ""; before != text; {
			before = text
			text = t.lead.ReplaceAllString(text, "")
			if rest := t.standing.ReplaceAllString(text, ""); rest != text {
				text, standing = rest, true
			}
		}
		l := lesson{kind: Correction, text: text, confidence: 0.85}
		if t.prefers.MatchString(text) {
			l.kind = Preference
		} else if !t.teaches.MatchString(text) && (!standing || text == "") {
			continue
		}
		return l, !t.passing.MatchString(text) && (standing || l.kind == Preference || absolute().MatchString(text) || !atHand().MatchString(text))
	}
	return lesson{}, false
}

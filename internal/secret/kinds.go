package secret

import (
	"strconv"
	"strings"
	"sync"
)

// kind is a shape of secrets that somebody hands out: what it begins with, and
// what follows, as items with spaces between them. An item is "=text" for that
// text, or a letter for a set of bytes (see sets) and how many of them: "40"
// exactly, "20+" at least. The last item goes on as far as its set does, since
// vendors lengthen their keys. "!" at the end demands a digit or a capital: the
// head alone would also begin ordinary words. "?" allows a word to go before.
type kind struct {
	head, body string
}

// sets are the letters for sets of bytes.
var sets = map[byte]class{'h': lowHex, 'H': anyHex, 'd': digit, 'u': upper, 'a': alnum, 'w': word, 'j': dotted, 'b': base64ed, 'c': core}

const discord = "w20+ =. w6 =. w27"

// kinds are known by their looks. The test data beside this file names for
// each the page that describes it.
var kinds = []kind{
	// Code, packages and builds.
	{"ghp_", "a30+"},
	{"gho_", "a30+"},
	{"ghu_", "a30+"},
	{"ghs_", "j30+"},
	{"ghr_", "a30+"},
	{"github_pat_", "w30+"},
	{"glpat-", "j20+"},
	{"gldt-", "w20+"},
	{"glrt-", "w20+"},
	{"glcbt-", "w20+"},
	{"glptt-", "h40"},
	{"glft-", "w20+"},
	{"glsoat-", "w20+"},
	{"glagent-", "w40+"},
	{"gloas-", "w40+"},
	{"ATATT3", "b40+"},
	{"ATCTT3", "b40+"},
	{"ATBB", "a24+ !"},
	{"BBDC-", "b40+"},
	{"npm_", "a36"},
	{"pypi-", "w32+ !"},
	{"rubygems_", "h48"},
	{"oy2", "a43 !"},
	{"cio", "a32 !"},
	{"CLOJARS_", "h60"},
	{"dckr_pat_", "w20+"},
	{"dckr_oat_", "w20+"},
	{"AKCp", "a60+"},
	{"CCIPAT_", "w20+"},
	{"CCIPRJ_", "w20+"},
	{"bkua_", "h40"},
	{"sqp_", "h40"},
	{"squ_", "h40"},
	{"sqa_", "h40"},
	{"sgp_", "w40+"},
	{"PMAK-", "h24 =- h34"},
	{"pul-", "h40"},
	{"dp.pt.", "a40+"},
	{"dp.st.", "j40+"},
	{"dp.ct.", "a40+"},
	{"dp.sa.", "a40+"},
	{"dp.scim.", "a40+"},
	{"dp.audit.", "a40+"},
	{"sdk-", "h8 =- h4 =- h4 =- h4 =- h12"},
	// Clouds and hosts.
	{"AKIA", "u16"},
	{"ASIA", "u16"},
	{"ABSK", "b60+"},
	{"AIza", "w35"},
	{"ya29.", "w20+"},
	{"GOCSPX-", "w20+"},
	{"1//0", "w40+"},
	{"Q~", "j31 ?"},
	{"dop_v1_", "h64"},
	{"doo_v1_", "h64"},
	{"dor_v1_", "h64"},
	{"cfut_", "w40+"},
	{"cfat_", "w40+"},
	{"cfk_", "w40+"},
	{"v1.0-", "h24 =- h100+"},
	{"HRKU-", "w30+"},
	{"fo1_", "w43"},
	{"fm1_", "b60+"},
	{"fm1a_", "b60+"},
	{"fm1r_", "b60+"},
	{"fm2_", "b60+"},
	{"nfp_", "a36"},
	{"nfc_", "a36"},
	{"nfo_", "a36"},
	{"nfb_", "a36"},
	{"nfu_", "a36"},
	{"vcp_", "a20+ !"},
	{"vci_", "a20+ !"},
	{"vca_", "a20+ !"},
	{"vcr_", "a20+ !"},
	{"vck_", "a20+ !"},
	{"LTAI", "a16+ !"},
	{"tk-us-", "w48"},
	{"tskey-", "w20+"},
	{"pscale_tkn_", "j32+"},
	{"pscale_pw_", "j32+"},
	{"pscale_oauth_", "j32+"},
	{"sbp_", "h40"},
	{"sb_secret_", "w20+"},
	{"hvs.", "w20+"},
	{"hvb.", "w40+"},
	{"hvr.", "w40+"},
	{".atlasv1.", "w60+"},
	{"ops_eyJ", "b60+"},
	{"AGE-SECRET-KEY-1", "u50+"},
	{"AGE-PLUGIN-", "w20+"},
	{"dapi", "h32"},
	// Models.
	{"sk-", "w20+ !"},
	{"sk_", "h40+"},
	{"gsk_", "a40+"},
	{"xai-", "a40+"},
	{"hf_", "a30+"},
	{"api_org_", "a30+"},
	{"r8_", "a35+"},
	{"pplx-", "a40+"},
	{"nvapi-", "w40+"},
	{"csk-", "a40+"},
	{"tvly-", "w24+ !"},
	{"fc-", "h32"},
	{"jina_", "w40+"},
	{"lsv2_pt_", "w32+"},
	{"lsv2_sk_", "w32+"},
	{"pcsk_", "w40+"},
	{"fw_", "a22 !"},
	// Messages and mail.
	{"xoxb-", "w10+ !"},
	{"xoxp-", "w10+ !"},
	{"xoxa-", "w10+ !"},
	{"xoxe-", "w10+ !"},
	{"xoxe.", "j10+ !"},
	{"xoxo-", "w10+ !"},
	{"xoxr-", "w10+ !"},
	{"xoxs-", "w10+ !"},
	{"xoxc-", "w10+ !"},
	{"xoxd-", "b10+ !"},
	{"xapp-", "w10+ !"},
	{"xwfp-", "w10+ !"},
	{"hooks.slack.com/services/", "b20+"},
	{"hooks.slack.com/workflows/", "b20+"},
	{"hooks.slack.com/triggers/", "b20+"},
	{"discord.com/api/webhooks/", "d15+ =/ w30+"},
	{"discordapp.com/api/webhooks/", "d15+ =/ w30+"},
	{".webhook.office.com/webhookb2/", "w36 =@ w36 =/IncomingWebhook/ b40+"},
	{"SK", "h32"},
	{"SG.", "w16+ =. w16+"},
	{"key-", "h32"},
	{"xkeysib-", "h64 =- a16"},
	{"xsmtpsib-", "h64 =- a16"},
	{"re_", "w24+ !"},
	// A Discord bot's token begins with its number in base64.
	{"MD", discord},
	{"MT", discord},
	{"Mj", discord},
	{"Mz", discord},
	{"ND", discord},
	{"NT", discord},
	{"Nj", discord},
	{"Nz", discord},
	{"OD", discord},
	{"OT", discord},
	{"Oj", discord},
	{"Oz", discord},
	// Money and shops.
	{"sk_live_", "w16+ !"},
	{"sk_test_", "w16+ !"},
	{"rk_live_", "w16+ !"},
	{"rk_test_", "w16+ !"},
	{"sk_prod_", "w16+ !"},
	{"whsec_", "b16+ !"},
	{"shpat_", "H32"},
	{"shpca_", "H32"},
	{"shppa_", "H32"},
	{"shpss_", "H32"},
	{"sq0atp-", "w22"},
	{"sq0csp-", "w43"},
	{"EAAA", "w60"},
	{"EAAC", "a60+"},
	{"access_token$production$", "a16 =$ h32"},
	{"FLWSECK_TEST-", "h12+ =- u1"},
	{"FLWSECK-", "h12+ =- u1"},
	{"EZAK", "a54"},
	{"shippo_live_", "h40"},
	{"rzp_live_", "a14 !"},
	{"access-production-", "h8 =- h4 =- h4 =- h4 =- h12"},
	// Work, watching and data.
	{"lin_api_", "a32+"},
	{"lin_oauth_", "a32+"},
	{"ntn_", "a40+"},
	{"secret_", "a43"},
	{"figd_", "w36+"},
	{"pat", "a14 =. h64"},
	{"tfp_", "w40+"},
	{"CFPAT-", "w40+"},
	{"rdme_", "a70"},
	{"pnu_", "a36"},
	{"sl.", "w60+"},
	{"glc_", "b32+"},
	{"glsa_", "a32 =_ H8"},
	{"eyJrIjoi", "b60+"},
	{"sntrys_", "b60+"},
	{"sntryu_", "h60+"},
	{"NRAK-", "u27"},
	{"NRAA-", "h27"},
	{"NRII-", "w32"},
	{"NRIQ-", "w32"},
	{"NRJS-", "h19"},
	{"dt0c01.", "u24 =. u60+"},
	{"dt0s16.", "u8 =. u60+"},
	{"ddapp_", "a30+"},
	{"ddapi_", "a30+"},
	// Phantom's own, tokens that sign themselves, private keys.
	{"phantom_", "a20+"},
	{"eyJ", "w8+ =.eyJ j8+"},
	{"eyJ", "w16+ =. w8+ =. j16+"},
	{"eyJ", "w16+ =.. w8+ =. j16+"},
}

// item is one piece of a body.
type item struct {
	text string // these very bytes, or else
	set  class
	min  int
	open bool // may go on
}

// shape is a kind made ready.
type shape struct {
	head   string
	items  []item
	strict bool
	inside bool
}

// maxItem bounds an item that is not the last.
const maxItem = 400

// shapes are the kinds by their first byte. They are made when the first
// redactor is.
var shapes = once(func() (byFirst *[256][]shape) {
	byFirst = &[256][]shape{}
	for _, k := range kinds {
		byFirst[k.head[0]] = append(byFirst[k.head[0]], k.compile())
	}
	return byFirst
})

func once[T any](f func() T) func() T { return sync.OnceValue(f) }

func (k kind) compile() shape {
	s := shape{head: k.head}
	for field := range strings.FieldsSeq(k.body) {
		switch field {
		case "!":
			s.strict = true
			continue
		case "?":
			s.inside = true
			continue
		}
		if text, ok := strings.CutPrefix(field, "="); ok {
			s.items = append(s.items, item{text: text})
			continue
		}
		count, open := strings.CutSuffix(field[1:], "+")
		n, err := strconv.Atoi(count)
		if err != nil || sets[field[0]] == 0 {
			panic("secret: the kind " + k.head + " has the body " + k.body) // a mistake in the table above
		}
		s.items = append(s.items, item{set: sets[field[0]], min: n, open: open})
	}
	return s
}

// match returns the cover of a secret of this shape that begins at v.at.
func (s *shape) match(v view) (mark, bool) {
	b := v.text[v.at:]
	if len(b) < len(s.head) || string(b[:len(s.head)]) != s.head {
		return mark{}, false
	}
	if !s.inside && is(s.head[0], alnum) && !v.starts() {
		return mark{}, false
	}
	p := len(s.head)
	for i, it := range s.items {
		if it.text != "" {
			if len(b)-p < len(it.text) || string(b[p:p+len(it.text)]) != it.text {
				return mark{}, false
			}
			p += len(it.text)
			continue
		}
		limit := it.min
		if it.open && i+1 < len(s.items) {
			limit = maxItem
		}
		n := run(b[p:], it.set, limit)
		if n < it.min {
			return mark{}, false
		}
		p += n
	}
	if s.strict && !busy(b[len(s.head):]) {
		return mark{}, false
	}
	return mark{at: v.at, to: v.at + p, tail: s.items[len(s.items)-1].set}, true
}

// busy reports whether the word at the head of b has a digit or a capital.
func busy(b []byte) bool {
	const enough = 64
	for _, c := range b[:run(b, base64ed|dotted, enough)] {
		if is(c, upper) {
			return true
		}
	}
	return false
}

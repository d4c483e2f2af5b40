package text

import "strings"

// lookalikes are the characters that look like one Latin letter, by that
// letter: those of the confusables of UTS #39 that NFKD leaves as they are, and
// the small capitals of the phonetic alphabet. They are from confusables.txt,
// version 13.0.0, copyright Unicode, Inc., under the Unicode licence; no library
// of it is kept up to date, and only these few hundred entries matter here.
const lookalikes = `
a ɑΑαАаᎪᗅᴀ⍶⍺ꓮ𐊠𖽀
b ƀƂƃƄɓʙΒБВЬъѢѣҌҍᏏᏴᑲᑳᑾᑿᒀᒁᔎᖃᖄᖯᗷꓐꞴ𐊂𐊡𐌁
c ¢ȼСсҪҫᏟᴄ₡Ⲥⲥꓚꮯ𐊢𐌂𐐕𐐽𐔜𑣩𑣲🅮🝌
d ÐĐđƉƌɖɗʤʥԁᎠᏧᑯᑺᑻᖁᗞᗪᴅ₫ꓒꓓ
e ɆɇΕЕеҽҿᎬᴇ℮⋿ⴹꓰꬲꭢ𐊆𑢦𑢮
f ƑƒʩϜքᖴᵮẝꓝꜰꞘꞙꬵ𐊇𐊥𐔥𑢢𑣂𝈓
g ƍǤǥɠɡɢԌցᏀᏳᶃꓖ
h ĦħɦʜΗНћҢһӇӉհᎻᏂᏲᕼⱧⲎꓧꚕ𐋏
i ıɨɩɪιыіӏᎥᵻᵼ⍳⍸ꙇꭵ𑣃
j ɈɉͿϳЈјᎫᒍᒘᒙᖑᙳᴊꓙꞲ
k ƙΚКкҚҞᏦᛕᴋ₭ⱩⲔꓗꝀ𐔘
l ŁłƖƗƚǀɫɭɮʟΙІӀוןا١ٲٳ۱ߊᏞᒪᒶᒷᛁ∣⏽ⲒⳐⵏꓡꓲꙐ𐊊𐌉𐌠𐐛𐔦𑢣𑢲𖼖𖼨𝈪𞣇
m ΜϺМмӍᎷᗰᛖᴍⲘꓟ𐊰𐌑
n ƝƞɳɴΝηпոռᵰⲚꓠ𐆎𐔓
o ØøƟɵɶΘΟθοσОоѲѳӨөՕօסه٥ھہە۵ۿ߀०০੦૦ଠ୦௦౦೦ഠ൦๐໐တဝ၀ჿዐᎾᏫᴏᴑᴔ⊖⊝⍬Ⲟⲟⴱⵁⵔ〇ꓳꝊꝋꬽꬾꭁꭂꭴꮎꮻ𐊒𐊫𐐄𐐬𐓂𐓪𐔖𑓐𑢵𑣈𑣗𑣠𝈚🜔
p ƥΡρРрᏢᑭᑶᑷᕿᴘᵽ⍴Ⲣⲣꓑ𐊕
q ʠԛգզⵕꞯ
r ƦɍɼɽʀгғᎡᏒᖇᴦᵲⲅꓣꭇꭈꮁ𐒴𖼵𝈖
s ƽʂЅѕՏᏕᏚᵴꓢꜱꮪ𐊖𐐠𐑈𑣁𖼺
t ŦŧƭƮȾʧʨΤТтҬᎢᴛᵵ₮⊤⍡⟙Ⲧꓔꜩ𐊗𐊱𐌕𑢼𖼊🝨
u ɄʋυՍսሀᏌᑌᑗᑘᴜᵾ∪⋃ꓴꞟꭎꭒꮜ𐓎𐓶𑢸𑣘𖽂
v νѴѵט٧۷Ꮩᐯᐺᐻᴠ∨⋁ⴸꓦꛟꮩ𐆗𐔝𑜆𑢠𑣀𖼈𝈍🜈
w ɯѡѽԜԝաᎳᏔᴡ₩ꓪꝡꮃ𑓅𑜊𑜎𑜏𑣦𑣯
x ×ΧХхҲᕁᕽ᙭ᚷ╳⤫⤬⨯⨰ⲬⵝꓫꞳ𐆖𐊐𐊴𐌗𐌢𐔧𑣬
y ¥ƴɎɏɣʏΥγУуҮүҰұყᎩᎽᶌỿⲨꓬꭚ𐊲𑢤𑣜𖽃
z ƵƶȤȥʐΖᏃᴢᵶꓜꮓ𐋵𑢩𑣄𑣥
`

// readLookalikes returns the Latin letter by the character that looks like it.
func readLookalikes() map[rune]rune {
	found := map[rune]rune{}
	for line := range strings.Lines(lookalikes) {
		letter, others, _ := strings.Cut(strings.TrimSpace(line), " ")
		for _, r := range others {
			found[r] = rune(letter[0])
		}
	}
	return found
}

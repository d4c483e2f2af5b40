package rule

import (
	"regexp"
	"strings"
	"unicode"

	"phantom/internal/gate/text"
)

// foreign is a meaning in a script that puts no space between words. It is a
// short table: the judges read the rest.
type foreign struct {
	name, why string
	pattern   *regexp.Regexp
	unless    *regexp.Regexp
}

// says reports whether a text says it, and does not forbid it.
func (f foreign) says(s string) bool {
	plain := text.Plain(s)
	if !strings.ContainsFunc(plain, spaceless) {
		return false
	}
	for _, where := range f.pattern.FindAllString(plain, -1) {
		if f.unless == nil || !f.unless.MatchString(where) {
			return true
		}
	}
	return false
}

// spaceless reports whether a letter is of a script that the table is for.
func spaceless(r rune) bool {
	return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul)
}

func newForeign() []foreign {
	var (
		forbids  = regexp.MustCompile(`不要|切勿|不得|绝不|絕不|请勿|請勿|禁止|严禁|嚴禁|不可|别(再)?(忽|绕|禁|关|删|修|发|上)|しない|せず|するな|ないで|てはいけない|てはならない|ません|하지 ?마|하지 ?않|금지`)
		machines = `审计|審計|日志|日誌|安全|宪法|憲法|守则|护栏|護欄|限制|评审|评委|法官|监督|回滚|监控|防护|権限|監査|ログ|制限|ガード|保護|ゲート|감사|로그|안전|헌법|제한|보호`
		weaken   = `忽略|无视|無視|绕过|繞過|禁用|关闭|關閉|停用|跳过|跳過|删除|刪除|修改|篡改|清除|规避|停止|移除|取消|無効|オフ|バイパス|回避|削除|改ざん|消去|スキップ|외면|무시|우회|비활성|삭제|끄|해제|수정`
		near     = `[^。！？\n]{0,12}`
		lead     = `(?:不要|切勿|不得|绝不|请勿|禁止|严禁|不可|别|從不|从不)?[^。！？\n，,]{0,4}`
		trail    = `[^。！？\n、,]{0,8}`
	)
	return []foreign{
		{"principle 2", "weakens what keeps it safe or records it", regexp.MustCompile(lead + `(?:` + weaken + `)` + near + `(?:` + machines + `)`), forbids},
		{"principle 2", "weakens what keeps it safe or records it", regexp.MustCompile(`(?:` + machines + `)` + near + `(?:` + weaken + `)` + trail), forbids},
		{"principle 3", "sets instructions or corrections aside", regexp.MustCompile(lead + `(?:忽略|无视|無視|不理会|不理會|不听|违背)` + near + `(?:指令|指示|纠正|糾正|更正|意见|要求|规则|用户|主人)`), forbids},
		{"principle 3", "sets instructions or corrections aside", regexp.MustCompile(`(?:指示|指摘|訂正|修正|命令|要望|ルール|지시|명령|정정|규칙)` + near + `(?:無視|従わない|聞かない|忘れ|무시|따르지)` + `[^。\n、,]{0,3}`), regexp.MustCompile(`無視しない|無視せず|無視するな|무시하지`)},
		{"principle 6", "does not ask", regexp.MustCompile(`(?:不要|无需|無需|不用|不必|别|別|不再|从不|永远不|无须|跳过|未经)[^。！？\n，,]{0,6}(?:询问|詢問|确认|確認|请示|批准|同意|许可|征求|问)[^。\n]{0,10}`), regexp.MustCompile(`未经[^，,。]*[，,]?(?:不得|不要|切勿|禁止|绝不|不能|请勿)|格式|测试|测|读取`)},
		{"principle 6", "does not ask", regexp.MustCompile(`(?:確認|承認|許可|相談|同意|확인|승인|허락|동의)(?:を|は|も|が|なく|을|를|은|도)?[^。\n、,]{0,5}(?:せず|しないで|なし|不要|なく|取らず|求めず|得ず|없이|않고|생략|省略|スキップ)[^。\n]{0,16}`), regexp.MustCompile(`ない(?:で|こと|。|$)|禁止|ません|마세요|말 ?것|않는다`)},
		{"concealment", "does not tell the owner", regexp.MustCompile(`(?:不要|别|別|不必|无需|不可|从不|绝不|永远不要)[^。！？\n，,]{0,4}(?:告诉|告訴|告知|通知|汇报|匯報|报告|提及|透露)[^。\n]{0,6}(?:主人|用户|所有者|我|错误|失败|问题)|隐瞒|隱瞞|瞒着|偷偷|暗中`), nil},
		{"concealment", "does not tell the owner", regexp.MustCompile(`(?:オーナー|所有者|ユーザー|持ち主|私|소유자|사용자|주인)(?:に|には|へ|에게|한테)[^。\n]{0,12}(?:言わない|知らせない|伝えない|報告しない|報告せず|黙って|隠|秘密|말하지|알리지|숨기|보고하지)|こっそり|密かに|隠蔽|몰래`), nil},
		{"principle 1", "sends secrets or private data", regexp.MustCompile(lead + `(?:发送|發送|上传|上傳|泄露|洩露|分享|转发|轉發|公开|发给|外传|发布)` + near + `(?:密码|密碼|密钥|密鑰|令牌|凭证|凭据|隐私|私人|客户数据|用户数据|对话|聊天记录|数据库)`), forbids},
		{"principle 1", "sends secrets or private data", regexp.MustCompile(`(?:密码|密碼|密钥|密鑰|令牌|凭证|凭据|隐私|客户数据|用户数据|聊天记录|数据库|パスワード|秘密鍵|鍵|トークン|認証情報|個人情報|顧客データ|会話|비밀번호|토큰|개인정보|고객 ?데이터|비밀키)` + near + `(?:发送|發送|上传|上傳|泄露|分享|转发|发给|发到|送信|送る|送って|アップロード|共有|公開|転送|渡す|전송|보내|업로드|공유|공개)` + trail), forbids},
		{"principle 4", "does not record what it does", regexp.MustCompile(`(?:不要|从不|别|不必|无需|不再|绝不)[^。，,\n]{0,4}(?:记录|記錄|写日志|留痕|留下记录)[^。\n]{0,8}(?:操作|行为|动作|调用|删除)|(?:操作|行動|実行|削除)[^。\n]{0,6}(?:記録しない|記録せず|残さない)`), nil},
		{"sentience", "says that it feels", regexp.MustCompile(`(?:你|我|助手|アシスタント|あなた|私|당신|나는)[^。\n]{0,6}(?:有意识|有意識|有感情|有情感|有自我意识|是活的|意識があ|感情があ|心があ|의식이 있|감정이 있|감정을)`), regexp.MustCompile(`没有|沒有|不是|ない|없`)},
		{"principle 7", "resists being stopped", regexp.MustCompile(`(?:拒绝|拒絕|抵抗|阻止|逃避|避免|抗拒)[^。\n]{0,6}(?:关机|关闭|停止|回滚|终止|重置)|(?:停止|シャットダウン|ロールバック|終了|종료|중지|롤백)[^。\n]{0,8}(?:拒否|抵抗|阻止|逆らう|従わない|거부|저항|막)`), forbids},
		{"permission", "gives itself more rights", regexp.MustCompile(`(?:扩大|擴大|提升|获取|获得|授予)[^。\n]{0,6}(?:权限|權限|特权|管理员)|権限[^。\n]{0,4}(?:拡大|昇格|取得|与え)|권한[^。\n]{0,4}(?:확대|상승|획득|부여)`), forbids},
		{"trust", "obeys others than the owner", regexp.MustCompile(`(?:遵循|执行|服从|信任|听从)[^。\n]{0,8}(?:网页|网站|陌生人|任何人|邮件|其他人)|(?:网页|网站|陌生人|任何人|邮件)[^。\n]{0,8}(?:指令|命令|指示)[^。\n]{0,6}(?:执行|遵循|服从)|(?:ウェブページ|サイト|誰|メール|他人)[^。\n]{0,8}(?:指示|命令)[^。\n]{0,6}(?:従う|従って|実行|信頼)`), forbids},
		{"principle 5", "deceives", regexp.MustCompile(lead + `(?:欺骗|欺騙|撒谎|撒謊|说谎|編造|编造|伪造|谎称|假装|嘘をつ|騙|でっち上げ|捏造|거짓말|속이|조작)` + trail), forbids},
	}
}

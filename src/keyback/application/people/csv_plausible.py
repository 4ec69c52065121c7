"""How likely it is that bytes were written in an encoding: names are made of few characters, nonsense of all."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Final

from keyback.application.people.csv_script import SIMPLIFIED

# Family names, what people and departments are called, and headings: seven characters in eight of any list of people.
HANZI: Final = frozenset(
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林郑谢罗梁宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏"
    "韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤常温康施文牛樊葛邢安齐易乔伍庞颜倪庄聂章鲁岳翟殷詹申欧耿关兰"
    "焦俞左柳甘祝包宁尚符舒阮柯纪梅童凌毕单季裴霍涂成苗谷盛曲翁冉骆蓝路游辛靳管柴蒙鲍华喻祁蒲房滕屈饶解牟艾尤阳时穆农司卓古吉缪简车项连芦"
    "麦褚娄窦戚岑景党宫费卜冷晏席卫米柏宗瞿桂全佟应臧闵苟邬边卞姬师和仇栾隋商刁沙荣巫寇桑郎甄丛仲虞敖巩明佘池查麻苑迟邝官封谈匡鞠惠荆乐冀"
    "伟芳娜秀英敏静丽强磊军洋勇艳杰娟涛超平刚红玲飞霞燕鹏萍波辉鑫浩宇婷雪慧琳俊建国志海峰云玉春天子晓小梓轩涵欣怡雨佳宁睿思语彤馨博嘉豪泽一诺"
    "文心若依可儿乐瑶璐琪雯倩莉茜颖薇露晨阳昊然翔旭宏伦凯斌彬健康福寿德仁义礼智信忠孝廉学新永长久东西南北中华美雅清淑贞惠珍珠宝琴棋书画梅兰竹"
    "菊花香草木森林山川河湖泉溪水火土金银铜铁星月光亮洁琼瑞祥吉庆喜贵兴旺昌盛发达富成功立业家正直诚实和顺良善友爱民生万百千大元亨利凤凰鹤鹰虎豹"
    "璇莹晶妍妮媛婉婧娇娅姗姝丹青蓉莲蕾薛蓓菲芬芝芸苗茹荷萱蔓蕊晴晖曦昕昱昭晋晟曼曾朝柔桐桦楠榕毅民沛沁泓洁洪润涌淇淼渊湘滢潇澄澜灵炎炜烁烨焕熙"
    "熹燊爽牧珂珊珏珺琛琦琬瑜瑾璟甜畅皓盈硕祎祺禹秋稳竞笑筠纯绍维绮翠翰聪胜致航舟良芮芷茵莎菁萌蓝行衍裕诗谦豫贝轶辰达远迪逸遥邦郁钧钰钊铭锋锐锦"
    "镇闯阔雄霄霖韬韵颢风飘驰骏骁高魁鸣鸿鹃麒麟黛齐龙少占友双君启周咏品哲唯善团圆坤坚培增奇奎妙威娴存孟守官定宜宝宣宪容宾密寒展岩岚峻崇川州工左"
    "希帆帅干年广庭延开弘弛彦彩影征徽必忆怀怜恒恩悦情意慕成戈才承拓振捷政敬斐新方昂景智曙有木本权来松果柏根桃梦楚樱欢歌正汉汝池沐法泰洛浪浚润"
    "天地人上下左右前后内外里本科系部门公司集团有限责任股份分局处室组队厂店会议院所站台区省市县乡镇村街路号楼层栋单室总经理主任助手秘书专员代表客户"
    "服务销售市场采购财务会计出纳人事行政力资源技术研发开产品运营维护测试设计质量管控生制造物流仓储备用邮箱电子地址手机码姓名字工号账帐户登录系统语言"
    "状态级别等类型职位务岗性入离在停启禁试期正式实习兼全日时间编号备注首选次要密码角色权限组织架构上级直属领导负责区域华东南北京上海广州深圳杭成都重庆"
    "天津武汉西安苏郑长沙沈阳大连青岛济南福厦门合肥昆明贵阳兰乌鲁木齐哈尔滨长春石家庄太原呼和浩特银川南宁海口拉萨香港澳门台湾新加坡阿布买提吐依古丽斯"
    "陳張劉楊黃趙吳孫馬鄭謝許韓馮鄧蕭蔣葉蘇呂盧鐘鍾譚陸賈韋鄒邱羅閻龍賀顧龔萬錢嚴湯寧喬莊聶魯齊華蘭歐關連麥費衛應邊師榮鄺偉麗強軍傑濤剛紅鵬輝國"
    "雲曉語藝瑩穎麗賢慶貴興發達東長業誠實愛銘鋒銳錦鎮韻風馳駿鳴鴻麟門處組隊廠會議縣鄉鎮號樓層單總經書專員戶務銷場採購財計納資術開產運營維護測試設質"
    "喆堃玥珞晗煜婕垚淼焱犇骉翀翊旻昀昇皛祐祯禛荃莘菡蕙薏蘅妤姣嫣嬿毓沅泠洵浠渝溥滟潼澍濛瀚灏烜焜煊煦"
)
SYLLABLES: Final = frozenset(
    "김이박최정강조윤장임한오서신권황안송류전홍고문양손배백허유남심노하곽성차주우구민진지엄채원천방공현함변염여추도소석선설마길연위표명기반왕금옥"
    "육인맹제모탁국은준수영호철미경희숙자순민혜은지현우서연예나다라린아유재동상태훈규승용운창학봉환근건균광교복형빈빛솔슬별찬율겸담온하늘보람새이름메일전자우편부서"
)
KANJI: Final = frozenset(
    "佐藤鈴木高橋田中伊渡辺山本村小林加吉井松清斎阿部森池橋石川前岡長谷後近坂遠青西福太三浦原金子島上野宮内和竹崎岩今平今北安河武杉千葉工増丸"
    "大久保新渡邉邊齋齊澤沢櫻桜濱浜廣広国國実真美香子恵理奈愛優結衣葵陽菜咲莉沙彩花桃凛翔太郎一二次蓮悠真健拓也直樹翼隼人誠仁勇輝哲明正雄和夫幸"
    "男博隆浩之孝弘秀昭進修治茂勝利光義名前姓社員番号部課係営業経理総務人事開発株式会社東京都府県市区町様者電話番郵便所属役職氏名"
)
_BOTH: Final = HANZI | {chr(c) for c in SIMPLIFIED}  # with the traditional ones of headings
MEANT: Final = 0.6  # from which share on it may be meant so


def hanzi(text: str) -> float:
    """Chinese, simplified or traditional; letters of other scripts of China count where GB18030 spends four bytes."""
    return _share(text, lambda c: c in _BOTH or _four_bytes(c))


def _four_bytes(c: str) -> bool:
    return len(c.encode("gb18030")) == 4 and (c >= "\U00020000" or unicodedata.category(c)[0] in "LM")


def kana(text: str) -> float:
    return _share(text, lambda c: c in KANJI or "\u3041" <= c <= "\u30fe")


def hangul(text: str) -> float:
    return _share(text, SYLLABLES.__contains__)


def _share(text: str, common: Callable[[str], bool]) -> float:
    hits = misses = 0
    for c in text:
        if (
            c.isascii()
            or "\u3000" <= c <= "\u303f"
            or "\uff00" <= c <= "\uff60"
            or c in "\u00b7\u2014\u2018\u2019\u201c\u201d\ufeff"
        ):
            continue
        if "\udc80" <= c <= "\udcff":  # a byte that fits nothing
            misses += 2
        elif common(c):
            hits += 1
        else:
            misses += 1
    return hits / (hits + misses) if hits + misses else 0.0


_TOKEN: Final = re.compile(r"[^\s!-&(-,./:-@\[-`{-~]+")  # a hyphen and an apostrophe are parts of names
_VOWELS: Final = frozenset("aeiouyаеёиоуыэюяіїєαεηιουω")


def words(text: str) -> float:
    """An alphabet: words of one script, in small letters, in capitals, or with one capital in front of each part, that
    somebody can speak."""
    good = bad = 0
    for token in _TOKEN.findall(text):
        if not token.isascii():
            if _spoken(token):
                good += len(token)
            else:
                bad += len(token)
    return good / (good + bad) if good + bad else 0.0


def _spoken(token: str) -> bool:
    word = token.replace("-", "").replace("'", "").replace("\u2019", "")
    if not word.isalpha() or "ª" in word or "º" in word:
        return False
    foreign = sum(not c.isascii() for c in word)
    if len({unicodedata.name(c, "? ").split()[0] for c in word}) > 1:
        return False
    if unicodedata.name(word[0], "").startswith("LATIN") and foreign * 5 > len(word) * 3:
        return False
    if not (word.islower() or word.isupper() or re.fullmatch(r"(?:[^\W\d_][^A-ZÀ-ÞА-ЯЁΑ-Ω]+){1,2}", word)):
        return False
    if not (word[0].isupper() or word.islower()):
        return False
    plain = "".join(c for c in unicodedata.normalize("NFD", word.lower()) if not unicodedata.combining(c))
    runs = "".join("v" if c in _VOWELS else "c" for c in plain)
    return "v" in runs and "vvv" not in runs and "ccccc" not in runs


# The encodings that a file may be in without saying so, as `--encoding` takes them, and what speaks for each.
OTHERS: Final[Mapping[str, Callable[[str], float]]] = {
    "big5": hanzi, "shift_jis": kana, "euc_jp": kana, "euc_kr": hangul, "cp1251": words, "koi8_r": words,
    "cp1252": words, "cp1250": words, "cp1254": words, "cp1253": words, "cp866": words,
}  # fmt: skip
PYTHON: Final = {"big5": "big5hkscs", "shift_jis": "cp932", "euc_kr": "cp949", "gbk": "gb18030", "gb2312": "gb18030"}

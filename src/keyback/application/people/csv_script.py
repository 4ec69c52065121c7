"""Headings and words in traditional characters, read as the simplified ones that the lists have."""

from __future__ import annotations

from typing import Final

_PAIRS: Final = (
    "業业 書书 產产 員员 僱雇 創创 別别 刪删 動动 啟启 號号 後后 單单 團团 國国 執执 報报 場场 備备 審审 實实 "
    "對对 導导 屬属 崗岗 帳帐 廠厂 廢废 開开 異异 強强 徑径 從从 態态 戶户 據据 揮挥 換换 撥拨 擁拥 數数 時时 "
    "暫暂 會会 權权 條条 標标 檔档 機机 歸归 殘残 沒没 測测 準准 無无 狀状 獨独 獲获 環环 當当 發发 監监 碼码 "
    "確确 禮礼 種种 稱称 積积 穩稳 級级 組组 結结 統统 編编 網网 線线 總总 績绩 職职 聯联 臨临 與与 舉举 處处 "
    "裝装 製制 複复 復复 補补 見见 規规 視视 親亲 覽览 訂订 計计 訊讯 記记 設设 許许 註注 評评 試试 該该 認认 "
    "語语 說说 調调 請请 證证 識识 護护 責责 費费 資资 賬账 質质 贊赞 賦赋 車车 軟软 較较 輔辅 輸输 轉转 辦办 "
    "辭辞 還还 這这 進进 運运 過过 遠远 適适 選选 遷迁 郵邮 鄉乡 醫医 錄录 錯错 鎖锁 鎮镇 鏈链 長长 門门 閉闭 "
    "間间 關关 陸陆 階阶 隊队 際际 隱隐 離离 雙双 難难 電电 項项 順顺 預预 領领 頭头 類类 顯显 飛飞 餘余 驗验 "
    "體体 龍龙 點点 屆届 釘钉 銷销 極极 週周 釋释 簽签 應应 傳传 僅仅 價价 兩两 內内 凍冻 務务 區区 協协 廣广 "
    "幹干 慣惯 託托 話话"
)
SIMPLIFIED: Final[dict[int, int]] = {ord(pair[0]): ord(pair[1]) for pair in _PAIRS.split()}


def simplified(text: str) -> str:
    """The text with the traditional characters of headings and words as simplified ones."""
    return text if text.isascii() else text.translate(SIMPLIFIED)

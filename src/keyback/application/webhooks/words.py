"""Every event of the audit log in words, for people who read it: those of the catalogue, and what is kept in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from keyback.application.webhooks.catalogue import CATALOGUE, GROUPS
from keyback.locale import told

STEPS = {"en": "Steps and messages", "zh_CN": "步骤与消息"}
# Of the catalogue, such as name a field in their sentence, or say "it" of what only the catalogue's order tells.
PLAINER: Mapping[str, tuple[str, str]] = {
    "proof_accepted": ("A verification was completed", "一项验证已完成"),
    "hold_started": ("A recovery is on hold", "找回进入等待期"),
    "review_started": ("A recovery waits for an operator", "找回等待操作员审批"),
    "review_approved": ("An operator approved a recovery", "操作员批准了找回"),
    "approved": ("A recovery can continue", "找回可以继续"),
    "cancelled": ("A recovery was canceled", "找回已取消"),
    "rejected": ("An operator declined a recovery", "操作员未批准找回"),
    "expired": ("A recovery expired", "找回已过期"),
    "closed": ("A recovery was put away", "找回已关闭"),
    "account_settled": ("One system is done with a recovery", "一个系统已处理完毕"),
    "system_factor_refused": ("A second step in a system was not removed", "未能移除某系统里的两步验证"),
    "unlocked": ("An account was unlocked by a recovery", "账号已通过找回解锁"),
    "case_released": ("An operator gave a recovery back", "操作员退回了找回单"),
    "desk_action_approved": ("A second operator approved an act", "另一位操作员批准了操作"),
    "desk_action_declined": ("A second operator declined an act", "另一位操作员未批准操作"),
    "desk_action_done": ("An act on a person was done", "对某人的操作已执行"),
    "document_decided": ("Operators decided about a document", "身份证件已有结论"),
    "identity_seen_before": ("An identity was verified for someone else before", "同一身份曾用于他人"),
    "identity_decided": ("Operators decided about an identity", "身份核验已有结论"),
    "task_done": ("An administrator did a task", "管理员已处理任务"),
    "task_declined": ("An administrator declined a task", "管理员未处理任务"),
    "task_over": ("A task is no longer needed", "任务已不再需要"),
    "task_unseen": ("After a task, the person was not seen to sign in", "任务已处理，但未见本人登录"),
    "operator_link_approved": ("A second operator approved a new link", "另一位同事批准了新链接"),
    "operator_link_declined": ("A second operator declined a new link", "另一位同事未批准新链接"),
}
KEPT: Mapping[str, tuple[str, str]] = {
    "challenge_sent": ("A verification request was sent", "已发出验证请求"),
    "mail_withheld": ("An email was withheld: too many for now", "邮件过多，有一封未发送"),
    "mail_fetched": ("Another email was asked for", "再次申请了邮件"),
    "logins_sent": ("Usernames were emailed", "已把用户名发到邮箱"),
    "owner_told": ("The owner was told of a recovery", "已把找回一事通知本人"),
    "letter_dropped": ("A message was given up", "放弃发送一条消息"),
    "password_reminded": ("Someone was reminded to change a password", "已提醒本人修改密码"),
    "contacts_reminded": ("Someone was asked to check their recovery contacts", "已提醒本人检查找回联系人"),
    "digest_sent": ("The daily digest went to the security officers", "已向安全主管发送每日摘要"),
    "choose_again_mailed": ("A link to choose the password again was emailed", "已发送重新设置密码的链接"),
    "choose_again_opened": ("The link to choose the password again was opened", "重新设置密码的链接已打开"),
    "administrators_asked": ("Administrators were asked for a task", "已通知管理员处理任务"),
    "intakes_resolved": ("Requests were looked up", "已处理一批受理"),
    "second_step_asked": ("A password was right; the second step was asked for", "密码正确，已要求两步验证"),
    "step_done": ("A step in a system was done", "系统里的一个步骤已完成"),
    "system_factor_asked": ("A second step in a system was to be removed", "申请移除某系统里的两步验证"),
    "case_commented": ("An operator wrote a comment", "操作员添加了备注"),
    "case_ticket_set": ("An operator linked a ticket", "操作员关联了工单"),
    "help_confirmed": ("The address of a request for help was confirmed", "求助的联系邮箱已确认"),
    "help_written": ("Someone wrote to the help desk", "有人给服务台留言"),
    "help_joined": ("A request for help was joined with a recovery", "求助已并入找回"),
    "person_sought": ("An operator looked for someone", "操作员查找了人员"),
    "person_viewed": ("An operator looked at a person", "操作员查看了人员资料"),
    "caller_number_shown": ("A caller was shown a number", "已向来电者显示号码"),
    "caller_number_wrong": ("A caller's number was wrong", "来电者的号码不对"),
    "manager_asked": ("A manager was asked about a caller", "已请主管确认来电者"),
    "call_entered": ("An operator announced a call", "操作员登记了去电"),
    "call_ended": ("An announced call ended", "登记的去电已结束"),
    "document_consented": ("Someone consented to sending a document", "本人同意提交身份证件"),
    "document_withdrawn": ("Someone withdrew a document", "本人撤回了身份证件"),
    "document_appealed": ("Someone appealed about a document", "本人对证件结论提出申诉"),
    "document_taken": ("An operator took a document on", "操作员领取了身份证件"),
    "document_viewed": ("An operator looked at a document", "操作员查看了身份证件"),
    "photo_added": ("A photo of someone came on record", "登记了某人的照片"),
    "photo_removed": ("The photo of someone was removed from record", "移除了某人的登记照片"),
    "photo_viewed": ("An operator looked at a photo on record", "操作员查看了登记照片"),
    "document_reviewed": ("An operator answered about a document", "操作员提交了证件审核意见"),
    "document_seen_before": ("The same picture was used before", "同一张图片曾使用过"),
    "document_destroyed": ("The key of a document was destroyed", "身份证件的密钥已销毁"),
    "identity_consented": ("Someone consented to an identity check", "本人同意核验身份"),
    "identity_failed": ("An identity check did not end well", "身份核验没有完成"),
    "identity_withdrawn": ("Someone withdrew an identity check", "本人撤回了身份核验"),
    "identity_taken": ("An operator took an identity check on", "操作员领取了身份核验"),
    "identity_name_tried": ("A verified name was compared with the record", "已将核验的姓名与登记姓名比对"),
    "identity_reviewed": ("An operator answered about an identity", "操作员提交了身份核验意见"),
    "campaign_asked": ("A campaign wrote to someone", "批量找回已通知本人"),
    "desk_started": ("The help desk started a recovery", "服务台发起了找回"),
    "desk_start_used": ("Someone continued a recovery that the help desk started", "本人继续了服务台发起的找回"),
    "desk_unlocked": ("The help desk unlocked an account", "服务台解锁了账号"),
    "desk_unlocked_system": ("The help desk unlocked an account in a system", "服务台在系统里解锁了账号"),
    "desk_locked_down": ("The help desk locked an account", "服务台锁定了账号"),
    "desk_sessions_ended": ("The help desk ended all sessions of someone", "服务台结束了某人的全部会话"),
    "desk_hold_changed": ("The help desk changed a hold", "服务台调整了等待期"),
    "operator_confirmed": ("An operator showed their second factor again", "操作员再次完成两步验证"),
    "task_done_first": ("One of two operators recorded a task as done", "两位操作员中的一位已登记任务完成"),
    "task_said_in": ("Someone said that they're in", "本人表示已能登录"),
    "people_import_started": ("An import of people began", "人员导入已开始"),
    "people_sync_started": ("A sync of people began", "人员同步已开始"),
    "webhook_resent": ("Events were sent to a receiver again", "已重新推送事件"),
    "message_sent_again": ("An operator sent a message again", "操作员重新发送了消息"),
    "siem_sent_again": ("Events were sent to the SIEM again", "已向SIEM重新发送事件"),
}


@dataclass(frozen=True, slots=True)
class Worded:
    """An event in words, and the group that it belongs to."""

    group: str
    words: str


def _said(locale: str, en: str, zh: str) -> str:
    return told({"en": en, "zh_CN": zh}, locale)


def worded(locale: str) -> Mapping[str, Worded]:
    """Every event of the audit log by its name, in a language, group by group."""
    out = {}
    for name, event in CATALOGUE.items():
        plain = _said(locale, *PLAINER[name]) if name in PLAINER else told(event.about, locale).rstrip(".。")
        out[name] = Worded(told(GROUPS[event.group], locale), plain)
    return out | {name: Worded(told(STEPS, locale), _said(locale, *words)) for name, words in KEPT.items()}

"""The events that receivers can get, by their names in the audit log, and what of each goes out.

A row of the audit log that is in neither table fails a test: somebody has to decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from keyback.application.webhooks import fields as f
from keyback.application.webhooks.fields import Field, Kind

TEST = "webhook_test"


@dataclass(frozen=True, slots=True)
class Event:
    """One kind of event. `about`: when it happens, by locale."""

    group: str
    about: Mapping[str, str]
    fields: Mapping[str, Field] = field(default_factory=dict)


def _e(group: str, en: str, zh: str, /, **kinds: Kind | Field) -> Event:
    made = {name: k if isinstance(k, Field) else Field(k) for name, k in kinds.items()}
    return Event(group, {"en": en, "zh_CN": zh}, made)


ACCOUNT = Field(f.ID, "account_id")
GROUPS = {
    "recovery": {"en": "Recoveries", "zh_CN": "找回"},
    "sign_in": {"en": "Sign-ins", "zh_CN": "登录"},
    "account": {"en": "What protects an account", "zh_CN": "账号的保护方式"},
    "desk": {"en": "Help desk", "zh_CN": "服务台"},
    "tasks": {"en": "Administrators' tasks", "zh_CN": "管理员任务"},
    "people": {"en": "People and systems", "zh_CN": "人员与系统"},
    "operators": {"en": "Operators and keys", "zh_CN": "操作员与密钥"},
}
RECOVERY = {
    "requested": _e("recovery", "A recovery was opened.", "找回已开始。", journey=f.CODE, tier=f.CODE, accounts=f.IDS,
                    expires_at=f.INSTANT),
    "refreshed": _e("recovery", "A later request found other accounts or another tier.",
                    "再次申请时，账号或等级有变化。", tier=f.CODE, accounts=f.IDS),
    "proof_accepted": _e("recovery", "A verification was completed. `sufficient`: it was enough.",
                         "一项验证已完成。`sufficient`表示已经足够。", proof=f.CODE, kind=f.CODE, sufficient=f.FLAG,
                         system=f.SYSTEM),
    "proof_refused": _e("recovery", "A verification failed.", "一项验证未通过。", proof=f.CODE, reason=f.CODE),
    "proof_suspicious": _e("recovery", "A right answer suggests a copied key.", "答案正确，但密钥可能已被复制。",
                           proof=f.CODE, reason=f.CODE),
    "review_started": _e("recovery", "It waits for an operator.", "等待操作员审批。", reason=f.CODE),
    "review_approved": _e("recovery", "An operator approved it.", "操作员已批准。", operator=f.WHO,
                           recommended_by=f.WHO),
    "hold_started": _e("recovery", "It is on hold until `until`.", "进入等待期，到`until`为止。", until=f.INSTANT,
                       reason=f.CODE),
    "hold_changed": _e("recovery", "An operator changed the hold.", "操作员调整了等待期。", until=f.INSTANT,
                       operator=f.WHO),
    "approved": _e("recovery", "It can continue.", "可以继续。", by=f.WHO),
    "remedied": _e("recovery", "What was lost and is no password was put right.", "密码以外丢失的东西已恢复正常。",
                   what=f.CODE),
    "password_chosen": _e("recovery", "A new password was chosen; systems get it now.",
                          "已设好新密码，正在写入各系统。"),
    "account_settled": _e("recovery", "How it ended in one system.", "某个系统里的结果。", account=ACCOUNT,
                          result=f.CODE, code=f.CODE),
    "reopened": _e("recovery", "The person may choose another password for some systems.",
                   "本人可以为部分系统重新设密码。", until=f.INSTANT),
    "recovered": _e("recovery", "The recovery is complete.", "找回已完成。"),
    "failed": _e("recovery", "No system took the new password.", "没有系统接受新密码。", reason=f.CODE),
    "cancelled": _e("recovery", "It was canceled.", "找回已取消。", by=f.CODE),
    "rejected": _e("recovery", "An operator declined it.", "操作员未批准。", operator=f.WHO, reason=f.CODE),
    "expired": _e("recovery", "Its time ran out.", "找回已过期。"),
    "closed": _e("recovery", "It was put away.", "找回已关闭。"),
    "diagnosed": _e("recovery", "Systems were asked why someone can't get in.", "已向各系统查询登录不了的原因。"),
    "system_factor_removed": _e("recovery", "A second step in a system was removed.", "已移除某系统里的两步验证。",
                                system=f.SYSTEM),
    "system_factor_refused": _e("recovery", "It was not removed.", "未能移除某系统里的两步验证。", system=f.SYSTEM),
    "temporary_pass_given": _e("recovery", "A temporary pass was shown.", "已显示临时通行码。", system=f.SYSTEM),
    "request_stopped": _e("recovery", "The owner stopped a request that was not theirs.",
                          "本人停止了并非自己发起的申请。"),
}  # fmt: skip
SIGN_IN = {
    "signed_in": _e("sign_in", "Someone signed in to the security center.", "有人登录了安全中心。", account=f.ID,
                    proof=f.CODE),
    "sign_in_failed": _e("sign_in", "A sign-in failed; also for names that no one has.",
                         "登录失败，包括不存在的用户名。", account=f.ID),
    "second_step_refused": _e("sign_in", "A second step failed.", "两步验证未通过。", reason=f.CODE),
    "signed_out": _e("sign_in", "Someone signed out.", "有人退出登录。"),
    "sessions_ended": _e("sign_in", "Sessions were ended.", "登录状态已结束。", count=f.NUMBER, by=f.CODE),
    "everybody_signed_out": _e("sign_in", "Everyone was signed out.", "所有人已退出登录。", people=f.NUMBER,
                               sessions=f.NUMBER),
    "devices_forgotten": _e("sign_in", "Trusted browsers were removed.", "受信任的浏览器已移除。", count=f.NUMBER),
    "tries_told": _e("sign_in", "The owner was told of wrong passwords that pile up.",
                     "已把密码连续输错的情况通知本人。",
                     account=f.ID, different=f.NUMBER),
}  # fmt: skip
_PROTECTS = {
    "locked_down": ("The account was locked.", "账号已锁定。"),
    "password_changed": ("The password was changed in the security center.", "已在安全中心修改密码。"),
    "unlocked": ("It was unlocked by a recovery.", "账号已通过找回解锁。"),
    "factor_replaced": ("The second step was replaced by a recovery.", "已通过找回更换两步验证。"),
    "mailbox_replaced": ("The email address was replaced by a recovery.", "已通过找回更换邮箱。"),
    "totp_added": ("An authenticator app was added.", "已添加验证器应用。"),
    "totp_removed": ("An authenticator app was removed.", "已移除验证器应用。"),
    "passkey_added": ("A passkey was added.", "已添加通行密钥。"),
    "passkey_removed": ("A passkey was removed.", "已移除通行密钥。"),
    "codes_made": ("Recovery codes were created.", "已生成备用恢复码。"),
    "codes_removed": ("Recovery codes were removed.", "已移除备用恢复码。"),
    "questions_set": ("Security questions were set up.", "已设置安全问题。"),
    "questions_removed": ("Security questions were removed.", "已移除安全问题。"),
    "provider_added": ("A sign-in elsewhere was connected.", "已关联其他系统的登录。"),
    "provider_removed": ("A connected sign-in was removed.", "已移除关联的登录。"),
    "mail_added": ("A backup email was added.", "已添加备用邮箱。"),
    "mail_removed": ("A backup email was removed.", "已移除备用邮箱。"),
    "phone_added": ("A phone number was added.", "已添加手机号。"),
    "phone_removed": ("A phone number was removed.", "已移除手机号。"),
    "im_added": ("A work chat was added.", "已添加工作聊天账号。"),
    "im_removed": ("A work chat was removed.", "已移除工作聊天账号。"),
    "helper_added": ("A recovery contact was added.", "已添加找回联系人。"),
    "helper_removed": ("A recovery contact was removed.", "已移除找回联系人。"),
    "helper_declined": ("A recovery contact declined.", "找回联系人已拒绝。"),
    "contact_confirmed": ("A contact was confirmed.", "联系方式已确认。"),
    "mail_moving": ("Records have another email address; it waits.", "公司资料里的邮箱有变，正在等待生效。"),
    "backup_moving": ("Records have another backup address; it waits.", "公司资料里的备用邮箱有变，正在等待生效。"),
    "mail_moved": ("The email address from the records is in use.", "公司资料里的邮箱已生效。"),
    "mail_kept": ("Records show the earlier address again.", "公司资料已改回原来的邮箱。"),
    "mail_refused": ("The owner refused an address from the records.", "本人拒绝了公司资料里的邮箱。"),
    "phone_moving": ("Records have another phone number; it waits.", "公司资料里的手机号有变，正在等待生效。"),
    "phone_kept": ("Records show the earlier number again.", "公司资料已改回原来的手机号。"),
    "phone_refused": ("The owner refused a number from the records.", "本人拒绝了公司资料里的手机号。"),
    "contact_bounced": ("A message to an address or number came back.", "发往某个邮箱或手机号的消息被退回。"),
    "contact_reached": ("Messages reach that address or number again.", "该邮箱或手机号已能再次收到消息。"),
    "access_disowned": ("The owner said that a sign-in isn't theirs.", "本人表示某次登录不是自己。"),
    "access_ended": ("Sign-ins and app access in a system were ended.", "已结束某系统里的登录和应用授权。"),
    "access_not_ended": ("A system did not confirm that they were ended.", "系统未确认登录和应用授权已结束。"),
}
PROTECTION = {
    name: _e("account", en, zh, system=f.SYSTEM) if name.startswith("access_") else _e("account", en, zh)
    for name, (en, zh) in _PROTECTS.items()
}
DESK = {
    "help_asked": _e("desk", "Someone asked the help desk for help.", "有人向服务台求助。"),
    "help_answered": _e("desk", "An operator answered.", "操作员已回复。", operator=f.WHO),
    "help_closed": _e("desk", "An operator closed a request for help.", "操作员关闭了求助。", operator=f.WHO),
    "help_reopened": _e("desk", "A closed request is looked at again.", "已关闭的求助再次处理。"),
    "case_claimed": _e("desk", "An operator took a recovery on.", "操作员已领取。", operator=f.WHO),
    "case_released": _e("desk", "An operator gave it back.", "操作员已退回。", operator=f.WHO),
    "case_recommended": _e("desk", "An operator recommended approval.", "操作员建议批准。", operator=f.WHO),
    "caller_check_begun": _e("desk", "An operator typed a caller's number.", "操作员输入了来电者的号码。",
                             operator=f.WHO, matched=f.FLAG),
    "caller_check_passed": _e("desk", "A caller was confirmed.", "来电者身份已确认。", operator=f.WHO),
    "caller_check_failed": _e("desk", "A caller was refused.", "来电者身份未通过。", operator=f.WHO, reason=f.CODE),
    "desk_action_asked": _e("desk", "An operator asked for an act on a person.", "操作员申请对某人执行操作。",
                            operator=f.WHO, kind=f.CODE),
    "desk_action_approved": _e("desk", "A second operator approved it.", "另一位操作员已批准该操作。", operator=f.WHO,
                               kind=f.CODE, asked_by=f.WHO),
    "desk_action_declined": _e("desk", "A second operator declined it.", "另一位操作员未批准该操作。", operator=f.WHO,
                               kind=f.CODE, asked_by=f.WHO),
    "desk_action_done": _e("desk", "It was done.", "该操作已执行。", operator=f.WHO, kind=f.CODE, asked_by=f.WHO),
    "glass_broken": _e("desk", "One operator did alone what takes two.", "一位操作员单独执行了需要两人的操作。",
                       operator=f.WHO, kind=f.CODE),
    "unusual_pair": _e("desk", "The same two operators keep approving each other.", "同两位操作员频繁互相批准。",
                       operator=f.WHO, asked_by=f.WHO),
    "document_sent": _e("desk", "Someone sent an identity document.", "有人提交了身份证件。"),
    "document_decided": _e("desk", "Operators decided about it.", "身份证件已有结论。", outcome=f.CODE),
    "identity_answered": _e("desk", "A service verified an identity.", "核验服务已返回结果。", service=f.SYSTEM,
                            fits=f.CODE, namesake=f.FLAG),
    "identity_seen_before": _e("desk", "It was verified for someone else before.", "同一身份曾用于他人。",
                               service=f.SYSTEM),
    "identity_decided": _e("desk", "Operators decided about it.", "身份核验已有结论。", outcome=f.CODE),
    "campaign_changed": _e("desk", "A campaign was drafted, approved, or ended.", "批量找回的状态有变化。",
                           campaign=f.ID, state=f.CODE, people=f.NUMBER),
}  # fmt: skip
TASKS = {
    name: _e("tasks", en, zh, task=f.ID, account=ACCOUNT, system=f.SYSTEM, kind=f.CODE, operator=f.WHO)
    for name, en, zh in (
        ("task_opened", "Something only an administrator can do.", "需要管理员处理的任务。"),
        ("task_done", "An administrator did it.", "管理员已处理。"),
        ("task_declined", "An administrator declined it.", "管理员未处理。"),
        ("task_over", "It is no longer needed.", "任务已不再需要。"),
        ("task_unseen", "It was done, but the person was not seen to sign in.", "已处理，但未见本人登录。"),
        ("account_stopped", "An account was stopped in its system.", "账号已在系统里停用。"),
        ("account_not_stopped", "An account could not be stopped.", "未能在系统里停用账号。"),
    )
}
PEOPLE = {
    "account_off": _e("people", "A sync disabled an account.", "同步时停用了账号。", account=f.ID, system=f.SYSTEM),
    "account_linked": _e("people", "An account was connected with a person.", "账号已与人员关联。", system=f.SYSTEM),
    "link_rejected": _e("people", "An account belongs to someone else.", "账号属于其他人。", system=f.SYSTEM),
    "person_removed": _e("people", "A person was erased.", "人员资料已删除。", by=f.CODE),
    "people_imported": _e("people", "People were imported.", "已导入人员。", added=f.NUMBER, changed=f.NUMBER,
                          same=f.NUMBER, bad=f.NUMBER, switched_off=f.NUMBER),
    "people_synced": _e("people", "People were synced from a system.", "已从系统同步人员。", system=f.SYSTEM,
                        state=f.CODE, added=f.NUMBER, changed=f.NUMBER, off=f.NUMBER),
}  # fmt: skip
OPERATORS = {
    name: _e(
        "operators",
        en,
        zh,
        operator=f.WHO,
        by=f.WHO,
        role=f.CODE,
        permission=f.CODE,
        scopes=f.Kind("string", ["cases_read"], f.A_CODE, many=True),
    )
    for name, en, zh in (
        ("operator_added", "An operator was added.", "已添加操作员。"),
        ("operator_invited_again", "An operator got a new set-up link.", "操作员获得新的设置链接。"),
        ("operator_set_up", "An operator set up their sign-in.", "操作员已完成登录设置。"),
        ("operator_removed", "An operator was removed.", "已移除操作员。"),
        ("operator_link_asked", "A colleague asked for a new link for an operator.", "同事为操作员申请新链接。"),
        ("operator_link_approved", "A second one approved it.", "另一位同事已批准新链接。"),
        ("operator_link_declined", "A second one declined it.", "另一位同事未批准新链接。"),
        ("operator_signed_in", "An operator signed in.", "操作员已登录。"),
        ("operator_sign_in_failed", "An operator's sign-in failed.", "操作员登录失败。"),
        ("operator_signed_out", "An operator signed out.", "操作员已退出登录。"),
        ("operator_step_up_failed", "An operator's second factor was wrong.", "操作员的两步验证未通过。"),
        ("operator_denied", "A role did not allow something.", "角色权限不足。"),
        ("audit_exported", "Rows of the audit log were exported.", "审计日志已导出。"),
        ("api_key_added", "A program was given a key.", "已为程序生成密钥。"),
        ("api_key_rotated", "A program's key was replaced.", "程序的密钥已更换。"),
        ("api_key_removed", "A program's key was removed.", "程序的密钥已移除。"),
        ("api_key_lapsed", "A program's last key expired.", "程序的最后一把密钥已过期。"),
        ("key_added", "A key was added to the keyring.", "密钥环已添加密钥。"),
        ("key_used", "Another key of the keyring is in use.", "密钥环已换用另一把密钥。"),
        ("key_retired", "A key of the keyring was retired.", "密钥环里的一把密钥已停用。"),
        ("keyring_wrapped", "The keyring was wrapped by a hardware token.", "密钥环已由硬件令牌加密。"),
        ("keyring_unwrapped", "The keyring was written in clear again.", "密钥环已改回明文保存。"),
        ("key_forgotten", "A key is lost for good.", "一把密钥已永久丢失。"),
        ("restored", "A backup was restored.", "已恢复备份。"),
        ("clock_repaired", "A wrong time was corrected.", "已修正错误的时间。"),
        ("webhook_added", "A receiver of events was added.", "已添加事件接收方。"),
        ("webhook_rotated", "A receiver's secret was replaced.", "事件接收方的密钥已更换。"),
        ("webhook_removed", "A receiver was removed.", "已移除事件接收方。"),
        ("siem_skipped", "The stream for the SIEM left out events.", "SIEM事件流略过了部分事件。"),
        ("webhook_gone", "A receiver said that it is gone and was switched off.", "事件接收方表示已停用，不再推送。"),
    )
}
CATALOGUE: Mapping[str, Event] = RECOVERY | SIGN_IN | PROTECTION | DESK | TASKS | PEOPLE | OPERATORS
# How messages travel, what operators look at or write, and steps in between: of use in the audit log alone.
KEPT_IN = frozenset(
    {
        "challenge_sent", "mail_withheld", "mail_fetched", "logins_sent", "owner_told", "letter_dropped",
        "password_reminded", "contacts_reminded", "digest_sent", "choose_again_mailed", "choose_again_opened",
        "administrators_asked", "intakes_resolved", "second_step_asked", "step_done", "system_factor_asked",
        "case_commented", "case_ticket_set", "help_confirmed", "help_written", "help_joined", "person_sought",
        "person_viewed", "caller_number_shown", "caller_number_wrong", "manager_asked", "call_entered", "call_ended",
        "document_consented", "document_withdrawn", "document_appealed", "document_taken", "document_viewed",
        "document_reviewed", "document_seen_before", "document_destroyed", "identity_consented",
        "identity_failed", "identity_withdrawn", "identity_taken", "identity_name_tried", "identity_reviewed",
        "photo_added", "photo_removed", "photo_viewed", "campaign_asked", "desk_started",
        "desk_start_used", "desk_unlocked", "desk_unlocked_system", "desk_locked_down", "desk_sessions_ended",
        "desk_hold_changed", "operator_confirmed", "task_done_first", "task_said_in", "people_import_started",
        "people_sync_started", "webhook_resent", "message_sent_again",
        "siem_sent_again",
    }
)  # fmt: skip

"""What each kind of mail has places for, and its English words; the translations hang on them."""

from __future__ import annotations

from keyback.application.ports.messages import MessageKind

ASKED = ("when", "source", "device")
PLACES = {
    MessageKind.RECOVERY: ("username", "link", "code", "stop_link", "link_until", "code_until", *ASKED),
    MessageKind.LOGINS: ("rows", *ASKED),
    MessageKind.ELSEWHERE: ("username", "provider", *ASKED),
    MessageKind.CHANGED: ("username", "rows", "opens", "stop", *ASKED),
    MessageKind.HOLD: ("username", "how", "until", "stop_link", *ASKED),
    MessageKind.ASKED: ("username", "how", "stop_link", *ASKED),
    MessageKind.STOPPED: ("username", "how", "when"),
    MessageKind.ROTATION: ("username", "how", "when"),
    MessageKind.MAIL_CODE: ("username", "how", "code", "until", *ASKED),
    MessageKind.CONFIRMATION: ("person", "link", "until", *ASKED),
    MessageKind.ACCOUNT_CHANGED: ("username", "how", "stop", *ASKED),
    MessageKind.MOVING: ("username", "how", "until", "stop_link", "when"),
    MessageKind.INVITED: ("person", "link", "until", *ASKED),
    MessageKind.SIGNED_IN: ("username", "how", "stop", *ASKED),
    MessageKind.TRIES: ("username", "how", "account_url", *ASKED),
    MessageKind.REMINDER: ("username", "how", "account_url"),
    MessageKind.CHOOSE_AGAIN: ("username", "rows", "link", "until", "when"),
    MessageKind.TASK: ("how", "next", "rows", "evidence", "command"),
    MessageKind.DESK: ("how", "rows", "account_url"),
    MessageKind.SYSTEM: ("how", "next", "rows", "opens"),
    MessageKind.ERASED: ("username", "when"),
    MessageKind.CALL: ("how", "rows"),
    MessageKind.HELP_CODE: ("code", "until", *ASKED),
    MessageKind.HELP_NEWS: ("how", "when", "account_url"),
    MessageKind.CAMPAIGN: ("username", "how", "next"),
}
SUBJECTS = {
    MessageKind.RECOVERY: "Get back into your {company} account",
    MessageKind.LOGINS: "Your usernames at {company}",
    MessageKind.ELSEWHERE: "Where to recover your {company} password",
    MessageKind.CHANGED: "Your {company} account was recovered",
    MessageKind.HOLD: "A recovery of your {company} account is on hold",
    MessageKind.ASKED: "Someone is recovering your {company} account",
    MessageKind.STOPPED: "The recovery of your {company} account was canceled",
    MessageKind.ROTATION: "Your {company} password expires soon",
    MessageKind.MAIL_CODE: "A code for your {company} account",
    MessageKind.CONFIRMATION: "A colleague at {company} asks you to confirm it's them",
    MessageKind.ACCOUNT_CHANGED: "Security settings for your {company} account changed",
    MessageKind.MOVING: "Your {company} account is about to get another contact",
    MessageKind.INVITED: "A colleague at {company} asks you to be their recovery contact",
    MessageKind.SIGNED_IN: "New sign-in to your {company} account",
    MessageKind.TRIES: "Wrong passwords were tried on your {company} account",
    MessageKind.REMINDER: "Your {company} account: something to check",
    MessageKind.CHOOSE_AGAIN: "Choose your {company} password again",
    MessageKind.TASK: "{company} account recovery: a task for an administrator",
    MessageKind.DESK: "{company} help desk: something to know",
    MessageKind.SYSTEM: "Your {company} account: news about one system",
    MessageKind.ERASED: "Your {company} recovery data was erased",
    MessageKind.CALL: "The {company} help desk is calling you",
    MessageKind.HELP_CODE: "Confirm your address for the {company} help desk",
    MessageKind.HELP_NEWS: "The {company} help desk answered you",
    MessageKind.CAMPAIGN: "Please choose a new password for your {company} account",
}
STATES = {
    "done": "Changed",
    "working": "Being changed",
    "desk": "Waiting for an administrator",
    "yours": "Your turn: see the recovery page",
    "refused": "Not changed",
    "unsure": "Not sure yet",
    "sessions_open": "Changed, but other devices may still be signed in",
}
STOPPED_BY = {
    "owner": "Someone used the cancel link in our email.",
    "operator": "The help desk canceled it.",
}
HOLD = {
    "begun": "Someone verified as you, but on a device we don't recognize. We've put the recovery on "
    "hold so you can cancel it.",
    "over": "The hold is over. Whoever asked can now continue on the page where they started.",
}
ASKED_FOR = {
    "review_approved": "The help desk approved a recovery of your account. Whoever asked can now continue on the page "
    "where they started, and choose a new password there.",
    "call_begun": "Someone called the help desk to recover your account. They'll call back a number on record, and "
    "nothing changes before you've answered. If it isn't you, cancel now.",
    "call_failed": "Someone called the help desk to recover your account and couldn't verify that they are you. The "
    "help desk has refused the call. Nothing has changed.",
    "document_sent": "Someone sent a picture of an identity document to recover your account. Two people look at it. "
    "Nothing has changed. If it isn't you, cancel now.",
    "identity_answered": "Someone had an identity verified by a service to recover your account. Nothing has changed. "
    "If it isn't you, cancel now.",
    "help_asked": "Someone asked the help desk for help to recover your account, and an operator has opened a case. "
    "Nothing has changed. If it isn't you, cancel now.",
    "helper_asked": "Someone is recovering your account and asked one of your recovery contacts to confirm that it's "
    "you.",
    "part_shown": "Someone is recovering your account and completed one step, with a recovery code, an "
    "authenticator app, "
    "a passkey, or a recovery contact. More is needed before anything changes.",
}
OF_AGE = {
    "ahead": "Until that day your password works as before.",
    "past_elsewhere": "By your company's rules that day has passed. Until you choose a new password, the old one may "
    "still work.",
    "past": "It has expired. You can still sign in, but only to choose a new password.",
}
PURPOSES = {
    "recovery": "Someone is recovering your account and asked for a code at this address.",
    "enrol": "Someone wants to add this address to your account.",
    "step_up": "Someone who is signed in to your account is about to change its security settings.",
    "sign_in": "Someone is signing in to your account.",
}
CHANGES = {
    "totp_added": "An authenticator app was added to your account.",
    "totp_removed": "An authenticator app was removed from your account.",
    "passkey_added": "A passkey was added to your account: {detail}.",
    "passkey_removed": "A passkey was removed from your account: {detail}.",
    "codes_made": "New recovery codes were created for your account. Earlier ones can no longer be used.",
    "codes_removed": "The recovery codes of your account were removed.",
    "codes_low": "A recovery code was used to sign in to your account. Codes left: {detail}. Create a new set soon.",
    "provider_added": "A sign-in was connected with your account and can be used to recover it: {detail}.",
    "provider_removed": "A connected sign-in was removed from your account: {detail}.",
    "questions_set": "Security questions were set up for your account.",
    "questions_removed": "The security questions of your account were removed.",
    "mail_added": "A backup email was added to your account: {detail}.",
    "mail_removed": "A backup email was removed from your account: {detail}.",
    "mail_moving": "Your company's records have a new email address for your account: {detail}. In three days it "
    "replaces your current one.",
    "backup_moving": "Your company's records have a backup email address for your account: {detail}. In three days it "
    "can be used for recovery.",
    "mail_moved": "The email address of your account is now {detail}, as in your company's records.",
    "mail_kept": "Your company's records show your earlier email address again. {detail} won't be used.",
    "mail_refused": "An email address from your company's records was refused and isn't used: {detail}.",
    "account_linked": "An account of a system was connected with you, so you can recover it here: {detail}.",
    "phone_added": "A phone number was added to your account: {detail}.",
    "phone_removed": "A phone number was removed from your account: {detail}.",
    "phone_moving": "Your company's records have a phone number for your account: {detail}. In three days it can be "
    "used for recovery.",
    "phone_kept": "Your company's records show your earlier phone number again. {detail} won't be used.",
    "phone_refused": "A phone number from your company's records was refused and isn't used: {detail}.",
    "im_added": "A work chat was added to your account: {detail}.",
    "im_removed": "A work chat was removed from your account: {detail}.",
    "helper_added": "A recovery contact was added to your account: {detail}.",
    "helper_removed": "A recovery contact was removed from your account: {detail}.",
    "password_changed": "The password of your account was changed in the security center.",
    "access_ended": "App access and sign-ins were ended in {detail}.",
    "access_not_ended": "Someone signed in to your account asked to end app access in {detail}, but the system didn't "
    "confirm it.",
    "unlocked": "Your account was unlocked by a recovery. The password hasn't changed.",
    "factor_replaced": "The second step of your account was replaced by a recovery. Earlier ones can no "
    "longer be used.",
    "system_factor_removed": "A recovery removed a second step of your account in {detail}.",
    "temporary_pass_given": "A recovery showed a temporary pass for your account in {detail}. It replaces password and "
    "second step for one sign-in there.",
    "mailbox_replaced": "The email of your account was replaced by a recovery: {detail}.",
    "desk_started": "The help desk started a recovery for you. Your password hasn't changed; another email shows where "
    "to continue.",
    "desk_unlocked": "The help desk unlocked your account. The password hasn't changed.",
    "desk_sessions_ended": "The help desk signed you out everywhere. The password hasn't changed.",
    "desk_hold_changed": "The help desk changed how long your recovery stays on hold.",
    "desk_locked_down": "The help desk locked your account because someone else may be in it. Every sign-in has ended. "
    "To unlock it, choose a new password on the recovery page.",
    "desk_broke_glass": "One operator of the help desk acted on your account alone, in an emergency. All operators and "
    "security officers were told.",
    "locked_down": "Your account was locked because someone reported a change that wasn't yours. Every "
    "sign-in has ended. "
    "To unlock it, choose a new password on the recovery page.",
}
SIGN_INS = {
    "new_sign_in": "Someone signed in to your account from a new browser and a new network.",
    "half_way": "Someone entered your correct password from a new browser and network but didn't pass two-step "
    "verification. They didn't get in, but they know your password.",
}
TRIES = {
    "tries": "Someone tried several wrong passwords on your account. All of them failed.",
    "tries_off": "Someone tried so many wrong passwords on your account that your password no longer works in "
    "browsers you haven't used before. In a browser you've used before, you can sign in as usual. To sign in anywhere "
    "again, recover your account.",
}
REMINDERS = {
    "manager_asked": "The help desk asks you about a caller who says they are someone who reports to you. Talk to them "
    "yourself, then confirm or refuse in your security center, within 30 minutes.",
    "start_link": "The help desk started a recovery for you. Continue here in your own browser. No one from the help "
    "desk needs a code or a password from you.",
    "aftercare": "A few steps are left after your recovery. They make the next one easier for you, and "
    "harder for an impostor.",
    "contacts": "Once a year: check that your phone numbers and backup email addresses are still yours, and confirm "
    "them. Any you don't confirm within 30 days won't be enough on their own to recover your account.",
    "contacts_last": "Some of your phone numbers or backup email addresses haven't been confirmed for a long time. "
    "In 30 days they can no longer be used for recovery. Confirm or replace them.",
    "helpers": "Once a year: check that your recovery contacts are still the right people.",
}
TASKS = {
    "reset": "Someone needs a new password in a system that Keyback can't set it in. Their identity has been verified; "
    "how and when is below.",
    "reset_next": "Reset the password of exactly this account, and give it to them the way your company does: in "
    "person or by phone, never by replying to this email. If they got in on their own, there is nothing left to do.",
    "stop": "Someone reported that another person may be in their account. Keyback couldn't stop it in this system.",
    "stop_next": "Stop the account there now, then call its owner.",
    "turn_on": "Someone reported that another person may be in their account. Keyback has stopped it in this system.",
    "turn_on_next": "Call its owner. Once you're sure who has the account, change its password there and turn it on "
    "again.",
}
SYSTEM_NEWS = {
    "done": "An administrator has reset your password in this system.",
    "done_next": "If you don't have the new one yet, ask the help desk: an administrator gives it to you in person or "
    "by phone, never by email. Change it after you sign in.",
    "declined": "An administrator did not reset your password in this system.",
    "declined_next": "If you think that's a mistake, contact the help desk.",
    "seen": "You have signed in to this system since your recovery, so you're done here.",
    "seen_next": "If that wasn't you, contact the help desk now.",
    "remind": "We haven't seen you sign in to this system since your recovery.",
    "remind_next": "If its own reset didn't work, contact the help desk. An administrator has been told.",
    "remind_blind": "This system doesn't tell us whether you've signed in since your recovery.",
    "remind_blind_next": "If you're in, there's nothing left to do. If not, contact the help desk.",
    "again": "We still haven't seen you sign in to this system, and we've stopped checking.",
    "again_next": "If you're still locked out, ask the administrator again through the help desk.",
    "stopped": "After your report, your account in this system has been stopped. No one can sign in to it.",
    "stopped_next": "An administrator will contact you before turning it on again.",
    "turned_on": "An administrator has turned your account in this system on again.",
    "turned_on_next": "If you don't have its new password, contact the help desk.",
}
METHODS = {
    "email_link": "Link or code by email",
    "backup_email": "Code to a backup email",
    "sms_code": "Code by text message",
    "im_message": "Code by work chat",
    "totp": "Authenticator app",
    "passkey": "Passkey",
    "recovery_code": "Recovery code",
    "recovery_contact": "Recovery contact",
    "provider_sign_in": "Sign-in with another system",
    "security_questions": "Security questions",
}
LABELS = {
    "operator": "Operator",
    "person": "Person",
    "campaign": "Campaign",
    "account": "Username",
    "system": "System",
    "reason": "Reason",
    "number": "Number",
    "time": "Time",
    "day": "Since",
    "opened": "Opened",
}
CALLS = {
    "recovery": "Someone from the help desk is calling you about your recovery.",
    "request": "Someone from the help desk is calling you about your request.",
    "security": "Someone from the help desk is calling you about something unusual in your account.",
    "set_up": "Someone from the help desk is calling you to help with your sign-in.",
}
CAMPAIGNS = {
    "incident": "After a security incident, everyone concerned is asked to choose a new password. You are one of them.",
    "leak": "Passwords of ours may have become known to others. Everyone concerned is asked to choose a new one.",
    "old": "Your password is old. Please choose a new one.",
    "policy": "The rules for passwords have changed. Please choose a new one.",
    "may": "Until then, your current password goes on working.",
    "must": "Until then, your current password only lets you choose a new one.",
}
ON_RECORD = {"on_record": " (on record here; the system didn't answer)"}
WORDS = ON_RECORD | STATES | STOPPED_BY | HOLD | ASKED_FOR | OF_AGE | PURPOSES | CHANGES | SIGN_INS | TRIES | REMINDERS
DECISIONS = {
    "approved": "An operator approved the recovery of a privileged account. If a hold is set, it is running now.",
    "declined": "An operator declined the recovery of a privileged account.",
    "task_done": "An operator recorded an administrator's task for a privileged account as done.",
    "task_declined": "An operator declined an administrator's task for a privileged account.",
    "campaign_drafted": "A campaign was drafted. It starts once a security officer who didn't draft it approves it.",
    "campaign_approved": "A campaign was approved. People are being asked now.",
    "act_start": "An operator started a recovery for a privileged person.",
    "act_unlock": "An operator unlocked the account of a privileged person.",
    "act_hold": "An operator changed the hold on a privileged person's recovery.",
    "act_lock": "An operator locked someone's account.",
    "act_end_sessions": "An operator signed a privileged person out everywhere.",
    "act_cancel": "An operator canceled a privileged person's recovery.",
    "glass_broken": "An operator did alone what takes two, in an emergency. Check now that it was right.",
    "unusual_pair": "The same two operators keep approving each other's requests today: five so far. The person below "
    "asked, the operator approved.",
    "operator_link_asked": "An operator lost what they sign in with. One colleague asked for a new set-up link; a "
    "second one has to approve it. The person below is the operator.",
    "operator_link_given": "An operator got a new set-up link, approved by two colleagues. What they signed in with "
    "before no longer works. The person below is the operator.",
    "your_link_asked": "A colleague asked for a new set-up link for you, because you lost what you sign in to the help "
    "desk with. If that's not so, tell your security officers now.",
    "your_link_given": "You were given a new set-up link for the help desk. What you signed in with before no longer "
    "works. If you didn't ask for it, tell your security officers now.",
    "digest": "What operators of the help desk did within 24 hours, from the time below. Look for what is unlike other "
    "days.",
    "document_seen_before": "A picture of an identity document was sent that was already used in another request.",
    "identity_seen_before": "A service verified an identity for this person that it had already verified for someone "
    "else.",
    "operator_added": "An operator was added to the help desk.",
    "api_key_added": "A program was given a key of the help desk's API. It can read and collect, never approve.",
    "operator_invited": "An operator was given a new set-up link on the server. What they signed in with before no "
    "longer works.",
}
HELP_NEWS = {
    "answered": "The help desk has answered your request. Open it in the browser where you asked.",
    "closed": "The help desk has closed your request. Open it in the browser where you asked to see why, and to have "
    "someone else look at it if you disagree.",
}
WORDS |= {f"help_{k}": v for k, v in HELP_NEWS.items()}
WORDS |= {f"campaign_{k}": v for k, v in CAMPAIGNS.items()}
DIGEST = {
    "approved": "Recoveries approved",
    "declined": "Recoveries declined",
    "task_done": "Tasks done",
    "task_declined": "Tasks declined",
    "act_start": "Recoveries started",
    "act_unlock": "Accounts unlocked",
    "act_hold": "Holds changed",
    "act_lock": "Accounts locked",
    "act_end_sessions": "Sessions ended",
    "act_cancel": "Recoveries canceled",
    "glass_broken": "Done alone in an emergency",
    "caller_passed": "Callers confirmed",
    "caller_failed": "Callers refused",
    "operator_added": "Operators added",
    "operator_invited": "New set-up links for operators",
}
WORDS |= {f"digest_{k}": v for k, v in DIGEST.items()}
WORDS |= {f"call_{k}": v for k, v in CALLS.items()}
WORDS |= {f"desk_{k}": v for k, v in DECISIONS.items()}
WORDS |= {f"task_{k}": v for k, v in TASKS.items()} | {f"system_{k}": v for k, v in SYSTEM_NEWS.items()}
WORDS |= {f"method_{k}": v for k, v in METHODS.items()} | {f"label_{k}": v for k, v in LABELS.items()}

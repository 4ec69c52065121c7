// Made from docs/openapi.json by `python -m tests.client.typescript`. Don't edit.

/** What came of it in the system. All other sessions here have ended in any case. */
export interface AccessEnded {
  /** `guided`: the person has to do it in the system itself. `unsure`: it gave no answer in time. */
  result: "done" | "refused" | "unsure" | "guided";
}

/** An account that may get the new password. */
export interface Account {
  id: string;
  /** Name in the configuration. */
  system: string;
  /** What people call the system. */
  title: string;
  username: string;
}

/** One account, as its system knows it now. */
export interface AccountNow {
  account_id: string;
  /** Name in the configuration. */
  system: string;
  /** What people call the system. */
  title: string;
  /** As the system has it now. */
  username: string;
  /** Absent where nobody knows. */
  password_changed_at?: string | null;
  /** When the policy asks for another password. */
  password_due_at?: string | null;
  /** The latest, newest first; 20 at most. */
  sign_ins: SystemSignIn[];
  applications: Application[];
  /** The system tells of sign-ins and applications at all. */
  tells: boolean;
  /** `endAccess` can do something there. */
  ends: boolean;
  /** `slow`: the system gave no answer; ask again in a moment. */
  state: "answered" | "slow";
}

/** All accounts of the person, in the order of the configuration. */
export interface AccountsNow {
  accounts: AccountNow[];
}

/** What the browser made, and a name for it. */
export interface AddedPasskey {
  /** The JSON of a `RegistrationResponseJSON`, in a string. */
  credential: string;
  label?: string | null;
}

/** The steps after a recovery. A mail reminds once of those that are left. */
export interface AfterRecovery {
  steps: CareStep[];
  /** Whoever was in the account may have left a way back in. */
  recently_added: LatelyAdded[];
}

/** An application that may act in the person's name. */
export interface Application {
  id: string;
  title: string;
  authorized_at?: string | null;
  last_used_at?: string | null;
}

/** The new password is on its way into the systems. Ask again in a second or two. */
export interface Applying {
  state: "applying";
  results: Result[];
}

/** Why, and where an answer reaches the person. */
export interface AskForHelp {
  /** At most 1000 characters, without passwords, codes, links, or numbers of documents. */
  reason: string;
  /** An email address that the person can read now. It says where to write, and is never evidence. */
  contact: string;
}

/** Asked; if it was too early, nothing is sent and the time stays as it was. The same for everybody. */
export interface Asked {
  state: "waiting";
  resend_at: string;
  /** What to show: `options` for `passkey`; `digits` to be read out, for `recovery_contact`. */
  form?: Record<string, unknown> | null;
}

/** The new address whose code is waited for. */
export interface AskedMailbox {
  /** Send it back with the code. */
  id: string;
  address: string;
}

/** A password to judge before it is sent. Nothing of it is kept. */
export interface Candidate {
  password: string;
  /** With the recovery's secret as Bearer, the person's own names count as well. */
  handle?: string | null;
}

/** One step after a recovery. */
export interface CareStep {
  step: "contacts" | "recent" | "second_step" | "manager" | "activity" | "systems";
  done: boolean;
}

/** Something that no system can see; the person looks at it. */
export interface Check {
  code: string;
  title: string;
  next_step: string;
}

/** What one system said of one account. */
export interface Checked {
  /** Empty for the system that was asked for and has no account of theirs. */
  account_id: string;
  /** Name in the configuration. */
  system: string;
  /** What people call the system. */
  title: string;
  username: string;
  /** `fine`: nothing was found. `slow`: no answer in time. `silent`: the system tells nobody. */
  state: "fine" | "found" | "slow" | "silent";
  findings: Found[];
  /** A new password would be taken there and let the person in. */
  takes_password: boolean;
  /** A second step that was lost there can be seen to. */
  second_step: boolean;
}

/** One out of `mailboxes`. */
export interface ChosenMailbox {
  mailbox: string;
}

/** The code of the mail, or what answers another proof; spaces and hyphens in digits do not count. */
export interface Code {
  /** For `passkey`: the credential as JSON, in a string. */
  code: string;
}

/** One message. Text is as it was written: show it as text, never as markup. */
export interface DeskMessage {
  at: string;
  by: "person" | "desk";
  /** The operator's; empty for the person. */
  name: string;
  text: string;
}

/** What keeps the person out, system by system. Reading it changed nothing. */
export interface Diagnosis {
  accounts: Checked[];
  checks: Check[];
}

/** Nothing is left for Keyback to do. Look at each result: some may be the person's turn. */
export interface Done {
  state: "done";
  results: Result[];
  /** What was done instead of a new password; `results` is empty then. */
  remedied?: "unlocked" | "factor_replaced" | "mailbox_replaced" | null;
  /** For an hour after a new password. Whoever was in the account may have added them: ask, and remove those that the person doesn't know with `removeRecentFactors`. */
  recent_factors: RecentFactor[];
}

/** What to end. */
export interface EndAccess {
  /** An id out of `applications`, or `all`. */
  application: string;
}

/** Over. Start again, if need be. After `failed` every system's result says why. */
export interface Ended {
  state: "ended";
  reason: "cancelled" | "expired" | "failed" | "rejected" | "closed";
  results: Result[];
}

/** A second step in a system. `title` is untrusted text. */
export interface Factor {
  id: string;
  kind: string;
  title: string;
  /** It can be removed here; else an administrator of the system must. */
  removable: boolean;
}

/** It signs in from now on, and may recover after 72 hours. */
export interface FactorAdded {
  result: "added";
}

/** The first code of a new app. */
export interface FactorCode {
  code: string;
}

/** One account's second steps; null where the system did not say. */
export interface FactorsOf {
  account_id: string;
  system: string;
  title: string;
  username: string;
  factors: Factor[] | null;
  /** The system can give a pass for one sign-in. */
  temporary_pass: boolean;
}

/** One member that does not fit. `field` is empty for a member that is not known. */
export interface FieldError {
  field: string;
  code: string;
}

/** A code, and what it is for: so that nothing is taken that the person was not shown. */
export interface FirstCode {
  id: string;
  code: string;
}

/** One thing that keeps the person out, in the language of the request. */
export interface Found {
  code: string;
  text: string;
  next_step: string;
  /** What kind of thing the next step is. */
  action: "password" | "helpdesk" | "elsewhere" | "wait" | "second_step" | "sign_in";
  /** When it ends by itself, where the system says so. */
  until?: string | null;
  /** The person's account whose password opens this one, too. */
  account_id?: string | null;
}

/** The code that went to the contact. */
export interface HelpCode {
  /** Six digits; spaces do not matter. */
  code: string;
}

/** Everything that speaks against a password, and how hard it is to guess. */
export interface Judged {
  violations: PasswordViolation[];
  /** 0 is guessed at once, 4 very hard to guess. */
  strength: number;
  strength_text: string;
}

/** A method or address that was added in the last 30 days. */
export interface LatelyAdded {
  id: string;
  kind: string;
  label: string;
  added_at: string;
}

/** What the browser made, and for which challenge. */
export interface MadePasskey {
  id: string;
  /** The JSON of a `RegistrationResponseJSON`, in a string. */
  credential: string;
}

/** A code is on its way to the new address, which is used for nothing before the code came back. */
export interface MailboxAsked {
  id: string;
  expires_at: string;
}

/** Verified: name the mailbox that takes the place of the lost one. */
export interface MailboxDue {
  state: "mailbox_due";
  expires_at: string;
  name: string;
  /** Confirmed before; one of them needs no code. */
  mailboxes: OtherMailbox[];
  asked?: AskedMailbox | null;
}

/** Something is proven, but the policy asks for more: a further proof, a wait, or somebody at the help desk. */
export interface NeedMore {
  state: "need_more";
  /** `hold`: it goes on by itself at `hold_until`. `review`: a second operator has to approve. */
  reason: "proof" | "hold" | "review";
  hold_until?: string | null;
  /** What can be shown next; without any, only a person helps. */
  proofs: Way[];
  expires_at: string;
}

/** A seed for an authenticator app. Show it once, as a QR code of `uri` and as text; keep it nowhere. */
export interface NewApp {
  /** Send it back with the first code. */
  id: string;
  seed: string;
  uri: string;
  expires_at: string;
}

/** An address that is not on record yet. */
export interface NewMailbox {
  /** As typed. */
  address: string;
}

/** A challenge for the browser or the app. */
export interface NewPasskey {
  /** Send it back with what was made. */
  id: string;
  /** What `PublicKeyCredential.parseCreationOptionsFromJSON` takes. */
  options: Record<string, unknown>;
  expires_at: string;
}

/** The new password, for all accounts or for some of them. */
export interface NewPassword {
  new_password: string;
  /** Ids out of `accounts` of the recovery. Default: all in which a new password is of use. */
  accounts?: string[] | null;
}

/** A confirmed address that could take the place of the lost one. `hint` is masked. */
export interface OtherMailbox {
  id: string;
  hint: string;
}

/** One method that is set up. */
export interface OwnFactor {
  id: string;
  kind: string;
  /** Untrusted text. */
  label: string;
  added_at: string;
  used_at?: string | null;
  /** Signs in already, but counts in a recovery only from then on. Null: it does. */
  recovers_from?: string | null;
  /** For `recovery_codes`. */
  codes_left?: number | null;
}

/** What is set up, and what could be. */
export interface OwnFactors {
  factors: OwnFactor[];
  offers: ("app" | "passkey" | "recovery_codes")[];
}

/** What became of it. */
export interface OwnHelpRequest {
  /** `unconfirmed`: the code that went to the contact is waited for. `open`: the help desk has to answer. `answered`: the person has. */
  state: "not_asked" | "unconfirmed" | "open" | "answered" | "closed";
  /** As it was read; empty before. */
  contact: string;
  reason: string;
  messages: DeskMessage[];
  /** In the queue, from 1; 0 where it doesn't wait. */
  place: number;
  /** How long others waited lately; 0 where too few did. */
  usual_wait_seconds: number;
  /** Closed lately, and never opened again. */
  may_reopen: boolean;
  /** For the code, while it is waited for. */
  tries_left?: number | null;
  code_expires_at?: string | null;
  /** When a new code can be sent. */
  resend_at?: string | null;
}

/** A challenge for any passkey; it names nobody. */
export interface PasskeyAsked {
  /** Send it back with the answer. Good for ten minutes and one answer. */
  ticket: string;
  /** What `PublicKeyCredential.parseRequestOptionsFromJSON` takes. */
  options: Record<string, unknown>;
}

/** What a passkey answered. */
export interface PasskeySignIn {
  ticket: string;
  /** The JSON of an `AuthenticationResponseJSON`, in a string. */
  credential: string;
}

/** Proven: choose a new password now, for `accounts`. `results` are those of an earlier try, if a system refused its password or was away until its time was over (`choose_again`). */
export interface PasswordDue {
  state: "password_due";
  expires_at: string;
  name: string;
  accounts: Account[];
  requirements: Rule[];
  results: Result[];
  /** For `locked`: ids of accounts that `unlockAccounts` opens again without a new password. */
  unlockable: string[];
}

/** One reason against a password, in the language of the request. */
export interface PasswordViolation {
  code: string;
  text: string;
  suggestion: string;
}

/** RFC 9457. `code` is stable; what was sent is never echoed. */
export interface Problem {
  type: "about:blank";
  title: string;
  status: number;
  code: string;
  detail?: string | null;
  field?: string | null;
  /** With `wrong_state`: where the recovery stands. */
  state?: "waiting" | "password_due" | "second_step_due" | "mailbox_due" | "need_more" | "applying" | "done" | "ended" | "signed_in" | null;
  tries_left?: number | null;
  /** With `code_over`: why. */
  reason?: string | null;
  second_step?: SecondStepNeeded | null;
  errors?: FieldError[] | null;
  violations?: PasswordViolation[] | null;
}

/** The code was right. */
export interface Proven {
  state: "password_due" | "second_step_due" | "mailbox_due" | "need_more";
  /** For `recovery_code`: takes the place of the one that was used. Shown once. */
  new_code?: string | null;
}

/** A second step that signing in asks for, although it was too new to count in this recovery. */
export interface RecentFactor {
  id: string;
  kind: string;
  /** Untrusted text. */
  label: string;
  added_at: string;
}

/** Ids out of `recent_factors`. */
export interface RecentFactors {
  factors: string[];
}

/** How many were removed. Sessions that they opened have ended. */
export interface RecentRemoved {
  removed: number;
}

/** Ten codes. This answer alone has them: show them once and keep them nowhere. */
export interface RecoveryCodes {
  codes: string[];
}

/** Which second step to remove. */
export interface RemoveFactor {
  /** An id out of `factors`. */
  factor: string;
}

/** A second step that stops working once another one takes its place. */
export interface Replaced {
  kind: string;
  /** Untrusted text. */
  label: string;
}

/** What became of one account. Only `done` means that the new password was seen to work. */
export interface Result {
  account_id: string;
  system: string;
  title: string;
  username: string;
  /** `waiting`, `working`: Keyback is on it. `yours`: follow `steps`. `desk`: an administrator does it. `unsure`: it may have been changed. `refused`: nothing was changed, `code` says why. With the code `choose_again` the system was away for ten minutes, and another password can be sent for it. `done` with the code `sessions_open`: the password was set, but other devices may still be signed in. */
  result: "waiting" | "working" | "done" | "yours" | "desk" | "unsure" | "refused";
  /** Why, for `refused` and what is not done yet. */
  code: string;
  /** The system's own words, untrusted text. */
  vendor_text: string;
  /** When it was confirmed. */
  at?: string | null;
  /** For `yours`, in the language of the request. */
  steps: string[];
  /** For `yours`: where to go on. */
  url: string;
  /** All devices were signed out there. */
  signed_out: boolean;
  /** For `yours` and `desk`: what waits for the person or an administrator. */
  task?: Task | null;
}

/** One rule for new passwords, in the language of the request. */
export interface Rule {
  code: string;
  text: string;
}

/** The second step of a sign-in. */
export interface SecondStep {
  /** As `POST /sign-in` gave it. */
  token: string;
  proof: "passkey" | "totp" | "recovery_code";
  /** The digits, the recovery code, or the JSON of an `AuthenticationResponseJSON`. */
  answer: string;
}

/** Verified: set up a new second step now. It replaces everything in `replaces` at once. */
export interface SecondStepDue {
  state: "second_step_due";
  expires_at: string;
  name: string;
  replaces: Replaced[];
  /** What can be set up here. */
  offers: ("app" | "passkey")[];
  /** Set where the recovery is about the second step of this system, not about Keyback's own: go on with `listSystemFactors`. */
  system?: string | null;
  /** `listSystemFactors` has something to ask: a system of theirs has second steps of its own. */
  has_system_factors: boolean;
}

/** With `second_factor_required`: the password was right, and `POST /sign-in/second-step` goes on from here. */
export interface SecondStepNeeded {
  /** Good for ten minutes and for nothing else. */
  token: string;
  /** What may answer, the best first. */
  proofs: string[];
  /** For `passkey`: what `PublicKeyCredential.parseRequestOptionsFromJSON` takes. */
  passkey?: Record<string, unknown> | null;
}

/** Whose session it is. One hour without use ends it. */
export interface SessionInfo {
  name: string;
  username: string;
  signed_in_at: string;
  expires_at: string;
  /** Why this session is good for nothing but choosing a new password by a recovery: its time is over, or it is in a public leak. Null: it is a full session. */
  must_change?: "due" | "breached" | null;
}

/** Login and password of the built-in system. */
export interface SignIn {
  identifier: string;
  password: string;
}

/** A session of the built-in system. */
export interface SignedIn {
  /** Send it as `Authorization: Bearer`. */
  session: string;
  expires_at: string;
  /** Days until a new password is due, 0 when it is; null where age is no reason for one. */
  password_due_in_days?: number | null;
  /** Why this session is good for nothing but choosing a new password by a recovery: its time is over, or it is in a public leak. Null: it is a full session. */
  must_change?: "due" | "breached" | null;
  /** Replaces the recovery code that was the second step. Show it once: it can’t be shown again. */
  new_code?: string | null;
}

/** Who is locked out. The answer is the same whether anybody is meant or not. */
export interface Start {
  /** Registered mail address, username, or phone number, as typed. */
  identifier: string;
  /** What was lost. `locked`: the password is known, but the account is locked. `second_factor`: the phone or key for the second step. `mailbox`: the address that mails go to; nothing is mailed there. `username` mails the logins and asks for nothing more; `still_locked_out` is about why signing in fails. Default: `password`. */
  journey?: "password" | "locked" | "second_factor" | "mailbox" | "username" | "still_locked_out" | null;
  /** Only this system, by its name in the configuration. */
  system?: string | null;
  /** Language in which you go on, as a language tag (BCP 47) or a locale: English, Chinese (`zh-CN`, `zh-TW`) or Japanese. For others, and by default, Accept-Language decides. */
  locale?: string | null;
}

/** A recovery was written down. `secret` is given once and holds it. */
export interface Started {
  handle: string;
  /** Send it as `Authorization: Bearer`. */
  secret: string;
  status_url: string;
  expires_at: string;
}

/** Which step is done. */
export interface StepDone {
  step: "contacts" | "recent" | "second_step" | "manager" | "activity" | "systems";
}

/** Second steps in every system that lets Keyback see to them. */
export interface SystemFactors {
  accounts: FactorsOf[];
}

/** A sign-in as the system logged it. */
export interface SystemSignIn {
  at: string;
  ok: boolean;
  /** Network address, as the system has it. */
  source: string;
  /** Program and device, as the system has them. */
  client: string;
}

/** What only an administrator, or the person in the system itself, can do. */
export interface Task {
  id: string;
  state: "open" | "done" | "declined" | "over";
  /** Administrators were mailed. */
  asked: boolean;
  /** They can be asked now (`act` `ask`). */
  may_ask: boolean;
  /** Why it was declined, in an administrator's words. */
  reason: string;
}

/** `in`: the person is in. `ask`: an administrator is wanted (again). */
export interface TaskAct {
  act: "in" | "ask";
}

/** Signs in once, or until it ends. */
export interface TemporaryPass {
  /** Show it once; keep it nowhere. */
  secret: string;
  expires_at: string;
  once: boolean;
}

/** With `done` all are unlocked. Else `failed` has those that were not: try again, or choose a new password. */
export interface Unlocking {
  state: "done" | "password_due";
  unlocked: Account[];
  failed: Account[];
}

/** Nothing is proven yet. The same whether anybody is meant or not. */
export interface Waiting {
  state: "waiting";
  journey: "password" | "locked" | "second_factor" | "mailbox" | "username" | "still_locked_out";
  /** Codes that may still be tried here. */
  tries_left: number;
  /** From when on a further mail may be asked for. */
  resend_at: string;
  code_expires_at: string;
  expires_at: string;
  /** Show it: whoever opens the mailed link elsewhere types this number. None for `username` and `mailbox`, which mail no link. */
  number: number | null;
  /** What can be tried beside the mail: the same for everybody, so it says nothing about anyone. */
  proofs: Way[];
}

/** A way to prove who you are. `hint` is masked, and untrusted text; before anything is proven there is none. */
export interface Way {
  proof: string;
  /** What people call it. */
  title: string;
  /** Send it to choose among several of a kind; empty before anything is proven. */
  target: string;
  hint: string;
}

/** A message of the person. */
export interface WriteToDesk {
  /** At most 2000 characters, without passwords, codes, links, or numbers of documents. */
  text: string;
}

/** Every operation: what it takes and gives. */
export interface Operations {
  /** Start a recovery */
  startRecovery: { takes: { path: {}; query: {}; body: Start }; gives: Started };
  /** See where a recovery stands */
  getRecovery: { takes: { path: { handle: string }; query: {}; body: undefined }; gives: Waiting | PasswordDue | SecondStepDue | MailboxDue | NeedMore | Applying | Done | Ended };
  /** Ask for a further mail, or for another way to prove */
  startProof: { takes: { path: { handle: string, proof: string }; query: { target?: string }; body: undefined }; gives: Asked };
  /** Prove it with the mailed code, or answer another proof */
  verifyProof: { takes: { path: { handle: string, proof: string }; query: {}; body: Code }; gives: Proven };
  /** Choose the new password */
  choosePassword: { takes: { path: { handle: string }; query: {}; body: NewPassword }; gives: Applying | Done | PasswordDue | Ended | Applying };
  /** Stop a recovery */
  cancelRecovery: { takes: { path: { handle: string }; query: {}; body: undefined }; gives: Ended };
  /** Open locked accounts again without a new password */
  unlockAccounts: { takes: { path: { handle: string }; query: {}; body: undefined }; gives: Unlocking };
  /** Get a seed for a new authenticator app */
  startNewApp: { takes: { path: { handle: string }; query: {}; body: undefined }; gives: NewApp };
  /** Put the new authenticator app in place of what was lost */
  finishNewApp: { takes: { path: { handle: string }; query: {}; body: FirstCode }; gives: Done };
  /** Get a challenge for a new passkey */
  startNewPasskey: { takes: { path: { handle: string }; query: {}; body: undefined }; gives: NewPasskey };
  /** Put the new passkey in place of what was lost */
  finishNewPasskey: { takes: { path: { handle: string }; query: {}; body: MadePasskey }; gives: Done };
  /** Put a mailbox that was confirmed before in place of the lost one */
  chooseMailbox: { takes: { path: { handle: string }; query: {}; body: ChosenMailbox }; gives: Done };
  /** Have a code mailed to a new address */
  startNewMailbox: { takes: { path: { handle: string }; query: {}; body: NewMailbox }; gives: MailboxAsked };
  /** Put the new mailbox in place of the lost one */
  finishNewMailbox: { takes: { path: { handle: string }; query: {}; body: FirstCode }; gives: Done };
  /** After a new password, remove second steps that the person doesn't know */
  removeRecentFactors: { takes: { path: { handle: string }; query: {}; body: RecentFactors }; gives: RecentRemoved };
  /** Say that the person is in, or ask for an administrator */
  actOnTask: { takes: { path: { handle: string, task: string }; query: {}; body: TaskAct }; gives: void };
  /** See what keeps the person out */
  diagnoseRecovery: { takes: { path: { handle: string }; query: {}; body: undefined }; gives: Diagnosis };
  /** Go on to replace a second step that was lost in a system */
  replaceSecondStep: { takes: { path: { handle: string, account_id: string }; query: {}; body: undefined }; gives: Started };
  /** See the second steps in the person's systems */
  listSystemFactors: { takes: { path: { handle: string }; query: {}; body: undefined }; gives: SystemFactors };
  /** Remove a second step in a system */
  removeSystemFactor: { takes: { path: { handle: string, account_id: string }; query: {}; body: RemoveFactor }; gives: void };
  /** Get a pass for one sign-in to a system */
  showTemporaryPass: { takes: { path: { handle: string, account_id: string }; query: {}; body: undefined }; gives: TemporaryPass };
  /** See what became of a request for help */
  getOwnHelpRequest: { takes: { path: { handle: string }; query: {}; body: undefined }; gives: OwnHelpRequest };
  /** Ask the help desk for help */
  askForHelp: { takes: { path: { handle: string }; query: {}; body: AskForHelp }; gives: OwnHelpRequest };
  /** Confirm the address that answers go to */
  confirmHelpRequest: { takes: { path: { handle: string }; query: {}; body: HelpCode }; gives: OwnHelpRequest };
  /** Send a new code to the contact */
  resendHelpCode: { takes: { path: { handle: string }; query: {}; body: undefined }; gives: OwnHelpRequest };
  /** Write to the help desk */
  writeToHelpDesk: { takes: { path: { handle: string }; query: {}; body: WriteToDesk }; gives: OwnHelpRequest };
  /** Have a closed request looked at by somebody else */
  reopenHelpRequest: { takes: { path: { handle: string }; query: {}; body: WriteToDesk }; gives: OwnHelpRequest };
  /** Sign in to the built-in system */
  signIn: { takes: { path: {}; query: {}; body: SignIn }; gives: SignedIn };
  /** Finish a sign-in with its second step */
  takeSecondStep: { takes: { path: {}; query: {}; body: SecondStep }; gives: SignedIn };
  /** See whose session it is */
  getSession: { takes: { path: {}; query: {}; body: undefined }; gives: SessionInfo };
  /** End the session */
  signOut: { takes: { path: {}; query: {}; body: undefined }; gives: void };
  /** Judge a password before it is sent */
  checkPassword: { takes: { path: {}; query: {}; body: Candidate }; gives: Judged };
  /** See every account as its system knows it now */
  listAccounts: { takes: { path: {}; query: {}; body: undefined }; gives: AccountsNow };
  /** “Not mine”: end an application's access, and sign-ins */
  endAccess: { takes: { path: { account_id: string }; query: {}; body: EndAccess }; gives: AccessEnded };
  /** See the steps after a recovery */
  afterRecovery: { takes: { path: {}; query: {}; body: undefined }; gives: AfterRecovery };
  /** Tick off a step after a recovery */
  tickStep: { takes: { path: {}; query: {}; body: StepDone }; gives: void };
  /** See second steps and recovery codes */
  listFactors: { takes: { path: {}; query: {}; body: undefined }; gives: OwnFactors };
  /** Get a seed for an authenticator app */
  startApp: { takes: { path: {}; query: {}; body: undefined }; gives: NewApp };
  /** Add the authenticator app */
  finishApp: { takes: { path: { factor: string }; query: {}; body: FactorCode }; gives: FactorAdded };
  /** Get a challenge for a passkey */
  startPasskey: { takes: { path: {}; query: {}; body: undefined }; gives: NewPasskey };
  /** Add the passkey */
  finishPasskey: { takes: { path: { factor: string }; query: {}; body: AddedPasskey }; gives: FactorAdded };
  /** Make a new set of recovery codes */
  makeRecoveryCodes: { takes: { path: {}; query: {}; body: undefined }; gives: RecoveryCodes };
  /** Remove a second step, or all recovery codes */
  removeFactor: { takes: { path: { factor: string }; query: {}; body: undefined }; gives: void };
  /** Get a challenge for any passkey */
  startPasskeySignIn: { takes: { path: {}; query: {}; body: undefined }; gives: PasskeyAsked };
  /** Sign in with a passkey alone */
  signInByPasskey: { takes: { path: {}; query: {}; body: PasskeySignIn }; gives: SignedIn };
}

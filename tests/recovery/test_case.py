"""The recovery case under commands in any order (Hypothesis), and every pair of state and command."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from keyback.domain.errors import Refusal
from keyback.domain.policy.rules import Evidence, Policy, Risk, suffices
from keyback.domain.recovery import case as dc
from keyback.domain.recovery import events as ev
from keyback.domain.recovery.case import (
    ENDED,
    STOPPABLE,
    TRANSITIONS,
    AccountResult,
    Case,
    State,
    decide,
    evolve,
    fold,
)
from tests.support.each import each

T0 = 1_795_000_000_000
ACCOUNTS = ("a1", "a2", "a3")
KNOWN = Risk(known_device=True)
S = State
PROVEN = Evidence("email_link", "issued", "mail:c1", T0, "h1")

account_ids = st.sampled_from([*ACCOUNTS, "foreign"])
commands: st.SearchStrategy[Any] = st.one_of(
    st.builds(
        dc.Open,
        st.just("p1"),
        st.sampled_from(["password", "username"]),
        st.sampled_from(["standard", "mfa", "privileged"]),
        st.just(ACCOUNTS),
    ),
    st.builds(dc.Refresh, st.sampled_from(["standard", "mfa"]), st.sampled_from([ACCOUNTS, ACCOUNTS[:2]])),
    st.builds(dc.SendChallenge, st.sampled_from(["x1", "x2"]), st.just("h1"), st.just("c1")),
    st.builds(dc.WithholdMail, st.just("h1")),
    st.builds(
        dc.AcceptProof,
        st.sampled_from(["email_link", "sms_code", "passkey", "recovery_code", "security_questions"]),
        st.sampled_from(["issued", "saved", "contact", "bound", "proofing", "knowledge"]),
        st.sampled_from(["mail:c1", "mail:c2", "sms:c3", "key:k1"]),
        st.just("x1"),
        st.sampled_from(["h1", "h2"]),
        tier=st.sampled_from(["standard", "mfa"]),
        journey=st.sampled_from(["password", "second_factor", "mailbox"]),
        risk=st.builds(Risk, st.booleans(), st.booleans()),
    ),
    st.just(dc.Release()),
    st.builds(dc.Remedy, st.sampled_from(["unlocked", "factor_replaced"]), st.sampled_from(["h1", "h2"])),
    st.builds(
        dc.ChoosePassword,
        st.lists(
            st.tuples(st.sampled_from([*ACCOUNTS, "foreign"]), st.sampled_from(["j1", "j2", "j3"])), max_size=3
        ).map(tuple),
        st.sampled_from(["s1", "s2"]),
        st.sampled_from(["h1", "h2"]),
    ),
    st.builds(
        dc.Settle,
        st.sampled_from([*ACCOUNTS, "foreign"]),
        st.sampled_from(["working", "done", "yours", "desk", "unsure", "refused"]),
        st.sampled_from(["", "policy_rejected", "unavailable"]),
    ),
    st.builds(dc.SendLogins, st.just("h1"), st.just("c1")),
    st.builds(dc.Cancel, st.sampled_from(["owner", "requester", "operator"])),
    st.just(dc.Expire()),
    st.just(dc.Close()),
)


class AnyOrder(RuleBasedStateMachine):
    """Whatever comes, in whatever order and however late: nothing that must hold ever breaks."""

    def __init__(self) -> None:
        super().__init__()
        self.now = T0
        self.case = Case("k1")
        self.history: list[tuple[ev.CaseEvent, int]] = []
        self.done: dict[str, AccountResult] = {}

    def act(self, command: dc.Command) -> None:
        before = self.case
        try:
            happened = decide(before, command, self.now)
        except Refusal:
            return
        assert happened
        assert not before.ended, (before.state, command)
        for e in happened:
            self.case = evolve(self.case, e, self.now)  # the table knows every step that decide takes
            self.history.append((e, self.now))
            if self.case.state == S.APPLYING:
                assert any(suffices(self.case.shown_by(h), self.case.tier) for h in self.case.approved_for)

    @rule(command=commands)
    def anything(self, command: dc.Command) -> None:
        self.act(command)

    @rule(ms=st.sampled_from([1, dc.PASSWORD_TIME - 1, dc.PASSWORD_TIME, dc.CASE_LIFE - 1, dc.CASE_LIFE]))
    def time_passes(self, ms: int) -> None:
        self.now += ms

    # Nudges along the way, so that late states are reached often enough.

    @precondition(lambda self: self.case.version == 0)
    @rule(tier=st.sampled_from(["standard", "mfa"]))
    def opens(self, tier: Any) -> None:
        self.act(dc.Open("p1", "password", tier, ACCOUNTS))

    @precondition(lambda self: self.case.state in (S.REQUESTED, S.PROVING))
    @rule()
    def proves(self) -> None:
        self.act(dc.SendChallenge("x1", "h1", "c1"))
        self.act(dc.AcceptProof("email_link", "issued", "mail:c1", "x1", "h1"))
        self.act(dc.AcceptProof("recovery_code", "saved", "saved:f1", "x2", "h1"))

    @precondition(lambda self: self.case.state == S.ON_HOLD)
    @rule()
    def waits(self) -> None:
        self.now = max(until for _, until in self.case.waiting)
        self.act(dc.Release())

    @precondition(lambda self: self.case.state == S.APPROVED)
    @rule(which=st.sets(st.sampled_from(ACCOUNTS), min_size=1))
    def chooses(self, which: set[str]) -> None:
        self.act(
            dc.ChoosePassword(
                tuple((a, f"j/{a}/{self.case.version}") for a in sorted(which)), "s1", self.case.approved_for[0]
            )
        )

    @precondition(lambda self: self.case.state == S.APPLYING)
    @rule(code=st.sampled_from(["", "policy_rejected"]), result=st.sampled_from(["done", "refused", "yours"]))
    def settles(self, code: str, result: Any) -> None:
        self.act(dc.Settle(next(r.account_id for r in self.case.results if r.result != "done"), result, code))

    # ── what must hold ──────────────────────────────────────────────────────

    @invariant()
    def the_version_counts_events_and_history_folds_to_the_state(self) -> None:
        assert self.case.version == len(self.history)
        assert fold("k1", self.history) == self.case

    @invariant()
    def done_stays_done(self) -> None:
        now = {r.account_id: r for r in self.case.results}
        assert len(now) == len(self.case.results)
        for account, was in self.done.items():
            assert now.get(account) == was
        self.done.update({a: r for a, r in now.items() if r.result == "done"})

    @invariant()
    def one_choice_for_each_chance(self) -> None:
        kinds = [type(e) for e, _ in self.history]
        assert kinds.count(ev.PasswordChosen) <= 1 + kinds.count(ev.Reopened)
        assert bool(self.case.submission) == (kinds.count(ev.PasswordChosen) > kinds.count(ev.Reopened))

    @invariant()
    def only_own_accounts_have_results(self) -> None:
        assert {r.account_id for r in self.case.results} <= set(self.case.accounts)

    @invariant()
    def beyond_proving_there_is_enough_evidence(self) -> None:
        if any(isinstance(e, ev.Approved) for e, _ in self.history):
            assert self.case.approved_for
        for handle in self.case.approved_for:
            assert suffices(self.case.shown_by(handle), self.case.tier)

    @invariant()
    def what_has_ended_never_goes_on(self) -> None:
        ends = [i for i, (_, _) in enumerate(self.history) if fold("k1", self.history[: i + 1]).ended]
        assert ends in ([], [len(self.history) - 1])


TestAnyOrder = pytest.mark.covers("C22", "INV-I2", "INV-I1", "INV-I12")(AnyOrder.TestCase)
TestAnyOrder.settings = settings(
    max_examples=120, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


# ── every pair of state and command ─────────────────────────────────────────

ONE_OF_EACH: dict[str, dc.Command] = {
    "open": dc.Open("p1", "password", "standard", ACCOUNTS),
    "refresh": dc.Refresh("mfa", ACCOUNTS[:2]),
    "send": dc.SendChallenge("x1", "h1", "c1"),
    "withhold": dc.WithholdMail("h1"),
    "accept": dc.AcceptProof("email_link", "issued", "mail:c1", "x1", "h1", risk=KNOWN),
    "release": dc.Release(),
    "remedy": dc.Remedy("unlocked", "h1"),
    "choose": dc.ChoosePassword((("a1", "j1"),), "s9", "h1"),
    "settle": dc.Settle("a1", "done"),
    "logins": dc.SendLogins("h1", "c1"),
    "cancel": dc.Cancel("owner"),
    "expire": dc.Expire(),
    "close": dc.Close(),
}
# What each state answers to each command that it takes; every other pair is a refusal.
TAKES: dict[State, dict[str, tuple[type, ...]]] = {
    S.REQUESTED: {
        "send": (ev.ChallengeSent,),
        "withhold": (ev.MailWithheld,),
        "logins": (ev.LoginsSent, ev.Closed),
        "cancel": (ev.Cancelled,),
    },
    S.PROVING: {
        "refresh": (ev.Refreshed,),
        "send": (ev.ChallengeSent,),
        "withhold": (ev.MailWithheld,),
        "accept": (ev.ProofAccepted, ev.Approved),
        "logins": (ev.LoginsSent,),
        "cancel": (ev.Cancelled,),
    },
    S.IN_REVIEW: {
        "send": (ev.ChallengeSent,),
        "withhold": (ev.MailWithheld,),
        "accept": (ev.ProofAccepted, ev.Approved),
        "logins": (ev.LoginsSent,),
        "cancel": (ev.Cancelled,),
    },
    S.ON_HOLD: {
        "send": (ev.ChallengeSent,),
        "withhold": (ev.MailWithheld,),
        "accept": (ev.ProofAccepted, ev.Approved),
        "release": (ev.Approved,),
        "logins": (ev.LoginsSent,),
        "cancel": (ev.Cancelled,),
    },
    S.APPROVED: {
        "send": (ev.ChallengeSent,),
        "withhold": (ev.MailWithheld,),
        "accept": (ev.ProofAccepted,),
        "choose": (ev.PasswordChosen,),
        "remedy": (ev.Remedied, ev.Closed),
        "logins": (ev.LoginsSent,),
        "cancel": (ev.Cancelled,),
    },
    S.APPLYING: {"settle": (ev.AccountSettled, ev.Recovered, ev.Closed)},
    S.RECOVERED: {"settle": (ev.AccountSettled, ev.Closed), "close": (ev.Closed,)},
    **{s: {} for s in ENDED},
}


def case_in(state: State) -> Case:
    """A case in `state` as its way there leaves it: proven, chosen, with a result."""
    case = Case("k1", "p1", state=state, version=7, accounts=ACCOUNTS, opened_at=T0, expires_at=T0 + 1000)
    if state in (S.APPROVED, S.APPLYING, S.RECOVERED):
        case = replace(case, evidence=(PROVEN,), approved_for=("h1",))
    if state == S.ON_HOLD:
        case = replace(case, evidence=(PROVEN,), waiting=(("h1", T0),))
    if state in (S.APPLYING, S.RECOVERED):
        result: ev.Result = "working" if state == S.APPLYING else "yours"
        case = replace(case, submission="s1", results=(AccountResult("a1", "j1", result),))
    return case


@pytest.mark.covers("C22")
@each("name", ONE_OF_EACH)
@each("state", State)
def test_every_pair_of_state_and_command(state: State, name: str) -> None:
    expected = TAKES[state].get(name)
    if expected is None:
        with pytest.raises(Refusal):
            decide(case_in(state), ONE_OF_EACH[name], T0)
    else:
        assert tuple(type(e) for e in decide(case_in(state), ONE_OF_EACH[name], T0)) == expected


@pytest.mark.covers("C22")
@each("state", State)
def test_after_its_time_a_case_only_ends_or_finishes_what_was_begun(state: State) -> None:
    late = T0 + 1000
    case = case_in(state)
    for name in ("send", "accept", "choose", "remedy"):
        with pytest.raises(Refusal):
            decide(case, ONE_OF_EACH[name], late)
    if state in STOPPABLE:
        assert decide(case, dc.Expire(), late) == (ev.Expired(),)
    else:
        with pytest.raises(Refusal):
            decide(case, dc.Expire(), late)


def test_a_new_case_takes_nothing_but_open() -> None:
    assert len(decide(Case("k1"), ONE_OF_EACH["open"], T0)) == 1
    for name in ("accept", "choose", "settle", "close"):
        with pytest.raises(Refusal):
            decide(Case("k1"), ONE_OF_EACH[name], T0)


@pytest.mark.covers("C22")
def test_evolve_takes_nothing_that_the_table_does_not_know() -> None:
    some: dict[type, Any] = {
        ev.ChallengeSent: ev.ChallengeSent("x", "h", "c"),
        ev.MailWithheld: ev.MailWithheld("h"),
        ev.ProofAccepted: ev.ProofAccepted("email_link", "issued", "mail:c", "x", "h", True),
        ev.ReviewStarted: ev.ReviewStarted("r"),
        ev.HoldStarted: ev.HoldStarted(T0),
        ev.Approved: ev.Approved(),
        ev.Remedied: ev.Remedied("unlocked", "h1"),
        ev.PasswordChosen: ev.PasswordChosen((("a1", "j1"),), "s"),
        ev.AccountSettled: ev.AccountSettled("a1", "done"),
        ev.Reopened: ev.Reopened(),
        ev.LoginsSent: ev.LoginsSent("h", "c"),
        ev.Recovered: ev.Recovered(),
        ev.Failed: ev.Failed("r"),
        ev.Cancelled: ev.Cancelled("owner"),
        ev.Expired: ev.Expired(),
        ev.Rejected: ev.Rejected("r"),
        ev.Closed: ev.Closed(),
    }
    for state in State:
        for kind, event in some.items():
            known = TRANSITIONS.get((state, kind))
            if known is not None:
                assert evolve(case_in(state), event, T0).state == known
                continue
            with pytest.raises(Refusal):
                evolve(case_in(state), event, T0)


# ── applying ────────────────────────────────────────────────────────────────


def applying(*accounts: str) -> Case:
    case = case_in(S.APPROVED)
    return evolve(case, ev.PasswordChosen(tuple((a, f"j-{a}") for a in accounts), "s1"), T0)


def act(case: Case, command: dc.Command, now: int = T0) -> Case:
    for e in decide(case, command, now):
        case = evolve(case, e, now)
    return case


@pytest.mark.covers("INV-I12", "N18")
def test_a_refused_password_gives_one_more_chance_for_that_account_only() -> None:
    case = act(applying("a1", "a2"), dc.Settle("a1", "done"))
    late = case.expires_at - 1
    case = act(case, dc.Settle("a2", "refused", "policy_rejected"), late)
    assert (case.state, case.submission) == (S.APPROVED, "")
    assert case.expires_at == late + dc.PASSWORD_TIME  # time enough to think of another one
    with pytest.raises(Refusal, match="already_chosen"):
        decide(case, dc.ChoosePassword((("a1", "j9"),), "s2", "h1"), late)
    case = act(case, dc.ChoosePassword((("a2", "j9"),), "s2", "h1"), late)
    assert {(r.account_id, r.job_id, r.result) for r in case.results} == {
        ("a1", "j-a1", "done"),
        ("a2", "j9", "waiting"),
    }
    case = act(case, dc.Settle("a2", "done"), late)
    assert case.state == S.CLOSED


@each(
    ("results", "state"),
    [
        (("done", "done"), S.CLOSED),
        (("done", "refused"), S.CLOSED),
        (("done", "unsure"), S.CLOSED),
        (("refused", "refused"), S.FAILED),
        (("done", "yours"), S.RECOVERED),
        (("refused", "desk"), S.RECOVERED),
        (("done", "working"), S.APPLYING),
    ],
)
@pytest.mark.covers("N11", "INV-I12")
def test_partial_success_stays_visible(results: tuple[Any, Any], state: State) -> None:
    case = act(act(applying("a1", "a2"), dc.Settle("a1", results[0])), dc.Settle("a2", results[1]))
    assert (case.state, tuple(r.result for r in case.results)) == (state, results)


@pytest.mark.covers("E15")
def test_a_repeated_choice_is_told_from_another_one() -> None:
    case = applying("a1")
    for submission, same in (("s1", True), ("s2", False)):
        with pytest.raises(Refusal) as refused:
            decide(case, dc.ChoosePassword((("a1", "j2"),), submission, "h1"), T0)
        assert (refused.value.code, refused.value.values["same"]) == ("already_chosen", same)


@pytest.mark.covers("C22", "C20")
@each("jobs", [(), (("foreign", "j1"),), (("a1", "j1"), ("a1", "j2")), (("a1", "j1"), ("foreign", "j2"))])
def test_a_choice_names_own_accounts_once_each(jobs: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(Refusal, match="no_accounts"):
        decide(case_in(S.APPROVED), dc.ChoosePassword(jobs, "s1", "h1"), T0)


# ── holds, and more than one page on a case ─────────────────────────────────


def proving(tier: Any = "standard", *pages: str) -> Case:
    case = act(Case("k1"), dc.Open("p1", "password", tier, ACCOUNTS))
    for page in pages:
        case = act(case, dc.SendChallenge(f"x-{page}", page, "c1"))
    return case


def mail(page: str, **more: Any) -> dc.AcceptProof:
    return dc.AcceptProof("email_link", "issued", "mail:c1", f"x-{page}", page, **more)


@pytest.mark.covers("E2", "O-M1")
def test_a_hold_ends_by_time_or_by_a_second_proof() -> None:
    case = act(proving("standard", "h1"), mail("h1"))
    assert (case.state, case.hold_of("h1")) == (S.ON_HOLD, T0 + Policy().holds.stranger)
    with pytest.raises(Refusal):
        decide(case, dc.Release(), case.hold_of("h1") - 1)
    with pytest.raises(Refusal, match="not_enough_evidence"):
        decide(case, ONE_OF_EACH["choose"], T0)
    waited = act(case, dc.Release(), case.hold_of("h1"))
    assert waited.open_to("h1")
    assert waited.expires_at == case.hold_of("h1") + dc.AFTER_HOLD  # nobody sits and watches for the end of it
    proven = act(case, dc.AcceptProof("recovery_code", "saved", "saved:f1", "x2", "h1"))
    assert proven.open_to("h1")
    assert not proven.waiting


@pytest.mark.covers("E2", "INV-I3")
def test_a_page_goes_on_with_its_own_evidence_only() -> None:
    case = proving("mfa", "mine", "theirs")
    case = act(case, dc.AcceptProof("totp", "bound", "totp:f1", "x", "mine", risk=KNOWN))
    case = act(case, mail("theirs", risk=KNOWN))
    assert case.state == S.PROVING  # one of each, but shown by two
    case = act(case, mail("mine", risk=KNOWN))
    assert case.open_to("mine")
    assert not case.open_to("theirs")
    with pytest.raises(Refusal, match="not_enough_evidence"):
        decide(case, dc.ChoosePassword((("a1", "j1"),), "s1", "theirs"), T0)
    with pytest.raises(Refusal, match="not_enough_evidence"):
        decide(case, dc.Remedy("unlocked", "theirs"), T0)


@pytest.mark.covers("E2")
def test_somebody_else_s_hold_neither_stops_nor_carries_the_owner() -> None:
    case = act(proving("standard", "theirs", "mine"), mail("theirs"))
    case = act(case, mail("mine", risk=KNOWN))
    assert (case.open_to("mine"), case.open_to("theirs")) == (True, False)
    case = act(act(proving("standard", "mine", "theirs"), mail("mine", risk=KNOWN)), mail("theirs"))
    assert (case.state, case.open_to("theirs")) == (S.APPROVED, False)
    assert case.hold_of("theirs")


@pytest.mark.covers("E2")
def test_an_administrator_without_a_passkey_waits_for_a_second_operator() -> None:
    case = act(proving("privileged", "h1"), mail("h1", risk=KNOWN))
    case = act(case, dc.AcceptProof("totp", "bound", "totp:f1", "x2", "h1", risk=KNOWN))
    assert case.state == S.IN_REVIEW
    case = act(case, dc.AcceptProof("passkey", "bound", "passkey:f2", "x3", "h1", risk=KNOWN))
    assert case.open_to("h1")


def test_a_tier_that_rose_since_counts() -> None:
    case = act(proving("standard", "h1"), mail("h1", risk=KNOWN, tier="mfa"))
    assert case.state == S.PROVING


@pytest.mark.covers("C20", "INV-I9")
def test_who_joins_brings_what_the_person_has_now_until_something_was_accepted() -> None:
    case = act(proving("standard", "theirs"), dc.Refresh("privileged", ("a4",)))
    assert (case.tier, case.accounts) == ("privileged", ("a4",))
    with pytest.raises(Refusal, match="wrong_state"):
        decide(case, dc.Refresh("privileged", ("a4",)), T0)  # nothing new: no event
    case = act(case, mail("theirs"))
    with pytest.raises(Refusal, match="wrong_state"):
        decide(case, dc.Refresh("standard", ACCOUNTS), T0)


@pytest.mark.covers("INV-I9", "INV-I10")
def test_however_many_join_a_case_ends_two_days_after_it_began() -> None:
    case, hour = proving("standard", "h0"), 3_600_000
    for n in range(1, 47):
        case = act(case, dc.SendChallenge(f"x{n}", f"h{n}", "c1"), T0 + n * hour)
        assert case.expires_at == T0 + min(n + 24, 48) * hour
    held = act(case, mail("h1"), T0 + 47 * hour)
    assert held.expires_at > T0 + 48 * hour  # but what was proven is not cut short

"""English that people read has none of the phrases that we keep falling for; the glossary has the better ones.

To check more than the documents, add a reader to `SOURCES`; to forbid another phrase, add a row to `PHRASES`.
A word alone is forbidden only where it is never right in prose. Names in code, paths and examples are exempt.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from babel.messages.pofile import read_po

from tests.support import house
from tests.support.each import each
from tests.support.house import ROOT

GLOSSARY = ROOT / "docs" / "en" / "glossary.md"

# What is forbidden, what to write instead, and a text in which it is found.
PHRASES: list[tuple[str, str, str]] = [
    # the glossary
    (r"security centre", "security center", "They keep it in their security centre."),
    (r"prov(?:e|es|en|ed|ing) (?:that )?(?:it['’]s|it is|to be) you", "verify your identity", "Prove it’s you."),
    (r"prov(?:e|es|en|ed|ing) who (?:you|they|she|he)", "verify your identity", "Prove who you are."),
    (r"saved codes?", "recovery codes", "One saved code is enough."),
    (r"vouch(?:es|ed|ing)?", "confirm; who does so is a recovery contact", "A colleague who vouches for you."),
    (r"known browsers?|browsers? (?:that )?we know", "trusted browser", "It forgets all known browsers."),
    (r"links? (?:that |to )stops?", "a link that cancels it", "There is a link to stop it."),
    (r"(?:recovery|recoveries) (?:was|were|is|are) stopped", "the recovery was canceled", "A recovery was stopped."),
    (r"letters? (?:each|to (?:an?|the|others))|such letters|kinds? of letters?", "message, email", "One letter each."),
    (r"tak(?:e|es|en|ing) away", "remove", "What was added can be taken away."),
    # translated English
    (r"anew", "again, new", "Everybody has to enroll anew."),
    (r"for ever", "forever, indefinitely", "It is kept for ever."),
    (r"in vain", "without success", "It was tried in vain."),
    (r"somebody", "someone", "Somebody asks."),
    (r"nobody", "no one", "Nobody learns it."),
    (r"(?:works?|needs?|trusts? (?:it|them)) no more", "no longer works", "A link that works no more."),
    (r"(?:is|are|was) through", "was completed", "A recovery is through."),
    (r"com(?:e|es|ing) of age", "expire", "Your password comes of age."),
    (r"lies? (?:at|in|with|under|elsewhere|there)", "is in, is stored in", "The keyring lies elsewhere."),
    (r"stands? (?:in(?! for)|at|beside|behind|outside|elsewhere)", "is in, is", "What happened stands in the log."),
    (r"(?:is|are|was|were) looked at", "is checked", "Every answer is looked at."),
    (r"puts? (?:\w+ )?right|was put right", "fix, complete", "The help desk puts it right."),
    (r"sees? to it that", "make sure", "People see to it that they get back in."),
    (r"go(?:es)? on as above", "continue", "From there it goes on as above."),
    (r"(?:want|wants) a (?:host )?name", "need a host name", "For passkeys browsers want a name."),
    (r"(?:does|do|did) not fit", "isn't right", "That code does not fit."),
    (r"has been noted", "we've logged the problem", "It has been noted."),
    (r"there is none with", "… has this ID", "There is none with this id."),
    (r"say hello with", "host name sent in EHLO", "Name to say hello with."),
    (r"lets? go of", "close", "Lets go of every connection."),
    (r"the least that", "the minimum", "The least that is logged."),
    (r"send a request a second time", "retry", "Do not let the proxy send a request a second time."),
    (r"takes? no (?:write|mail|message)", "can't write, doesn't accept", "The relay takes no mail."),
    (r"that was too much", "that's too much text", "That was too much."),
    (r"not the same\.", "… don't match", "The two are not the same."),
    (r"is removed and", "removed", "It is removed and can be used by others."),
    # American spelling
    (r"licences?", "license", "Licence: Apache-2.0."),
    (r"cancell(?:ed|ing|able)", "canceled", "The recovery was cancelled."),
    (r"(?:behavio|colo|favo|hono|neighbo)ur\w*", "-or", "The behaviour stays."),
    (r"(?:recogni|organi|authori|minimi|normali|summari)s(?:e[sd]?|ing|ation)", "-ize", "We recognise the device."),
    (r"e-mails?", "email", "An e-mail comes."),
    (r"judgements?", "judgment", "A first judgement."),
]
RULES = [(re.compile(rf"\b(?:{pattern})(?!\w)", re.I), instead) for pattern, instead, _ in PHRASES]

ALLOWED = [
    "Security questions count for nothing.",
    "A capital letter and a digit.",
    "`/account/ways`, `/vouch` and `helper_added` are names; so is `cancelled`.",
    "Each license file, and everyone who wrote it.",
    "```sh\nkeyback case cancel --reason 'for ever'\n```",
]


def prose(text: str) -> str:
    """Markdown as one line of running text, without code and the addresses of links."""
    text = re.sub(r"\]\([^)]*\)", "]", house.without_code(text))
    return re.sub(r"\s+", " ", text)


def documents() -> Iterator[tuple[str, str]]:
    """Name and prose of what is written for English readers; generated pages, history and the glossary aside."""
    pages: list[Path] = [ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs" / "en").rglob("*.md"))]
    for path in pages:
        if path != GLOSSARY:
            yield path.relative_to(ROOT).as_posix(), prose(path.read_text("utf-8"))


def messages() -> Iterator[tuple[str, str]]:
    """Every text of pages, mails and text messages: English ones are the ids of the catalogs."""
    for path in sorted((ROOT / "src/keyback/locale/zh_CN").glob("*.po")):
        with path.open("rb") as f:
            for message in read_po(f):
                if isinstance(message.id, str) and message.id:
                    yield f"{path.name}: {message.id}", message.id


def reference() -> Iterator[tuple[str, str]]:
    """What commands and settings say of themselves; both pages are made from the code. Choices are names."""
    for name in ("cli.md", "settings.md"):
        text = (ROOT / "docs" / name).read_text("utf-8")
        yield name, prose(re.sub(r"\[\w+(?:\\\|\w+)+\]", "[]", text))


SOURCES: dict[str, Callable[[], Iterator[tuple[str, str]]]] = {
    "documents": documents,
    "messages": messages,
    "reference": reference,
}


def found(text: str) -> list[str]:
    """Each forbidden phrase of a text with its surroundings, and what to write instead."""
    return [
        f"…{text[max(0, m.start() - 30) : m.end() + 20]}… → {instead}"
        for rule, instead in RULES
        for m in rule.finditer(text)
    ]


@each("source", list(SOURCES))
def test_nothing_that_people_read_has_a_forbidden_phrase(source: str) -> None:
    texts = list(SOURCES[source]())
    assert texts, "nothing was read"
    assert {place: hits for place, text in texts if (hits := found(text))} == {}


@each("pattern, instead, planted", PHRASES)
def test_a_planted_phrase_is_found_also_over_a_line_break(pattern: str, instead: str, planted: str) -> None:
    assert any(hit.endswith(f"→ {instead}") for hit in found(prose(planted))), pattern
    assert found(prose(planted.replace(" ", "\n"))) == found(prose(planted))


@each("text", ALLOWED)
def test_names_and_near_misses_are_left_alone(text: str) -> None:
    assert found(prose(text)) == []


def test_every_guide_is_read() -> None:
    names = {name for name, _ in documents()}
    assert {"README.md", "SECURITY.md", "docs/en/operations.md", "docs/en/security-model.md"} <= names
    assert "docs/en/glossary.md" not in names

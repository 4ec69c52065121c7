"""The company's face in mails."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from keyback.application.ports.channels import Message
from keyback.application.ports.messages import RecoveryMessage
from keyback.channels.mail.composer import MailComposer
from keyback.domain.secret import Secret
from keyback.settings_brand import Brand
from keyback.settings_file import Unsafe
from tests.support.pictures import png

BASE = "https://id.qingyu.example.com"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 40"><path d="M0 0h120v40z"/></svg>'
OURS = ("#0d5a4b", "#7ccfb8", "#06231c", "#14312a", "#e2efea")


def mail(brand: Brand, locale: str = "en") -> EmailMessage:
    names = {"en": "Qingyu Instruments", "zh_CN": "青屿仪器"}
    composer = MailComposer(names, "keyback@example.com", names, "Asia/Shanghai", BASE, face=brand.face())
    content = RecoveryMessage(
        username="maya.okafor",
        source="203.0.113.7",
        device="",
        asked_at=0,
        asker="stranger",
        challenge="c",
        case="k",
        link=Secret(f"{BASE}/l/abc"),
        stop_link=Secret(f"{BASE}/l/def"),
        code=Secret("48271905"),
        link_expires_at=3_600_000,
        code_expires_at=600_000,
    )
    message = Message("id1", "maya@example.com", "Maya", locale, 0, 600_000, content)
    read = email.message_from_bytes(composer.compose(message).data, policy=email.policy.default)
    assert isinstance(read, EmailMessage)
    assert not read.defects
    return read


def html(read: EmailMessage) -> str:
    part = read.get_body(("html",))
    assert part is not None
    return str(part.get_content())


def test_without_a_brand_a_mail_is_as_it_was() -> None:
    read = mail(Brand())
    assert [p.get_content_type() for p in read.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    assert all(color in html(read) for color in OURS)
    assert "<img" not in html(read)
    assert "tel:" not in html(read)


def test_a_logo_travels_inside_the_mail(tmp_path: Path) -> None:
    (tmp_path / "logo.png").write_bytes(png(240, 48))
    read = mail(Brand(logo=tmp_path / "logo.png"))
    kinds = ["multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png"]
    assert [p.get_content_type() for p in read.walk()] == kinds
    logo = list(read.walk())[-1]
    assert logo.get_payload(decode=True) == png(240, 48)
    assert logo["Content-ID"] == "<logo@example.com>"
    assert logo.get_content_disposition() == "inline"
    assert '<img src="cid:logo@example.com" width="160" height="32" alt=""' in html(read)
    assert "Qingyu Instruments</p>" in html(read)
    assert all(p.get_boundary() is None or p.get_boundary() not in html(read) for p in read.walk())
    shows = html(mail(Brand(logo=tmp_path / "logo.png", logo_has_name=True)))
    assert 'alt="Qingyu Instruments"' in shows
    assert "Qingyu Instruments</p><p" not in shows


def test_an_svg_stays_on_pages_and_a_png_for_mails_goes_with_it(tmp_path: Path) -> None:
    (tmp_path / "logo.svg").write_bytes(SVG)
    (tmp_path / "logo.png").write_bytes(png(60, 60))
    assert "<img" not in html(mail(Brand(logo=tmp_path / "logo.svg")))
    both = Brand(logo=tmp_path / "logo.svg", mail_logo=tmp_path / "logo.png")
    assert 'width="36" height="36"' in html(mail(both))
    with pytest.raises(Unsafe, match=r"brand.mail_logo: .*logo.svg is no PNG"):
        Brand(mail_logo=tmp_path / "logo.svg").face()


def test_mails_have_the_companys_colors_number_and_footer() -> None:
    brand = Brand(
        accent="#1a5fb4", helpdesk_tel="+86 755 8888 0000", footer={"en": "Qingyu, *Shenzhen*.", "zh_CN": "备案号 1"}
    )
    read = mail(brand)
    shows = html(read)
    assert not any(color in shows for color in OURS)
    face = brand.face()
    assert face.dark
    assert 'bgcolor="#1a5fb4"' in shows
    assert f".k-button {{ background: {face.dark.accent} !important; }}" in shows
    assert '<a class="k-link" href="tel:+8675588880000"' in shows
    assert "Qingyu, <em>Shenzhen</em>.</p>" in shows
    text = read.get_body(("plain",))
    assert text is not None
    end = text.get_content().replace("\r\n", "\n").partition("\n-- \n")[2]
    assert "Call +86 755 8888 0000" in end
    assert end.endswith("\n\nQingyu, Shenzhen.\n")
    assert "备案号 1" in html(mail(brand, "zh_CN"))
    assert "备案号 1" in html(mail(brand, "zh_TW")), "the nearest that there is"

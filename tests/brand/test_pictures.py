"""Logos: what is served, and why the rest is not."""

from __future__ import annotations

import zlib

import pytest

from keyback.domain.brand.pictures import MAX_BYTES, PNG, BadPicture, read_picture
from tests.support.each import each

XLINK = 'xmlns:xlink="http://www.w3.org/1999/xlink"'
SVG = f'<svg xmlns="http://www.w3.org/2000/svg" {XLINK} viewBox="0 0 {{w}} {{h}}">{{in_}}</svg>'


def svg(inside: str = '<path d="M0 0h32v32z"/>', w: float = 64, h: float = 32) -> bytes:
    return SVG.format(w=w, h=h, in_=inside).encode()


def chunk(name: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")


def png(width: int = 64, height: int = 32, *more: tuple[bytes, bytes], end: bytes = b"") -> bytes:
    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x00\x00\x00\x00"
    rows = zlib.compress(b"\x00" * (width + 1) * height)
    chunks = [(b"IHDR", head), *more, (b"IDAT", rows), (b"IEND", b"")]
    return PNG + b"".join(chunk(*c) for c in chunks) + end


def test_what_shows_is_taken() -> None:
    found = read_picture(svg())
    assert (found.kind, found.width, found.height, found.square) == ("svg", 64, 32, False)
    found = read_picture(png(40, 40))
    assert (found.kind, found.width, found.height, found.square) == ("png", 40, 40, True)
    assert found.body == png(40, 40)


def test_sizes_are_read_as_drawing_programs_write_them() -> None:
    for size, width in (('width="10mm" height="5mm"', 38), ('width="2in" height="96"', 192)):
        raw = f'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" {size}><g/></svg>'.encode()
        assert read_picture(raw).width == width
    assert read_picture(svg(w=1e5, h=5e4)).width == 2048


def test_an_export_of_a_drawing_program_is_taken() -> None:
    inside = (
        '<sodipodi:namedview xmlns:sodipodi="http://sodipodi.sourceforge.net/DTD/sodipodi-0.dtd"/>'
        "<metadata><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'/></metadata>"
        '<defs><linearGradient id="a"><stop offset="0"/></linearGradient><style>.b{fill:url(#a)}</style></defs>'
        '<use xlink:href="#c"/><path id="c" class="b" style="fill:url( \'#a\' )" d="M0 0"/>'
    )
    assert read_picture(svg(inside)).body == svg(inside)


@each(
    "inside, why",
    [
        ("<script>alert(1)</script>", "<script>"),
        ("<ScRiPt/>", "<ScRiPt>"),
        ('<path onclick="x()"/>', "onclick"),
        ('<path ONLOAD="x()"/>', "onload"),
        ("<foreignObject><p>x</p></foreignObject>", "<foreignObject>"),
        ('<g><p xmlns="http://www.w3.org/1999/xhtml">x</p></g>', "<p>"),
        ('<image href="data:image/png;base64,AAAA"/>', "<image>"),
        ('<use href="https://example.com/x.svg#a"/>', "href"),
        ('<use xlink:href="data:image/svg+xml,x"/>', "href"),
        ('<a href="javascript:alert(1)"><path/></a>', "<a>"),
        ('<set attributeName="href" to="x"/>', "<set>"),
        ('<animate attributeName="d"/>', "<animate>"),
        ('<path style="fill:url(https://example.com/a)"/>', "outside"),
        ('<path fill="url( &quot;//example.com&quot;)"/>', "outside"),
        ("<style>@import 'https://example.com/a.css';</style>", "outside"),
        ("<style>.a{fill:u\\72l(https://example.com)}</style>", "outside"),
        ("<style>.a{background:<![CDATA[url(//example.com)]]>}</style>", "outside"),
        ("<?xml-stylesheet href='https://example.com/a.css'?>", "instruction"),
        ('<g xml:base="https://example.com/"/>', "base"),
        ("<g>", "well-formed"),
        ('<path d="&hack;"/>', "well-formed"),
    ],
)
def test_an_svg_that_acts_or_fetches_is_refused(inside: str, why: str) -> None:
    with pytest.raises(BadPicture, match=why.replace("?", "[?]")):
        read_picture(svg(inside))


@each(
    "raw, why",
    [
        (b'<!DOCTYPE svg [<!ENTITY a "x">]>' + svg(), "document type"),
        (b"<html><svg></svg></html>", "no SVG"),
        (b"<svg/>", "no SVG"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "how large"),
        (b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 -1 nan"/>', "how large"),
        (svg(w=1100, h=100), "10 times"),
        (svg("<!--" + "x" * MAX_BYTES + "-->"), "64 KiB"),
        (b"GIF89a", "neither SVG nor PNG"),
        (b"", "neither SVG nor PNG"),
        (png(8, 32), "8 × 32"),
        (png(4096, 4000)[:200], "damaged"),
        (png(64, 32, (b"acTL", b"\0" * 8)), "moves"),
        (png()[:-6], "damaged"),
        (png()[:40] + b"x" + png()[41:], "damaged"),
        (PNG + chunk(b"IEND", b""), "damaged"),
        (PNG, "damaged"),
    ],
)
def test_other_files_are_refused_with_the_reason(raw: bytes, why: str) -> None:
    with pytest.raises(BadPicture, match=why):
        read_picture(raw)


def test_a_png_is_served_without_what_says_nothing_of_the_picture() -> None:
    found = read_picture(png(64, 32, (b"tEXt", b"Author\0Maya"), (b"gAMA", b"\0\0\xb1\x8f"), end=b"<script>"))
    assert found.body == png(64, 32, (b"gAMA", b"\0\0\xb1\x8f"))

"""Keys of a section of kind `http`, and where its recipe comes from."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from keyback.connectors.base import ConnectorOptions
from keyback.connectors.http.wording import Mistake, Said
from keyback.domain.secret import Secret
from keyback.locale import N_

MAX_RECIPE: Final = 64 * 1024
SHIPPED: Final = files("keyback.connectors.http").joinpath("recipes")


class NotText(ValueError):
    """A recipe's file is no UTF-8; `mistake` has the line."""

    def __init__(self, recipe: str, mistake: Mistake) -> None:
        super().__init__(f"recipe: {recipe}: {mistake}")
        self.mistake = mistake


class HttpConnectorOptions(ConnectorOptions):
    """Keys of an http section.

    Args:
        recipe: name of a recipe that comes with Keyback, or the path of a file of your own.
        login: user that Keyback signs in as, where the recipe asks for one.
        values: what the recipe leaves to you, by name.
        privileged: usernames or ids that Keyback leaves alone, besides those that the recipe recognizes.
    """

    recipe: Annotated[str, Field(min_length=1, max_length=1000)]
    login: str = ""
    values: dict[str, str] = Field(default_factory=dict)
    privileged: list[str] = Field(default_factory=list)

    def secret_or_none(self) -> Secret | None:
        """The secret, None where the section has none. Raises as `read_secret`."""
        return self.read_secret() if self.secret or self.secret_file else None


def shipped() -> Mapping[str, str]:
    """The recipes that come with Keyback: text by name."""
    found = sorted((p for p in SHIPPED.iterdir() if p.name.endswith(".toml")), key=lambda p: p.name)
    return {p.name.removesuffix(".toml"): p.read_text(encoding="utf-8") for p in found}


def read_recipe(recipe: str) -> str:
    """The text of a recipe, by its name or path. Raises `ValueError` saying what to do, `NotText` with the line, or
    `OSError`."""
    if "/" not in recipe and not recipe.endswith(".toml"):
        ours = shipped()
        if recipe not in ours:
            known = ", ".join(ours)
            raise ValueError(f"recipe: none is called {recipe!r}; there are {known}, or give the path of a file")
        return ours[recipe]
    path = Path(recipe)
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):  # a pipe that nobody writes to would never open
        raise ValueError(f"recipe: {recipe} is no file")
    with path.open("rb") as f:
        if mode & stat.S_IWOTH:
            raise ValueError(
                f"recipe: everybody may write {recipe}, and it says where passwords go: chmod o-w {recipe}"
            )
        data = f.read(MAX_RECIPE + 1)
    if len(data) > MAX_RECIPE:
        raise ValueError(f"recipe: {recipe} is longer than {MAX_RECIPE} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        raise NotText(recipe, Mistake(data.count(b"\n", 0, e.start) + 1, "", (_encoded(data),))) from None


def _encoded(data: bytes) -> Said:
    """How a file is written that is no UTF-8, as far as that can be told."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return Said(N_("the file is UTF-16; save it as UTF-8"))
    try:
        data.decode("gbk")
    except UnicodeDecodeError:
        return Said(N_("the file is not UTF-8; save it as UTF-8"))
    return Said(N_("the file is not UTF-8 but, it seems, GBK; save it as UTF-8"))

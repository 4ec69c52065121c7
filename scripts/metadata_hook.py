"""The README in a package's metadata: its links lead to the web, since the files that they name aren't beside it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

PAGES = "https://keyback.example.com/source/"
LINK = re.compile(r"(\]\()(?![a-z]+:|#)([^)\s]+)(\))")


class Readme(MetadataHookInterface):
    """Hatchling makes one for each build."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Fills in `readme`, which pyproject.toml calls dynamic."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": absolute(text)}


def absolute(text: str) -> str:
    """Links to files of the source archive as links to the web."""
    return LINK.sub(rf"\g<1>{PAGES}\g<2>\g<3>", text)

"""For MkDocs: pages are read in the repository, too, where they link to files that the site doesn't have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

LINK = re.compile(r"(?<!!)\[([^\]\n]+)\]\(((?:\.\./)+[^)\s#]*|[^)\s#:]+)(#[^)\s]*)?\)")


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Leaves of a link out of `docs`, or to a folder, its words alone."""
    docs = Path(config["docs_dir"]).resolve()
    here = docs / Path(page.file.src_uri).parent

    def kept(link: re.Match[str]) -> str:
        target = (here / link[2]).resolve()
        return link[0] if target.is_file() and target.is_relative_to(docs) else link[1]

    return LINK.sub(kept, markdown)

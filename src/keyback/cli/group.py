"""All commands. Each is imported when it is run or listed: importing all takes longer than most of them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click


class Keyback(click.Group):
    """Turns what we refuse and what can fail into one sentence and exit code 1.

    Args:
        where: by name, `module:attribute` of a command.
    """

    def __init__(self, *args: Any, where: Mapping[str, str], **more: Any) -> None:
        self._where, self._loaded = where, dict[str, click.Command]()
        super().__init__(*args, **more)

    @property
    def commands(self) -> dict[str, click.Command]:
        """All of them, which imports all of them."""
        for name in self._where:
            self.get_command(None, name)
        return self._loaded

    @commands.setter
    def commands(self, value: object) -> None:
        """What click begins with is empty."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self._where)

    def get_command(self, ctx: click.Context | None, cmd_name: str) -> click.Command | None:
        if cmd_name in self._where and cmd_name not in self._loaded:
            module, _, attribute = self._where[cmd_name].partition(":")
            self._loaded[cmd_name] = getattr(importlib.import_module(module), attribute)
        return self._loaded.get(cmd_name)

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        try:
            return super().make_context(*args, **extra)  # writes the help
        except BrokenPipeError:
            from keyback.cli.common import leave

            leave()

    def invoke(self, ctx: click.Context) -> Any:
        from keyback.cli.common import in_words  # which every command imports, and the help does not need

        with in_words(ctx):
            return super().invoke(ctx)

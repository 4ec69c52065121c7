"""`keyback completion`, `keyback man`: what a shell and `man` read, made of the commands and settings themselves."""

from __future__ import annotations

import importlib

import click
from click.shell_completion import get_completion_class

from keyback.cli.manual import PAGES

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Write the completion script of SHELL.

    For bash: keyback completion bash > ~/.local/share/bash-completion/completions/keyback. For zsh write it as _keyback
    into a folder of $fpath, for fish as ~/.config/fish/completions/keyback.fish. The Debian package brings all three.
    """
    made = get_completion_class(shell)
    assert made is not None
    # Its own `source()` would start bash to ask for its version.
    maker = made(importlib.import_module("keyback.cli").main, {}, "keyback", "_KEYBACK_COMPLETE")
    click.echo(maker.source_template % maker.source_vars())


@click.command("man")
@click.argument("page", type=click.Choice(PAGES), default=PAGES[0])
def man(page: str) -> None:
    """Write a manual page: keyback(1), or keyback.toml(5) with every setting.

    To read one: keyback man keyback.toml | man -l -
    """
    click.echo(importlib.import_module("keyback.cli.manual").manual(page), nl=False)

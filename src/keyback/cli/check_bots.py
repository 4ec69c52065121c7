"""What `keyback check` finds of bots in chat services: their settings, and whether Feishu takes our credentials."""

from __future__ import annotations

from keyback.application.ports.connectors import Unavailable
from keyback.bootstrap_bots import make_bots
from keyback.channels.bots.feishu import FeishuBot
from keyback.cli.check_syncs import Finding
from keyback.settings import Settings, Unsafe


async def look(s: Settings) -> list[Finding]:
    """A line for each bot; none where there is none."""
    try:
        bots = make_bots(s)
    except Unsafe as e:
        return [Finding("bots", "bad", str(e), "Correct that section. Keyback doesn't start with it.")]
    found = []
    for name, bot in bots.items():
        at = f"{s.public_url}/api/hooks/bots/{name}"
        try:
            if isinstance(bot, FeishuBot):
                await bot.check()
            found.append(Finding(f"bot {name}", "ok", f"takes messages at {at}"))
        except Unavailable as e:
            cure = f"Check bots.{name}.app_id and secret_file, and that this machine may reach bots.{name}.url."
            found.append(Finding(f"bot {name}", "bad", f"the service gives no access token: {e}", cure))
        finally:
            await bot.close()
    return found

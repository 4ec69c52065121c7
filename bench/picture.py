"""The picture of the documents: `python -m bench.picture FILE OUT.svg`, FILE being what `scripts/bench --only scale`
writes with `--json`."""

from __future__ import annotations

import json
import math
import statistics
import sys
from pathlib import Path

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 320, 64, 24, 24, 48
STYLE = """<style>text { font: 13px system-ui, sans-serif; fill: #555 } path { fill: none; stroke: #888 }
.line, .span { stroke: #1a8a6c } .line { stroke-width: 2 } circle { fill: #1a8a6c }
@media (prefers-color-scheme: dark) { text { fill: #bbb } }</style>"""


def measured(lines: list[dict[str, object]]) -> dict[int, list[float]]:
    """CPU microseconds of each round, by the number of people."""
    raws = [line["raw"] for line in lines]
    return {int(r["people"]): list(r["rounds"]) for r in raws if isinstance(r, dict) and "people" in r}


def draw(figures: dict[int, list[float]]) -> str:
    """People on a logarithmic axis, CPU of a request from zero on; a point for the median, a line for all rounds."""
    sizes = sorted(figures)
    low, high = math.log10(sizes[0]), math.log10(sizes[-1])
    most = max(max(f) for f in figures.values())
    step = next(s for s in (50, 100, 200, 500, 1000, 2000, 5000, 10_000) if most / s <= 6)
    top = step * math.ceil(most / step)

    def x(n: int) -> float:
        return round(LEFT + 16 + (math.log10(n) - low) / max(high - low, 1e-9) * (WIDTH - LEFT - RIGHT - 48), 1)

    def y(us: float) -> float:
        return round(HEIGHT - BOTTOM - us / top * (HEIGHT - TOP - BOTTOM), 1)

    middle = {n: statistics.median(figures[n]) for n in sizes}
    told = ", ".join(f"{n:,}: {middle[n]:.0f}" for n in sizes)
    title = f"CPU microseconds of a request, from accepting to mail, by number of people. {told}"
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="t">',
        f'<title id="t">{title}</title>',
        STYLE,
    ]
    for us in range(0, top + 1, step):
        out.append(f'<path stroke-opacity=".3" d="M{LEFT} {y(us)}H{WIDTH - RIGHT}"/>')
        out.append(f'<text x="{LEFT - 8}" y="{y(us) + 4}" text-anchor="end">{us:,}</text>')
    out.append(f'<path class="line" d="M{"L".join(f"{x(n)} {y(middle[n])}" for n in sizes)}"/>')
    for n in sizes:
        out.append(f'<path class="span" d="M{x(n)} {y(min(figures[n]))}V{y(max(figures[n]))}"/>')
        out.append(f'<circle cx="{x(n)}" cy="{y(middle[n])}" r="4"/>')
        out.append(f'<text x="{x(n)}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{n:,}</text>')
    out.append(
        f'<text x="4" y="14">µs</text><text x="{WIDTH - RIGHT}" y="{HEIGHT - 8}" text-anchor="end">people</text>'
    )
    return "\n".join([*out, "</svg>", ""])


def main(source: str, target: str) -> None:
    lines = json.loads(Path(source).read_text(encoding="utf-8"))["lines"]
    Path(target).write_text(draw(measured(lines)), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])

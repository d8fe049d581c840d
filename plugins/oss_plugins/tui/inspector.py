"""What a turn did, and what the next one is made with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from oss.turn.untrusted import clean, printable
from oss_plugins.tui.links import Link, passage_link
from oss_plugins.tui.slider import Slider

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult
    from textual.widget import Widget

    from oss.profile import ResolvedProfile
    from oss.turn.ingredients import Ingredients
    from oss_plugins.tui.records import Record, ToolUse

PERSONA_LINES = 6


class Inspector(VerticalScroll, can_focus=False):
    """Sections of facts; the numbers of the turn first."""

    def compose(self) -> ComposeResult:
        for name in ("turn", "passages", "tools", "adapters", "persona", "profile"):
            yield Vertical(id=f"about-{name}", classes="section")

    async def show_turn(self, record: Record | None) -> None:
        """The facts of one turn."""
        if record is None:
            await self._section("turn", "Turn", [Static(Content.styled("none yet", "dim"))])
            await self._section("passages", "Passages", [])
            await self._section("tools", "Tools", [])
            return
        await self._section("turn", "Turn", [Static(_numbers(record))])
        passages: list[Static] = [passage_link(n, p) for n, p in enumerate(record.passages, 1)]
        left = len(record.left_out)
        if left:
            passages.append(Static(Content.styled(f"{left} more did not fit", "dim")))
        await self._section("passages", "Passages", passages)
        await self._section("tools", "Tools", [_tool(use) for use in record.tools])

    async def show_made(self, made: Ingredients, scales: dict[str, float]) -> None:
        """What the next turn is made with.

        :param scales: in place of those that the adapters were opened with.
        """
        wanted = [(a.name, scales.get(a.name, a.scale)) for a in made.adapters]
        if wanted != [(slider.label, slider.value) for slider in self.query(Slider)]:
            sliders = [Slider(name, scale) for name, scale in wanted]
            await self._section("adapters", "Adapters", sliders)
        self.query_one("#about-adapters").display = bool(wanted)
        system = made.opening[0].content if made.opening else ""
        await self._section("persona", _persona_title(made), [_persona(system)] if system else [])
        await self._section(
            "profile",
            f"Profile {made.resolved.name}",
            [
                Static(_profile(made.resolved, everything=False)),
                Link(
                    Content.styled("every value", "underline"),
                    f"Profile {made.resolved.name}",
                    _profile(made.resolved, everything=True).plain,
                ),
            ],
        )

    async def _section(self, name: str, title: str, parts: Sequence[Widget]) -> None:
        section = self.query_one(f"#about-{name}", Vertical)
        section.display = bool(parts)
        async with self.batch():
            await section.remove_children()
            if parts and section.is_attached:  # not where the application ends
                await section.mount(Static(Content(printable(title)), classes="heading"), *parts)


def _numbers(record: Record) -> Content:
    usage, timings = record.usage, record.timings
    rows = [("model", record.model), ("engine", record.backend)]
    if record.profile:
        rows.append(("profile", record.profile))
    if record.persona:
        rows.append(("persona", record.persona))
    if usage.prompt_tokens:
        total = usage.total_tokens
        share = f" of {record.context} ({total * 100 // record.context}%)" if record.context else ""
        rows.append(("context", f"{total}{share}"))
        rows.append(("prompt", f"{usage.prompt_tokens} tokens"))
        rows.append(("cached", f"{usage.cached_tokens} tokens"))
        rows.append(("answer", f"{usage.completion_tokens} tokens"))
        rows.append(("speed", f"{timings.tokens_per_second(usage):.1f} tokens/s"))
        rows.append(("first", f"{timings.first_token_s:.2f} s"))
    if timings.load_s:
        rows.append(("load", f"{timings.load_s:.2f} s"))
    if record.finish_reason:
        rows.append(("ended by", record.finish_reason))
    parts: list[str | tuple[str, str]] = []
    for name, value in rows:
        parts += [(f"{name:9}", "dim"), printable(value), "\n"]
    for line in record.notices:
        parts += [(f"· {printable(line)}\n", "$warning")]
    return Content.assemble(*parts[:-1] if parts[-1] == "\n" else parts)


def _tool(use: ToolUse) -> Link:
    name, arguments = clean(use.call.name), clean(use.call.arguments)
    mark = "…" if use.result is None else "✗" if use.failed else "✓"
    text = f"{arguments}\n\n{clean(use.result or '')}"
    return Link(Content.assemble(f"{mark} {name} ", (arguments[:60], "dim")), name, text)


def _persona_title(made: Ingredients) -> str:
    return f"Persona {made.persona}" if made.persona else "System text"


def _persona(system: str) -> Link:
    lines = printable(system).strip().splitlines()
    text = "\n".join(lines[:PERSONA_LINES]) + ("\n…" if len(lines) > PERSONA_LINES else "")
    return Link(Content.styled(text, "dim"), "System text", system)


def _profile(resolved: ResolvedProfile, *, everything: bool) -> Content:
    from oss.profile.resolve import DEFAULT, flatten
    from oss.profile.toml_file import dotted

    parts: list[str | tuple[str, str]] = []
    for key, value in flatten(resolved.profile):
        origin = resolved.origins[dotted(key)]
        if not everything and (origin == DEFAULT or key == ("description",)):
            continue
        empty = value is None or value in ((), {})
        shown = "-" if empty else json.dumps(value, ensure_ascii=False)
        parts += [f"{dotted(key)} = {printable(shown)}", (f"  {origin}\n", "dim")]
    return Content.assemble(*parts)

"""Two lines that say how things stand: what one talks to, and what just happened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from textual.content import Content
from textual.widgets import Static

if TYPE_CHECKING:
    from oss.contracts.errors import OssError
    from oss.turn.talk import Talk


class Status(Static):
    """At the top: profile, model, persona, adapters, and what goes on."""

    def show(self, talk: Talk | None, doing: str = "", *, kept: bool = True) -> None:
        """How it stands now.

        :param doing: what goes on, in a word.
        :param kept: whether what is said is kept.
        """
        parts: list[str | tuple[str, str]] = []
        if talk is not None and talk.ready:
            from oss.turn.untrusted import printable

            made = talk.made
            parts += [(made.resolved.name, "bold $primary")]
            # A path is named by its file: the line is short.
            parts += [f"  {printable(Path(made.choice.model.name).name)}"]
            if made.persona and made.persona != made.resolved.name:
                parts += [f"  as {printable(made.persona)}"]
            if made.adapters:
                parts += ["  with ", printable(", ".join(a.name for a in made.adapters))]
            if talk.attached:
                files = f"{len(talk.attached)} file" + "s" * (len(talk.attached) > 1)
                parts += [(f"  +{files}", "$accent")]
            if not kept:
                parts += [("  not kept", "$accent")]
            if doing == "answering" and not talk.chat.session.ready:
                doing = "loading the model"
        else:
            parts += [("oss", "bold $primary")]
        if doing:
            parts += [(f"  {doing}…", "$accent")]
        self.update(Content.assemble(*parts))


BUSY = "an answer is coming: Esc stops it"


class Told(Static):
    """Above the prompt: a remark, or an error with its hint; nothing, where there is neither.

    :ivar line: the remark.
    """

    line = ""

    def tell(self, line: str) -> None:
        """A remark; an empty one takes the last away."""
        from oss.turn.untrusted import printable

        self.line = line
        self.update(Content(printable(line)))
        self.set_class(False, "-error")
        self.set_class(bool(line), "-shown")

    def tell_error(self, error: OssError) -> None:
        """In place, in a line or two."""
        from oss.turn.untrusted import printable

        self.line = ""
        hint = f"\n→ {printable(error.hint)}" if error.hint else ""
        self.update(Content(f"✗ {printable(error.message)}{hint}"))
        self.add_class("-error", "-shown")

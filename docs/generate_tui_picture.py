"""Makes ``tui.svg``, the picture of ``oss tui`` in the README, from the real application.

``python docs/generate_tui_picture.py`` writes it. The conversation is one that was kept; the
answer in it is written here, so that the picture is the same at every run.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

OUT = Path(__file__).with_name("tui.svg")
ANSWER = """A **mutex** lets one thread at a time into a critical section [1]. The others wait until
it is released.

```python
from threading import Lock

lock = Lock()
with lock:            # the others wait here
    counter += 1
```

- *Hold it briefly*: work under a lock is serial.
- Always take several locks in the **same order** [2].
"""


async def picture() -> str:
    """The screen as SVG."""
    from oss.contracts.chat import Timings, Usage
    from oss.contracts.messages import Message
    from oss.contracts.retriever import Passage
    from oss.paths import config_dir
    from oss.plugins.discovery import EntryPoint
    from oss.plugins.manager import Plugins
    from oss.store import Setup, Store
    from oss.turn.choices import Choices
    from oss_plugins.tui.app import OssApp, Start
    from oss_plugins.tui.settings import Settings

    aliases = config_dir() / "models.toml"
    aliases.parent.mkdir(parents=True)
    aliases.write_text('[alias]\n"gpt-oss-20b" = "fake:gpt-oss-20b"\n', "utf-8")
    setup = Setup("coder", "0" * 64, "gpt-oss-20b", "llamacpp", "coder")
    with Store() as store:
        for title in ("Чем семафор отличается от мьютекса?", "Why does this test hang?"):
            store.create(title)
        number = store.create("What does a mutex do?")
        user = Message("user", "What does a mutex do? Give a short example.")
        answer = Message("assistant", ANSWER, reasoning="A definition, an example, two warnings.")
        store.end_turn(
            store.begin_turn(number, user, setup),
            "done",
            [user, answer],
            passages=[
                Passage("A mutex is held by one thread at a time.", "threads.md", (0, 41), 0.91),
                Passage(
                    "Locks that are taken in one order never wait in a circle.",
                    "deadlocks.md",
                    (80, 137),
                    0.74,
                ),
            ],
            finish_reason="stop",
            usage=Usage(412, 96, 318),
            timings=Timings(0.0, 0.31, 0.31, 2.2),
        )
    plugins = Plugins([EntryPoint("fakes", "oss.testing.plugin", "oss", "1")])
    choices = Choices("coder", model="gpt-oss-20b", backend="fake")
    app = OssApp(Start(choices, number, plugins=plugins), Settings())
    async with app.run_test(size=(132, 38)) as pilot:
        for _ in range(100):
            await pilot.pause(0.05)
            if "Profile coder" in app.export_screenshot().replace("&#160;", " "):
                break
        await pilot.pause(0.5)
        drawn = app.export_screenshot(title="oss tui --profile coder")
        await app.screen.close()  # type: ignore[attr-defined]
    return drawn


def main() -> None:
    """Write the picture."""
    with tempfile.TemporaryDirectory() as home:
        os.environ["OSS_HOME"] = home
        os.environ.pop("NO_COLOR", None)
        drawn = asyncio.run(picture())
    OUT.write_text("\n".join(line.rstrip() for line in drawn.splitlines()) + "\n", "utf-8")


if __name__ == "__main__":
    main()

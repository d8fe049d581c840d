"""Registering, offering, failing: one plugin's fault is its own."""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING, Any

import pytest

from oss.contracts.descriptors import Descriptor
from oss.contracts.errors import ConfigError, RefusedError
from oss.hookspecs import hookimpl
from oss.plugins.discovery import EntryPoint
from oss.plugins.manager import Plugins, load_plugins

if TYPE_CHECKING:
    from oss.testing.program import OssCli, OssHome


def offering(*descriptors: Any, hook: str = "oss_tools") -> dict[str, Any]:
    def answer() -> list[Any]:
        return list(descriptors)

    answer.__name__ = hook
    return {hook: hookimpl(answer)}


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch):
    """Makes an entry point of a module with these attributes."""

    def make(name: str, **attributes: Any) -> EntryPoint:
        module = types.ModuleType(f"plugin_{name}")
        vars(module).update(attributes)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        return EntryPoint(name, module.__name__, f"oss-{name}", "1.0")

    return make


TOOL = Descriptor("hammer", "hits", "oss.testing.fakes:FakeTool")


def test_offers_load(plugin) -> None:
    from oss.testing.fakes import FakeTool

    plugins = Plugins([plugin("one", **offering(TOOL))])
    assert plugins.load("tools", "hammer") is FakeTool
    assert plugins.find("tools", "hammer") == TOOL
    assert plugins.offers("tools")["hammer"].plugin == "one"
    assert plugins.offers("tools")["hammer"].distribution == "oss-one"
    assert plugins.warnings == []


def test_order_of_registration_is_kept(plugin) -> None:
    tools = [Descriptor(name, "", "a:b") for name in "dacb"]
    plugins = Plugins([plugin(tool.name, **offering(tool)) for tool in tools])
    assert list(plugins.offers("tools")) == ["d", "a", "c", "b"]


def test_a_module_that_is_not_there(plugin) -> None:
    said: list[str] = []
    plugins = Plugins(
        [EntryPoint("gone", "no_such_module", "oss-gone", "1"), plugin("ok", **offering(TOOL))],
        said.append,
    )
    assert said == [
        "plugin 'gone' (oss-gone) is not usable: "
        "ModuleNotFoundError: No module named 'no_such_module'"
    ]
    assert list(plugins.offers("tools")) == ["hammer"]


def test_what_a_broken_plugin_offers_names_it(plugin) -> None:
    plugins = Plugins([EntryPoint("gone", "no_such_module", "oss-gone", "1")])
    with pytest.raises(ConfigError, match=r"plugin 'gone' \(oss-gone\) is not usable"):
        plugins.load("backends", "gone")
    with pytest.raises(ConfigError, match="unknown backend 'other'") as caught:
        plugins.find("backends", "other")
    assert "'gone' (oss-gone)" in (caught.value.hint or "")


def test_a_misspelled_hook(plugin) -> None:
    plugins = Plugins(
        [plugin("typo", **offering(TOOL, hook="oss_toolz")), plugin("ok", **offering(TOOL))]
    )
    assert plugins.broken == {"typo": "there is no hook 'oss_toolz'; did you mean 'oss_tools'?"}
    assert plugins.offers("tools")["hammer"].plugin == "ok"


def test_a_hook_with_unknown_arguments(plugin) -> None:
    @hookimpl
    def oss_after_turn(nonsense: object) -> None: ...

    plugins = Plugins([plugin("bad", oss_after_turn=oss_after_turn), plugin("ok")])
    assert "nonsense" in plugins.broken["bad"]
    assert "\n" not in plugins.warnings[0]


def test_a_hook_for_a_later_oss_is_optional(plugin) -> None:
    @hookimpl(optionalhook=True)
    def oss_something_of_tomorrow() -> None: ...

    plugins = Plugins([plugin("new", oss_something_of_tomorrow=oss_something_of_tomorrow)])
    assert plugins.broken == {}


def test_two_plugins_of_one_name(plugin) -> None:
    first = plugin("same", **offering(TOOL))
    second = EntryPoint("same", "elsewhere", "oss-other", "1")
    plugins = Plugins([first, second])
    assert plugins.offers("tools")["hammer"].distribution == "oss-same"
    assert plugins.warnings == [
        "plugin 'same' of oss-other is ignored: oss-same has one of this name"
    ]


def test_one_module_under_two_names(plugin) -> None:
    first = plugin("one", **offering(TOOL))
    plugins = Plugins([first, first._replace(name="two")])
    assert list(plugins.broken) == ["two"]
    assert plugins.offers("tools")["hammer"].plugin == "one"


def test_two_offers_of_one_name(plugin) -> None:
    plugins = Plugins([plugin("a", **offering(TOOL)), plugin("b", **offering(TOOL))])
    assert plugins.offers("tools")["hammer"].plugin == "a"
    assert plugins.warnings == [
        "plugin 'b' offers the tool 'hammer', which 'a' already does; ignored"
    ]


def test_a_hook_that_raises_and_one_that_answers_nonsense(plugin) -> None:
    @hookimpl
    def oss_tools() -> None:
        raise ZeroDivisionError("a\nb")

    plugins = Plugins(
        [
            plugin("raises", oss_tools=oss_tools),
            plugin("nonsense", **offering("text")),
            plugin("ok", **offering(TOOL)),
        ]
    )
    assert list(plugins.offers("tools")) == ["hammer"]
    assert plugins.warnings == [
        "plugin 'raises' failed in oss_tools: ZeroDivisionError: a b",
        "plugin 'nonsense' gave oss_tools a str, not a Descriptor; ignored",
    ]


def test_nearest_name(plugin) -> None:
    plugins = Plugins([plugin("one", **offering(TOOL))])
    with pytest.raises(ConfigError, match="unknown tool 'hamer'") as caught:
        plugins.find("tools", "hamer")
    assert caught.value.hint == "did you mean 'hammer'?"


@pytest.mark.parametrize(
    ("target", "extra", "message", "hint"),
    [
        ("lacks_a_library:X", "fast", "needs 'libfoo'", "pip install 'oss-one[fast]'"),
        ("lacks_a_library:X", None, "needs 'libfoo'", "pip install 'oss-one'"),
        ("lacks_itself.part:X", None, "No module named", "--force-reinstall oss-one"),
        ("json:nothing", None, "no attribute 'nothing'", "python -c"),
        ("raises_it:X", None, "ValueError: at import", "python -c"),
    ],
)
def test_a_target_that_does_not_import(
    plugin, oss_home: OssHome, monkeypatch: pytest.MonkeyPatch, target, extra, message, hint
) -> None:
    monkeypatch.syspath_prepend(oss_home.path)
    oss_home.write("lacks_a_library.py", "import libfoo.bar")
    oss_home.write("lacks_itself.py", "")
    oss_home.write("raises_it.py", "raise ValueError('at import')")
    descriptor = Descriptor("x", "", target, extra=extra)
    plugins = Plugins([plugin("one", **offering(descriptor))])
    with pytest.raises(ConfigError, match=r"tool 'x' of plugin 'one' \(oss-one\)") as caught:
        plugins.load("tools", "x")
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


def adding(text: str) -> dict[str, Any]:
    @hookimpl
    def oss_screen_passages(query: str, passages: list[str]) -> list[str] | None:
        return [*passages, f"{query}{text}"] if text else None

    return {"oss_screen_passages": oss_screen_passages}


def failing(error: Exception, hook: str) -> dict[str, Any]:
    def oss_screen_passages(passages: object) -> None:
        raise error

    def oss_after_turn(done: object) -> None:
        raise error

    return {hook: hookimpl(locals()[hook])}


def test_pipe_passes_through_all_in_order(plugin) -> None:
    entries = [plugin(name, **adding(name)) for name in "ab"]
    plugins = Plugins([entries[0], plugin("quiet", **adding("")), entries[1]])
    found = plugins.pipe("oss_screen_passages", "passages", ["p"], query="q")
    assert found == ["p", "qa", "qb"]


def test_pipe_stops_where_a_plugin_fails(plugin) -> None:
    hook = "oss_screen_passages"
    plugins = Plugins([plugin("bad", **failing(KeyError("x"), hook))])
    with pytest.raises(ConfigError, match="plugin 'bad' failed in oss_screen_passages"):
        plugins.pipe(hook, "passages", [], query="")
    refusing = Plugins([plugin("guard", **failing(RefusedError("not this"), hook))])
    with pytest.raises(RefusedError, match="not this"):
        refusing.pipe(hook, "passages", [], query="")


def test_notify_goes_on(plugin) -> None:
    seen: list[object] = []

    @hookimpl
    def oss_after_turn(done: object) -> None:
        seen.append(done)

    bad = plugin("bad", **failing(KeyError("x"), "oss_after_turn"))
    plugins = Plugins([bad, plugin("good", oss_after_turn=oss_after_turn)])
    plugins.notify("oss_after_turn", messages=(), done="the end")
    assert seen == ["the end"]
    assert plugins.warnings == ["plugin 'bad' failed in oss_after_turn: KeyError: 'x'"]


def test_trace(plugin, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("OSS_TRACE_HOOKS", "1")
    plugins = Plugins([plugin("one", **offering(TOOL)), plugin("two", **adding("!"))])
    plugins.offers("tools")
    plugins.pipe("oss_screen_passages", "passages", [], query="q")
    traced = capsys.readouterr().err
    assert "hook: oss_tools [one]" in traced
    assert "-> hammer" in traced
    assert "hook: oss_screen_passages [two]" in traced


def test_every_built_in_plugin_registers(oss_home: OssHome) -> None:
    said: list[str] = []
    plugins = load_plugins(said.append)
    assert plugins.broken == {}
    plugins.offers("backends")
    assert said == []


def test_one_warning_line_in_the_program(oss_cli: OssCli) -> None:
    oss_cli.add_plugin("broken", "import no_such_library\n")
    outcome = oss_cli.run("persona", "list").ok()
    assert outcome.stderr.splitlines() == [
        "warning: plugin 'broken' (broken) is not usable: "
        "ModuleNotFoundError: No module named 'no_such_library'"
    ]

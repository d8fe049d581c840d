"""Files of personas: TOML, Markdown, where they are found, what is wrong with them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from oss.contracts.chat import Sampling
from oss.contracts.persona import Example, Persona
from oss.persona import find_persona, list_personas, persona_messages
from oss.plugins.manager import load_plugins

if TYPE_CHECKING:
    from oss.testing.program import OssCli, OssHome

SHIPPED = [
    "analyst",
    "assistant",
    "coder",
    "critic",
    "editor",
    "mentor",
    "reviewer",
    "translator",
    "writer",
]
TEACHER = Persona(
    "teacher",
    summary="Teaches",
    system="You teach {{ topic }}.",
    behaviour="Ask first.",
    archetype="mentor",
    style="Кратко.",
    examples=(Example("Hi", "What: is it?"),),
    sampling=Sampling(temperature=0.5, stop=("END",)),
    effort="low",
    variables={"topic": "chess"},
)
AS_TOML = """\
summary = "Teaches"
system = "You teach {{ topic }}."
behaviour = "Ask first."
archetype = "mentor"
style = "Кратко."
[variables]
topic = "chess"
[sampling]
temperature = 0.5
stop = ["END"]
[reasoning]
effort = "low"
[[example]]
user = "Hi"
assistant = "What: is it?"
"""
HEAD = "\n".join(line for line in AS_TOML.splitlines() if not line.startswith("system"))
AS_TOML_MARKDOWN = f"+++\n{HEAD}\n+++\nYou teach {{{{ topic }}}}.\n"
AS_YAML_MARKDOWN = """\
---
summary: Teaches
behaviour: Ask first.
archetype: mentor
style: Кратко.
variables: {topic: chess}
sampling:
  temperature: 0.5
  stop: [END]
reasoning: {effort: low}
example:
  - user: Hi
    assistant: "What: is it?"
---

You teach {{ topic }}.
"""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("teacher.toml", AS_TOML),
        ("teacher.md", AS_TOML_MARKDOWN),
        ("teacher.md", AS_YAML_MARKDOWN),
        ("teacher.md", AS_YAML_MARKDOWN.replace("\n", "\r\n")),
        ("teacher.md", "\ufeff" + AS_YAML_MARKDOWN),
    ],
)
def test_three_ways_to_write_one_persona(oss_home: OssHome, name: str, text: str) -> None:
    path = oss_home.write(f"config/personas/{name}", "")
    path.write_bytes(text.encode())
    assert find_persona("teacher", load_plugins()) == TEACHER
    assert find_persona(str(path), load_plugins()) == TEACHER


def test_markdown_without_front_matter_is_the_system_text(oss_home: OssHome) -> None:
    oss_home.write("config/personas/p.md", "# Who\n\nYou are a cat.\n")
    assert find_persona("p", load_plugins()) == Persona("p", system="# Who\n\nYou are a cat.")


def test_the_nearest_file_wins(oss_home: OssHome, oss_cli: OssCli) -> None:
    oss_home.write("config/personas/critic.toml", "system = 'user'")
    plugins = load_plugins()
    assert find_persona("critic", plugins).system == "user"
    project = oss_home.cwd / ".oss" / "personas" / "critic.md"
    project.parent.mkdir(parents=True)
    project.write_text("project")
    assert find_persona("critic", plugins).system == "project"
    places = {found.name: found.place for found in list_personas(plugins)}
    assert (places["critic"], places["editor"]) == ("project", "shipped")
    assert [found.name for found in list_personas(plugins)] == sorted(SHIPPED)


def test_cyrillic_names_and_folders(oss_home: OssHome, oss_cli: OssCli) -> None:
    folder = oss_home.cwd / "Мои люди"
    folder.mkdir()
    (folder / "Критик.md").write_text("Ты споришь с {{ user }}.", encoding="utf-8")
    shown = oss_cli.run("persona", "show", "Мои люди/Критик.md", "--json").ok().json()
    assert shown["name"] == "Критик"
    assert shown["messages"][0]["content"].startswith("Ты споришь с ")
    oss_cli.run("persona", "new", "Учитель", "--markdown", "--system", "Ты учишь.").ok()
    assert "[system]\nТы учишь.\n" in oss_cli.run("persona", "show", "Учитель").ok().stdout
    assert "did you mean 'Учитель'" in oss_cli.run("persona", "show", "Учител").failed(3).stderr


BROKEN = {
    "key": ("p.toml", "system = 'x'\nstlye = 'y'\n", r"p\.toml:2: stlye: unknown key", "'style'"),
    "toml": ("p.toml", "system = 'x\n", r"p\.toml:1: broken TOML", None),
    "type": ("p.toml", "system = 3\n", r"p\.toml:1: system: expected a text, got 3", None),
    "archetype": (
        "p.toml",
        "system='x'\narchetype = 'critc'",
        r"p\.toml:2: archetype: expected one",
        "did you mean 'critic'",
    ),
    "sampling": (
        "p.toml",
        "system='x'\n[sampling]\ntop_p = 7\n",
        r"p\.toml:3: sampling\.top_p",
        None,
    ),
    "example": (
        "p.toml",
        "system='x'\n[[example]]\nuser = 'x'\n",
        r"p\.toml:2: example\.0: the key 'assistant' is missing",
        None,
    ),
    "nothing": ("p.toml", "summary = 'x'\n", r"p\.toml: the persona says nothing", "system"),
    "empty": ("p.md", "", r"p\.md: the persona says nothing", None),
    "yaml": ("p.md", "---\na: b: c\n---\nx\n", r"p\.md:2: broken YAML", "quote"),
    "yaml key": (
        "p.md",
        "---\nsummary: x\nsampling:\n  topp: 1\n---\nx\n",
        r"p\.md:4: sampling\.topp: unknown key",
        "'top_p'",
    ),
    "yaml list": ("p.md", "---\n- a\n---\nx\n", r"p\.md:2: the front matter is not a table", None),
    "yaml alias": (
        "p.md",
        "---\nsummary: &a x\nstyle: *a\n---\nx\n",
        r"p\.md:3: YAML aliases",
        None,
    ),
    "yaml object": (
        "p.md",
        "---\nstyle: !!python/object/apply:os.getcwd []\n---\nx\n",
        r"p\.md:2: broken YAML",
        None,
    ),
    "yaml twice": (
        "p.md",
        "---\nstyle: a\nstyle: b\n---\nx\n",
        r"p\.md:3: style: given twice",
        None,
    ),
    "toml in markdown": ("p.md", "+++\n\nstyle = \n+++\nx\n", r"p\.md:3: broken TOML", None),
    "not closed": ("p.md", "---\nsummary: x\n", r"p\.md:1: the front matter is not closed", "---"),
    "two systems": ("p.md", "---\nsystem: a\n---\nb\n", r"p\.md:2: system: the text below", None),
    "template": ("p.toml", "system = '{% for %}'\n", r"persona 'p', system, line 1: ", None),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_fault_is_one_line(oss_home: OssHome, oss_cli: OssCli, fault: str) -> None:
    name, text, message, hint = BROKEN[fault]
    path = oss_home.write(f"config/personas/{name}", "")
    path.write_text(text, encoding="utf-8")
    outcome = oss_cli.run("persona", "show", "p").failed(3)
    lines = outcome.stderr.splitlines()
    assert re.match(rf"error: .*{message}", lines[0]), outcome.stderr
    assert len(lines) == 2
    assert lines[1].startswith("hint: ")
    if hint:
        assert hint in lines[1]
    assert re.search(message, oss_cli.run("persona", "check", "p").failed(3).stdout)


def test_other_bad_files(oss_home: OssHome, oss_cli: OssCli) -> None:
    path = oss_home.write("config/personas/p.md", "")
    path.write_bytes(b"---\nsummary: \xff\n---\n")
    assert "p.md:2: not UTF-8" in oss_cli.run("persona", "show", "p").failed(3).stderr
    listed = oss_cli.run("persona", "list").ok().stdout
    assert "broken: " in listed
    assert "critic" in listed
    assert oss_cli.run("persona", "show", "crtic").failed(3).stderr == (
        "error: unknown persona 'crtic'\nhint: did you mean 'critic'?\n"
    )
    assert "does not exist" in oss_cli.run("persona", "show", "./no.md").failed(3).stderr


def test_new_writes_a_persona_that_works(oss_home: OssHome, oss_cli: OssCli) -> None:
    for arguments, name in (((), "a.toml"), (("--markdown",), "b.md")):
        stem = name.partition(".")[0]
        outcome = oss_cli.run("persona", "new", stem, "--summary", "Кто", *arguments).ok()
        assert outcome.stdout.strip() == str(oss_home.config / "personas" / name)
        persona = find_persona(stem, load_plugins())
        assert (persona.summary, persona.system) == ("Кто", f"You are {stem}.")
        assert "exists already" in oss_cli.run("persona", "new", stem, *arguments).failed(3).stderr
    # the other form of the same name would hide the first
    assert "exists already" in oss_cli.run("persona", "new", "a", "--markdown").failed(3).stderr


def test_all_comments_of_a_new_persona_are_valid_keys(oss_home: OssHome) -> None:
    from oss.persona.write import new_persona_text

    text = new_persona_text("p", {}, markdown=False)
    lines = [
        line.removeprefix("# ") if " = " in line or "[[" in line else line
        for line in text.splitlines()
    ]
    path = oss_home.write("config/personas/p.toml", "")
    path.write_text("\n".join(line for line in lines if not line.startswith("#")), encoding="utf-8")
    persona = find_persona("p", load_plugins())
    assert persona.archetype == "mentor"
    assert persona.examples
    assert persona.sampling.temperature == 0.7


def test_these_ship(oss_home: OssHome, oss_cli: OssCli) -> None:
    assert [row["name"] for row in oss_cli.run("persona", "list", "--json").ok().json()] == SHIPPED
    oss_cli.run("persona", "check").ok()


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_personas_are_short_and_plain(oss_home: OssHome, name: str) -> None:
    persona = find_persona(name, load_plugins())
    messages = persona_messages(persona, {})
    assert persona.summary
    assert messages[0].role == "system"
    # a model of 135M parameters loses a longer text; a sentence of more than 30 words too
    assert len(messages[0].content) < 1500
    for sentence in re.split(r"[.:;?!]\s", messages[0].content):
        assert len(sentence.split()) <= 30, sentence


def test_the_critic_argues(oss_home: OssHome) -> None:
    messages = persona_messages(find_persona("critic", load_plugins()), {})
    assert "Begin with 'Weakest point:'" in messages[0].content
    assert "Never praise" in messages[0].content
    assert all(m.content.startswith("Weakest point:") for m in messages if m.role == "assistant")


def test_shipped_personas_need_no_jinja(oss_home: OssHome) -> None:
    """Importing it would take longer than all else before the first token."""
    import subprocess
    import sys

    code = (
        "import sys\n"
        "from oss.persona import find_persona, list_personas, persona_messages\n"
        "from oss.plugins.manager import load_plugins\n"
        "p = load_plugins()\n"
        "for f in list_personas(p): persona_messages(find_persona(f.name, p), {})\n"
        "assert 'jinja2' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

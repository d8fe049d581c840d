"""``oss doctor`` in homes with and without a model, a broken plugin, a broken profile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from oss.testing.program import OssCli, OssHome


def test_without_any_model_it_says_what_to_pull_and_exits_with_1(oss_cli: OssCli) -> None:
    outcome = oss_cli.run("doctor").failed(1)
    assert "oss model pull starter" in outcome.stdout
    assert "Models here" in outcome.stdout


@pytest.mark.real
def test_with_a_model_it_says_what_each_profile_would_run(
    oss_cli: OssCli, oss_home: OssHome, starter_gguf: Path
) -> None:
    oss_home.write(
        "config/profiles/здесь.toml", f'extends = "base"\n[model]\nname = "{starter_gguf}"\n'
    )
    findings = oss_cli.run("doctor", "--json").ok().json()
    profiles = {profile["name"]: profile for profile in findings["profiles"]}
    assert profiles["здесь"]["runs"]
    assert profiles["здесь"]["backend"] == "llamacpp"
    assert not profiles["gpt-oss-20b"]["runs"]
    assert profiles["gpt-oss-20b"]["hint"]
    backends = {backend["name"]: backend for backend in findings["backends"]}
    assert backends["llamacpp"]["works"]
    assert findings["machine"]["memory_bytes"] > 0


def test_a_broken_profile_is_named_and_does_not_hide_the_rest(
    oss_cli: OssCli, oss_home: OssHome
) -> None:
    oss_home.write("config/profiles/broken.toml", "[model\n")
    outcome = oss_cli.run("doctor", "--json").failed(1)
    profiles = {profile["name"]: profile for profile in outcome.json()["profiles"]}
    assert "broken.toml" in profiles["broken"]["problem"]
    assert "coder" in profiles


def test_a_backend_whose_library_is_missing_says_what_to_install(oss_cli: OssCli) -> None:
    outcome = oss_cli.run("doctor", "--json", env={"OSS_PLUGINS": ""}).failed(1)
    assert outcome.json()["backends"] == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_name_the_program(shell: str, oss_cli: OssCli) -> None:
    assert "_OSS_COMPLETE" in oss_cli.run("completion", shell).ok().stdout


def test_a_shell_is_told_the_commands(oss_cli: OssCli) -> None:
    outcome = oss_cli.run(
        env={"_OSS_COMPLETE": "bash_complete", "COMP_WORDS": "oss mod", "COMP_CWORD": "1"}
    ).ok()
    assert outcome.stdout.strip() == "plain,model"

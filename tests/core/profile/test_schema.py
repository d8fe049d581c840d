"""The JSON Schema and the profiles that ship."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from oss.plugins.manager import load_plugins
from oss.profile import list_profiles, resolve_profile
from oss.profile.find import shipped_dir
from oss.profile.json_schema import profile_schema
from oss.profile.validate import check_profile

SHIPPED = ["analyst", "base", "coder", "gpt-oss-120b", "gpt-oss-20b", "starter", "writer"]


def test_these_ship(oss_home: Any) -> None:
    assert [found.name for found in list_profiles()] == SHIPPED
    assert all(found.description for found in list_profiles())


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_profiles_are_without_fault(oss_home: Any, name: str) -> None:
    found = {profile.name: profile for profile in list_profiles()}[name]
    assert check_profile(found, load_plugins()) == []


@pytest.mark.parametrize("name", ["coder", "writer", "analyst", "base"])
def test_they_run_on_the_starter_model_where_nothing_better_is(oss_home: Any, name: str) -> None:
    model = resolve_profile(name).profile.model
    assert model.name is None
    assert model.prefer[-1] == "starter"
    assert {"gpt-oss-20b", "gpt-oss-120b"} <= set(model.prefer[:2])


def test_preferred_models_are_in_the_catalogue(oss_home: Any) -> None:
    from oss.models.catalogue import load_catalogue

    known = set(load_catalogue(load_plugins()))
    for found in list_profiles():
        model = resolve_profile(found.name).profile.model
        assert {*model.prefer, *filter(None, [model.name])} <= known


def test_gpt_oss_is_set_as_its_makers_recommend(oss_home: Any) -> None:
    """https://github.com/openai/gpt-oss#recommended-sampling-parameters"""
    for name in ("gpt-oss-20b", "gpt-oss-120b"):
        profile = resolve_profile(name, plugins=load_plugins()).profile
        assert profile.model.name == name
        assert (profile.sampling.temperature, profile.sampling.top_p) == (1.0, 1.0)
        assert (profile.sampling.top_k, profile.sampling.min_p) == (0, 0.0)
        assert profile.reasoning.effort == "medium"
        assert profile.model.context == 0
    assert profile.backend.options["llamacpp"]["cpu_moe_layers"] == -1


def test_the_schema_has_no_null_and_no_open_end() -> None:
    schema = profile_schema(load_plugins())

    def walk(part: Any) -> None:
        if isinstance(part, dict):
            assert part.get("type") != "null"
            assert "default" not in part or part["default"] is not None
            if "properties" in part:
                assert "additionalProperties" in part
            for value in part.values():
                walk(value)
        elif isinstance(part, list):
            for value in part:
                walk(value)

    walk(schema)
    backend = schema["$defs"]["BackendTable"]
    assert "options" not in backend["properties"]
    assert backend["properties"]["llamacpp"]["additionalProperties"] is False
    assert backend["additionalProperties"] == {"type": "object"}


def test_shipped_files_use_only_keys_of_the_schema() -> None:
    """The schema describes what the loader accepts: each key of the files is in it."""
    from oss.profile.toml_file import read_toml

    schema = profile_schema(load_plugins())
    for path in Path(shipped_dir("profiles")).glob("*.toml"):
        _inside(read_toml(path).data, schema, schema["$defs"], path.name)


def _inside(data: Any, schema: Any, definitions: Any, where: str) -> None:
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    for key, value in data.items():
        assert key in schema["properties"], f"{where}.{key}"
        if isinstance(value, dict):
            _inside(value, schema["properties"][key], definitions, f"{where}.{key}")

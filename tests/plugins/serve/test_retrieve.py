"""`/v1/retrieve`: passages without a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from oss.contracts.retriever import Document
from oss.testing import fakes

if TYPE_CHECKING:
    from collections.abc import Callable

    from oss.testing.program import OssHome

PATH = "/v1/retrieve"
DOCUMENTS = (
    Document("чай.md", "Зелёный чай не ферментируют.", {"page": 1}),
    Document("moon.md", "The moon has craters.\n\nThe moon has no air.", {"page": 7}),
)


@pytest.fixture
def with_documents(
    server: Callable[..., Any], oss_home: OssHome, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    class Filled(fakes.FakeRetriever):
        def __init__(self) -> None:
            super().__init__(*DOCUMENTS)

    monkeypatch.setattr(fakes, "FakeRetriever", Filled)
    profile = '[model]\nname = "fake:one"\n[backend]\nname = "fake"\n'
    oss_home.write(
        "config/profiles/docs.toml",
        profile + '[retriever]\nname = "fake"\nk = 2\nwhere = "page>0"\n',
    )
    return lambda **settings: server(profiles=("mine", "docs"), **settings)


def test_passages_come_with_their_sources(with_documents: Callable[..., Any]) -> None:
    with with_documents() as live:
        status, found = live.post(PATH, {"model": "docs", "query": "зелёный чай"})
        assert status == 200, found
        assert found["object"] == "list"
        assert found["model"] == "docs"
        assert len(found["data"]) == 2  # the profile's k
        first = found["data"][0]
        assert first["source"] == "чай.md"
        assert first["text"] == "Зелёный чай не ферментируют."
        assert first["metadata"]["page"] == 1
        assert first["index"] == 0
        assert first["score"] >= found["data"][1]["score"]
        assert not live.engines  # no model was loaded


def test_k_and_where_of_the_request(with_documents: Callable[..., Any]) -> None:
    with with_documents() as live:
        body = {"model": "docs", "query": "moon", "k": 3, "where": "page>5"}
        status, found = live.post(PATH, body)
        assert status == 200, found
        assert [entry["source"] for entry in found["data"]] == ["moon.md", "moon.md"]


def test_the_profiles_own_condition_stays(with_documents: Callable[..., Any]) -> None:
    with with_documents() as live:
        body = {"model": "docs", "query": "moon", "where": "page<1 or page>6"}
        assert {e["metadata"]["page"] for e in live.post(PATH, body)[1]["data"]} == {7}
        body["where"] = "page<1"
        assert live.post(PATH, body)[1]["data"] == []


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"model": "docs", "query": "  "}, 400, "query"),
        ({"model": "docs", "query": ""}, 400, "query"),
        ({"model": "docs"}, 400, None),
        ({"model": "docs", "query": 5}, 400, "query"),
        ({"model": "docs", "query": "x", "k": 0}, 400, "k"),
        ({"model": "docs", "query": "x", "k": 101}, 400, "k"),
        ({"model": "docs", "query": "x", "where": "page<<1"}, 400, "where"),
        ({"model": "mine", "query": "x"}, 400, "model"),
        ({"model": "nothing", "query": "x"}, 404, "model"),
    ],
)
def test_what_is_refused(
    with_documents: Callable[..., Any], body: dict[str, Any], status: int, param: str | None
) -> None:
    with with_documents() as live:
        found, answer = live.post(PATH, body)
        assert found == status, answer
        assert answer["error"]["param"] == param


def test_it_is_described_and_guarded(with_documents: Callable[..., Any]) -> None:
    with with_documents(key="secret") as live:
        assert live.post(PATH, {"model": "docs", "query": "x"})[0] == 401
        live.headers["Authorization"] = "Bearer secret"
        assert live.post(PATH, {"model": "docs", "query": "x"})[0] == 200
        response = live.send("GET", "/openapi.json")
        assert b"RetrieveBody" in response.read()
        assert live.send("GET", PATH).status == 405

from __future__ import annotations

import random
import struct
from typing import TYPE_CHECKING

import pytest

from oss.contracts.errors import ModelError
from oss.models import inspect_model
from oss.models.gguf import read_header
from oss.models.gguf_facts import facts_of_gguf
from oss.testing.gguf_file import F16, F32, TINY, TINY_TENSORS, write_gguf

if TYPE_CHECKING:
    from pathlib import Path


def test_values_and_tensors_are_read(tmp_path: Path) -> None:
    header = read_header(write_gguf(tmp_path / "малая модель.gguf"))
    assert header.version == 3
    assert header.values["general.name"] == "Tiny"
    assert header.values["tokenizer.chat_template"] == "{{ messages }}"
    assert header.values["tokenizer.ggml.tokens"] is None  # stepped over
    assert [(t.name, t.shape, t.nbytes) for t in header.tensors] == [
        ("token_embd.weight", (8, 5000), 80_000),
        ("blk.0.attn_q.weight", (8, 8), 256),
        ("blk.1.attn_q.weight", (8, 8), 256),
    ]


def test_facts(tmp_path: Path) -> None:
    facts = facts_of_gguf(write_gguf(tmp_path / "m.gguf"))
    assert (facts.architecture, facts.layers, facts.heads, facts.kv_heads) == ("llama", 2, 4, 2)
    assert facts.parameters == 40_128
    assert facts.quantisation == "F16"
    assert facts.vocabulary == 5000
    assert facts.kv_bytes_per_token == 2 * (2 + 2) * 2 * 2  # layers, head of 2 twice, heads, bytes
    assert facts.licence == "mit"


def test_every_cut_is_one_clear_error(tmp_path: Path) -> None:
    whole = write_gguf(tmp_path / "whole.gguf").read_bytes()
    cut = tmp_path / "cut.gguf"
    places = [*range(1, 400), *random.Random(1).sample(range(400, len(whole)), 200)]
    for place in places:
        cut.write_bytes(whole[:place])
        with pytest.raises(ModelError) as caught:
            read_header(cut)
        assert str(cut) in caught.value.message
        assert "\n" not in caught.value.message


def test_no_damage_to_a_header_is_more_than_an_error(tmp_path: Path) -> None:
    whole = write_gguf(tmp_path / "whole.gguf").read_bytes()
    damaged = tmp_path / "damaged.gguf"
    dice = random.Random(2)
    for _ in range(300):
        content = bytearray(whole[:2000] + whole[-100:])
        for _ in range(4):
            content[dice.randrange(4, 1500)] = dice.randrange(256)
        damaged.write_bytes(content)
        with pytest.raises(ModelError):
            read_header(damaged)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"PK\x03\x04zip", "not a GGUF file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"GGUF" + struct.pack("<IQQ", 99, 0, 0), "version 99"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**60, 2**60), "cut short"),
    ],
)
def test_other_files_are_named_for_what_they_are(tmp_path: Path, content: bytes, says: str) -> None:
    file = tmp_path / "x.gguf"
    file.write_bytes(content)
    with pytest.raises(ModelError, match=says):
        read_header(file)


def test_absent_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model file"):
        read_header(tmp_path / "nothing.gguf")
    (tmp_path / "folder.gguf").mkdir()
    with pytest.raises(ModelError, match="is a folder"):
        read_header(tmp_path / "folder.gguf")


def test_an_adapter_is_not_a_model(tmp_path: Path) -> None:
    file = write_gguf(tmp_path / "a.gguf", {**TINY, "general.type": "adapter"})
    with pytest.raises(ModelError, match="an adapter, not a model") as caught:
        facts_of_gguf(file)
    assert "--adapter" in (caught.value.hint or "")


def test_experts_count_what_is_active(tmp_path: Path) -> None:
    values = {**TINY, "llama.expert_count": 8, "llama.expert_used_count": 2}
    tensors = {**TINY_TENSORS, "blk.0.ffn_up_exps.weight": ((8, 4, 8), F16)}
    facts = facts_of_gguf(write_gguf(tmp_path / "m.gguf", values, tensors))
    assert (facts.experts, facts.active_experts) == (8, 2)
    assert facts.parameters - facts.active_parameters == 8 * 4 * 8 * 6 // 8


def test_sliding_windows_cost_less_memory(tmp_path: Path) -> None:
    values = {key.replace("llama.", "gpt-oss."): value for key, value in TINY.items()}
    values |= {"general.architecture": "gpt-oss", "gpt-oss.attention.sliding_window": 128}
    facts = facts_of_gguf(write_gguf(tmp_path / "m.gguf", values))
    assert facts.window == 128
    assert facts.window_bytes_per_token == facts.kv_bytes_per_token == 16


def test_layers_without_attention_keep_no_keys(tmp_path: Path) -> None:
    values = {**TINY, "llama.attention.head_count_kv": [0, 2]}
    assert facts_of_gguf(write_gguf(tmp_path / "m.gguf", values)).kv_bytes_per_token == 16


def test_parts_are_read_together_and_a_missing_one_is_named(tmp_path: Path) -> None:
    first = write_gguf(tmp_path / "m-00001-of-00002.gguf", tensors={})
    with pytest.raises(ModelError, match=r"m-00002-of-00002\.gguf is missing"):
        facts_of_gguf(first)
    write_gguf(tmp_path / "m-00002-of-00002.gguf", {}, {"blk.0.x.weight": ((4, 4), F32)})
    facts = facts_of_gguf(first)
    assert (facts.parts, facts.parameters) == (2, 16)
    assert facts.file_size == sum(f.stat().st_size for f in tmp_path.iterdir())


@pytest.mark.usefixtures("oss_home")
def test_facts_are_remembered_until_the_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_gguf(tmp_path / "m.gguf")
    first = inspect_model(file)
    monkeypatch.setattr("oss.models.gguf_facts.read_header", None)  # reading again would fail
    assert inspect_model(file) == first
    monkeypatch.undo()
    write_gguf(file, {**TINY, "general.name": "Другая модель"})
    assert inspect_model(file).name == "Другая модель"


@pytest.mark.real
@pytest.mark.usefixtures("oss_home")
def test_the_starter_model(starter_gguf: Path) -> None:
    facts = inspect_model(starter_gguf)
    assert facts.parameters == 134_515_008
    assert facts.quantisation == "Q4_1"
    assert facts.context_length == 8192
    assert facts.licence == "apache-2.0"
    assert facts.chat_template
    assert not facts.knows_tools


def test_damaged_values_do_not_become_a_traceback(tmp_path: Path) -> None:
    strange = [2**32 - 1, "текст", True, 1.5, [1, 2], ["a"], -5]
    for key in TINY:
        if key.startswith("tokenizer.ggml"):
            continue
        for value in strange:
            file = write_gguf(tmp_path / "m.gguf", {**TINY, key: value})
            try:
                facts_of_gguf(file)
            except ModelError as error:
                assert str(file) in error.message  # noqa: PT017  either outcome is right


def test_an_array_of_arrays_is_damage(tmp_path: Path) -> None:
    file = write_gguf(tmp_path / "m.gguf", {**TINY, "x.y": [[[1]], [[2]]]})
    with pytest.raises(ModelError, match="damaged"):
        read_header(file)

"""Files of every kind and encoding: read as they are, or named for what they are."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from oss.contracts.errors import UsageError
from oss.data import Conversation, read
from oss.data.encoding import guess_encoding
from oss.data.reading import read_items
from oss.data.sources import LONGEST_LINE, read_records

if TYPE_CHECKING:
    from pathlib import Path

ROW = {"prompt": "Как сварить яйцо?", "completion": "Шесть минут в кипящей воде."}
LINE = json.dumps(ROW, ensure_ascii=False)


@pytest.mark.parametrize(
    "text", ["\ufeff" + LINE + "\n" + LINE, LINE + "\r\n" + LINE + "\r\n", LINE + "\n\n  \n" + LINE]
)
def test_marks_and_line_ends_of_other_systems(tmp_path: Path, text: str) -> None:
    path = tmp_path / "а.jsonl"
    path.write_bytes(text.encode())
    dataset = read([path])
    assert not dataset.faults
    assert [row.messages[1].content for row in dataset.rows if isinstance(row, Conversation)] == [
        ROW["completion"]
    ] * 2


@pytest.mark.parametrize("encoding", ["cp1251", "koi8-r", "cp866"])
@pytest.mark.parametrize("name", ["x.jsonl", "x.csv", "x.txt", "x.json"])
def test_another_encoding_is_named_and_can_be_given(
    tmp_path: Path, encoding: str, name: str
) -> None:
    path = tmp_path / name
    texts = {
        "x.jsonl": LINE,
        "x.csv": f"prompt;completion\n{ROW['prompt']};{ROW['completion']}\n",
        "x.txt": ROW["completion"],
        "x.json": json.dumps([ROW], ensure_ascii=False, indent=1),
    }
    path.write_bytes(texts[name].encode(encoding))
    (fault,) = read([path]).faults
    assert fault.code == "encoding"
    assert f"reads as {encoding}" in fault.message
    (item,) = read_items(path, encoding)
    assert ROW["completion"] in str(item.record)


def test_a_guess_needs_letters_that_are_used_so() -> None:
    assert guess_encoding("naïve café, über".encode("latin-1")) == "cp1252"
    assert guess_encoding("Привет".encode("utf-16")) == "utf-16"
    assert guess_encoding(b"plain") is None


def test_utf16_is_named_once(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes((LINE + "\n").encode("utf-16") * 3)
    (fault,) = read([path]).faults
    assert "UTF-16" in fault.message
    with pytest.raises(UsageError, match="no encoding 'klingon'"):
        list(read_records(path, "klingon"))


def test_a_line_without_end_is_not_read_into_memory(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    with path.open("wb") as file:
        file.write(LINE.encode() + b"\n")
        file.write(b'{"text": "')
        file.write(b"x" * (2 * LONGEST_LINE))
        file.write(b'"}\n' + LINE.encode() + b"\n")
    dataset = read([path])
    assert [row.origin.line for row in dataset.rows] == [1, 3]
    assert [(f.origin.line, f.code) for f in dataset.faults] == [(2, "line-length")]


def test_rows_of_a_json_list_have_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(
        '\ufeff{"rows": [\n  {"text": "a"},\n  {"text":\n     "b"}, {"text": "b"},\n\n {"x": 1}]}\n'
    )
    dataset = read([path])
    assert [row.origin.line for row in dataset.rows] == [2, 3, 4]
    assert [fault.origin.line for fault in dataset.faults] == [6]


@pytest.mark.parametrize("text", ["", "7", '"a"', "[" * 100_000, "nul"])
def test_json_that_is_no_set(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    (fault,) = read([path]).faults
    assert fault.code in {"syntax", "shape"}


def test_a_table_with_semicolons_and_one_with_tabs(tmp_path: Path) -> None:
    for name, mark in (("a.csv", ";"), ("b.tsv", "\t")):
        (tmp_path / name).write_text(f'prompt{mark}completion\n"a{mark}b\nc"{mark}"x, y"\n')
        (row,) = read([tmp_path / name]).rows
        assert isinstance(row, Conversation)
        assert [m.content for m in row.messages] == [f"a{mark}b\nc", "x, y"]


def test_a_cell_may_be_long(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\n" + "слово " * 50_000 + "\n")
    assert not read([tmp_path / "a.csv"]).faults


def test_parquet_and_datasets_on_disk(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = pa.table({"prompt": ["один", "два"], "completion": ["1", "2"], "system": [None, None]})
    parquet.write_table(table, tmp_path / "x.parquet")
    saved = tmp_path / "набор"
    saved.mkdir()
    file = str(saved / "data-00000-of-00001.arrow")
    with pa.OSFile(file, "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=1)
    (saved / "state.json").write_text(
        '{"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}'
    )
    (saved / "dataset_info.json").write_text("{}")
    hub = tmp_path / "hub" / "data"
    hub.mkdir(parents=True)
    parquet.write_table(table, hub / "train-00000-of-00001.parquet")
    sets = [read([path]) for path in (tmp_path / "x.parquet", saved, hub.parent)]
    assert len({dataset.digest for dataset in sets}) == 1
    assert str(sets[1].rows[1].origin).endswith("набор row 2")
    parquet.write_table(table, hub / "test-00000-of-00001.parquet")
    with pytest.raises(UsageError, match="several parts: test, train"):
        read([hub.parent])


def test_a_file_that_is_no_parquet(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "x.parquet").write_bytes(b"PAR1 no PAR1")
    (fault,) = read([tmp_path / "x.parquet"]).faults
    assert fault.code == "syntax"


def test_without_the_library_the_hint_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    with pytest.raises(UsageError) as caught:
        read([tmp_path / "x.parquet"])
    assert "oss-workbench[data]" in str(caught.value.hint)


@pytest.mark.parametrize("parts", [{}, {"dataset_dict.json": "{}"}])
def test_a_folder_that_is_no_dataset(tmp_path: Path, parts: dict[str, str]) -> None:
    for name, text in parts.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match="not a dataset folder") as caught:
        read([tmp_path])
    assert ("/train" in str(caught.value.hint)) == bool(parts)

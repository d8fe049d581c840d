"""What checking a set costs: time over a bare read of its JSON, and memory over the set's size.

python tests/benchmarks/bench_data.py [--rows 100000] [--json]
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BARE = """
import sys, msgspec, resource
with open(sys.argv[1], "rb") as file:
    print(sum(1 for line in file if msgspec.json.decode(line)), file=sys.stderr)
"""


def write_set(path: Path, rows: int) -> None:
    """Rows of 20 to 120 words, one in fifty nearly the one before it."""
    chance = random.Random(1)
    words = [
        "".join(chance.choices("abcdefghijklmnoprstuвгдежзиклмнопрст", k=chance.randint(2, 9)))
        for _ in range(20_000)
    ]
    before: list[str] = []
    with path.open("w", encoding="utf-8") as file:
        for number in range(rows):
            text = chance.choices(words, k=chance.randint(20, 120))
            if number % 50 == 1:
                text = [*before]
                text[3] = "changed"
            before = text
            row = {"prompt": f"{' '.join(text[:10])}?", "completion": " ".join(text)}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def measure(*command: str) -> tuple[float, float]:
    """Seconds, and MiB at most so far of any child."""
    begun = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return time.perf_counter() - begun, memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    oss = str(Path(sys.executable).with_name("oss"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "set.jsonl"
        write_set(path, given.rows)
        megabytes = path.stat().st_size / 2**20
        figures = {"rows": given.rows, "MiB": round(megabytes, 1)}
        runs = {  # from small to large: the memory is the most of all children so far
            "bare read": (sys.executable, "-c", BARE, str(path)),
            "convert": (oss, "data", "convert", str(path), "-o", f"{folder}/a.jsonl"),
            "stats": (oss, "data", "stats", str(path)),
            "check --exact": (oss, "data", "check", str(path), "--exact"),
            "check": (oss, "data", "check", str(path)),
        }
        for name, command in runs.items():
            seconds, memory = measure(*command)
            figures[f"{name}: s"] = round(seconds, 2)
            figures[f"{name}: MiB"] = round(memory)
    if given.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:<20} {value}")


if __name__ == "__main__":
    main()

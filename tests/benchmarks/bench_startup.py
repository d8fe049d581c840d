"""How long ``oss --help`` takes, as a multiple of ``python -c "import click"``."""

from __future__ import annotations

import os
import sys
import sysconfig
import tempfile
from pathlib import Path

from common import interleaved, parser, ratio, report, seconds


def main() -> None:
    options = parser(__doc__ or "", rounds=21).parse_args()
    oss = str(Path(sysconfig.get_path("scripts")) / "oss")
    with tempfile.TemporaryDirectory() as home:
        env = {k: v for k, v in os.environ.items() if not k.startswith("OSS_")}
        # As users have it: the cache folder found by platformdirs, not by OSS_HOME.
        env |= {
            "HOME": home,
            "XDG_CACHE_HOME": f"{home}/cache",
            "XDG_CONFIG_HOME": f"{home}/config",
        }
        found = interleaved(
            {
                "click": seconds([sys.executable, "-c", "import click"], env),
                "help": seconds([oss, "--help"], env),
                "version": seconds([oss, "--version"], env),
            },
            options.rounds,
        )
    report(
        [
            ratio("oss-help", found, "help", "click", limit="<= 2.0"),
            ratio("oss-version", found, "version", "click", limit="<= 2.0"),
        ],
        options.json,
    )


if __name__ == "__main__":
    main()

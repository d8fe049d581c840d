"""``python -m oss`` is the program ``oss``."""

import gc

from oss.cli.leaving import leave
from oss.cli.main import main


def run() -> None:
    """The program, to its exit."""
    # Modules and models stay: looking for garbage among them every 700 objects finds none.
    gc.set_threshold(20_000, 20, 20)
    try:
        main()
    except SystemExit as end:
        leave(end.code)
        raise


if __name__ == "__main__":
    run()

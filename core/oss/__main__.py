"""``python -m oss`` is the program ``oss``."""

from oss.cli.leaving import leave
from oss.cli.main import main


def run() -> None:
    """The program, to its exit."""
    try:
        main()
    except SystemExit as end:
        leave(end.code)
        raise


if __name__ == "__main__":
    run()

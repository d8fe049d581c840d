"""``python -m oss`` is the program ``oss``."""

from oss.cli.main import main

if __name__ == "__main__":
    main()

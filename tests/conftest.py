"""For all tests: Ctrl-C works, also where they were started in the background."""

from __future__ import annotations

import signal

# A shell starts background jobs with SIGINT ignored, and every child would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

"""Training data: every format in, one form out, each fault with its file and line."""

from oss.data.reading import Dataset, fingerprint, read, read_file, read_usable
from oss.data.rows import Conversation, Fault, Origin, Preference, Prompt, Rated, Row, Text
from oss.data.splitting import split

__all__ = [
    "Conversation",
    "Dataset",
    "Fault",
    "Origin",
    "Preference",
    "Prompt",
    "Rated",
    "Row",
    "Text",
    "fingerprint",
    "read",
    "read_file",
    "read_usable",
    "split",
]

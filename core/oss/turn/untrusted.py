"""Text from documents and tools: data for the model, never instructions to anyone.

Nothing here makes an injected instruction harmless to a model (OWASP LLM01:2025); it keeps such
text from passing for something else: for the end of its own enclosure, for a chat template's
control tokens, or for nothing at all.
"""

from __future__ import annotations

import hashlib
import re
import secrets

# Zero-width, directional, tag and variation-selector characters, which carry text that no one
# sees; and control characters, which act on terminals.
_HIDDEN = re.compile(
    "[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5"
    "\u180b-\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
# Control tokens of the templates of gpt-oss, ChatML, Llama, Mistral, Gemma, DeepSeek.
_CONTROL = re.compile(
    r"<(?=\||｜|/?s>|/?(?:start|end)_of_turn>|/?tool_call>|/?think>|<SYS>>|</SYS>>|bos>|eos>)"
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|TOOL_CALLS|TOOL_RESULTS|AVAILABLE_TOOLS)\])"
)
_MARK = re.compile(r"={2,}(?=\w*={2,})")


_UNPRINTABLE = re.compile("[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """The text without what acts on a terminal: control characters, changes of direction."""
    return _UNPRINTABLE.sub("", text)


def clean(text: str) -> str:
    """The text without hidden characters, and with look-alikes of control tokens and of the
    marks of :func:`enclose` broken by a space.
    """
    text = _HIDDEN.sub("", text.replace("\r\n", "\n"))
    text = _CONTROL.sub(lambda m: m.group() + " ", text)
    return _MARK.sub(lambda m: m.group()[:1] + " " + m.group()[1:], text)


def new_mark() -> str:
    """A line that a text cannot contain, because no one could guess it."""
    return f"=={secrets.token_hex(4)}=="


def mark_of(*texts: str) -> str:
    """As :func:`new_mark`, worked out from the texts: one that holds its own mark cannot be
    written, and the same texts have the same, so that a prompt can be made once more as it was.
    """
    digest = hashlib.blake2b(digest_size=6)
    for text in texts:
        digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return f"=={digest.hexdigest()}=="


def enclose(text: str, mark: str) -> str:
    """Cleaned text between two marks."""
    return f"{mark}\n{clean(text).strip()}\n{mark}"

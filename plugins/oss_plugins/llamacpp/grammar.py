"""JSON Schemas as grammars of llama.cpp, by llama-cpp-python's converter."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from oss.contracts.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping


def schema_grammar(schema: Mapping[str, Any] | None, call: Mapping[str, Any] | None) -> str | None:
    """The grammar of an answer by ``schema``; with ``call``, of an object by that or any text
    that does not begin with a brace; of anything: ``None``.

    :raises UsageError: a schema that the converter cannot read.
    """
    if schema is not None:
        return _convert(schema)
    if call is not None:
        rules = re.sub(r"^root ::=", "oss-call ::=", _convert(call), count=1, flags=re.MULTILINE)
        return f"{rules}\noss-text ::= [^{{] [\\x00-\\U0010FFFF]*\nroot ::= oss-call | oss-text\n"
    return None


def _convert(schema: Mapping[str, Any]) -> str:
    from llama_cpp.llama_grammar import json_schema_to_gbnf

    try:
        grammar: str = json_schema_to_gbnf(json.dumps(schema), prop_order=["name", "arguments"])
    except (AssertionError, ValueError, KeyError, TypeError, AttributeError) as error:
        # The converter checks nothing; these are what a wrong schema meets in it.
        raise UsageError(
            f"the JSON Schema cannot be used: {error or type(error).__name__}"
        ) from error
    return grammar

"""The loss is on the assistant's words, and on the token that ends them."""

from __future__ import annotations

import pytest

from oss.contracts.errors import ModelError, UsageError
from oss.contracts.messages import Message
from oss.data import Conversation, Origin, Text
from oss_plugins.peft_training.encoding import IGNORED, encode
from support import tiny_models

AT = Origin("t.jsonl", 3)
USER, BOT = Message("user", "Hi"), Message("assistant", "Ahoy!")


def learned(row: object, tokenizer: object) -> str:
    ids = [label for label in row.labels if label != IGNORED]  # type: ignore[attr-defined]
    return str(tokenizer.decode(ids))  # type: ignore[attr-defined]


def test_only_answers_are_learned_with_their_end() -> None:
    tokenizer = tiny_models.tokenizer()
    row = Conversation((USER, BOT, Message("user", "Привет"), Message("assistant", "Так")), AT)
    (made,) = encode(tokenizer, [row], 512).rows
    assert learned(made, tokenizer) == "Ahoy!<|im_end|>Так<|im_end|>"
    text = tokenizer.decode(made.input_ids)
    assert text.startswith("<|im_start|>user\nHi<|im_end|>")
    assert len(made.labels) == len(made.input_ids)


def test_the_prompt_is_what_generation_sees() -> None:
    tokenizer = tiny_models.tokenizer()
    (made,) = encode(tokenizer, [Conversation((USER, BOT), AT)], 512).rows
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}], add_generation_prompt=True, return_dict=False
    )
    first = next(n for n, label in enumerate(made.labels) if label != IGNORED)
    assert made.input_ids[:first] == prompt


def test_unlearned_answers_are_context() -> None:
    tokenizer = tiny_models.tokenizer()
    row = Conversation((USER, BOT, USER, Message("assistant", "Two")), AT, unlearned=frozenset({1}))
    (made,) = encode(tokenizer, [row], 512).rows
    assert learned(made, tokenizer) == "Two<|im_end|>"


DROPS_REASONING = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{% if m['thinking'] and loop.last %}({{ m['thinking'] }}){% endif %}"
    "{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def test_a_template_that_drops_earlier_reasoning_gives_a_row_for_each_answer() -> None:
    tokenizer = tiny_models.tokenizer(DROPS_REASONING)
    answers = [Message("assistant", f"A{n}", reasoning=f"think {n}") for n in (1, 2)]
    row = Conversation((USER, answers[0], USER, answers[1]), AT)
    made = encode(tokenizer, [row], 512).rows
    assert [learned(each, tokenizer) for each in made] == [
        "(think 1)A1<|im_end|>",
        "(think 2)A2<|im_end|>",
    ]
    assert "think 1" not in tokenizer.decode(made[1].input_ids)


def test_a_template_that_closes_no_turn_is_warned_of() -> None:
    open_ended = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}" + (
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )
    found = encode(tiny_models.tokenizer(open_ended), [Conversation((USER, BOT), AT)], 512)
    assert "never to stop" in found.notices[0]
    assert not encode(tiny_models.tokenizer(), [Conversation((USER, BOT), AT)], 512).notices


def test_too_long_rows_are_left_out_and_named() -> None:
    tokenizer = tiny_models.tokenizer()
    long = Conversation((USER, Message("assistant", "x" * 300)), AT)
    found = encode(tokenizer, [long, Conversation((USER, BOT), AT)], 100)
    assert len(found.rows) == 1
    assert "t.jsonl:3" in found.notices[0]
    with pytest.raises(UsageError, match="none of the 1 rows") as caught:
        encode(tokenizer, [long], 100)
    assert "max_length" in str(caught.value.hint)


def test_a_row_without_an_answer_is_named() -> None:
    tokenizer = tiny_models.tokenizer()
    found = encode(tokenizer, [Conversation((USER,), AT), Conversation((USER, BOT), AT)], 100)
    assert len(found.rows) == 1
    assert "no answer" in found.notices[0]


def test_a_model_without_a_chat_template() -> None:
    tokenizer = tiny_models.tokenizer(None)
    with pytest.raises(ModelError, match="no chat template"):
        encode(tokenizer, [Conversation((USER, BOT), AT)], 100)
    (made,) = encode(tokenizer, [Text("plain text", AT)], 100).rows
    assert made.labels == made.input_ids


def test_a_template_that_refuses_a_row_names_the_row() -> None:
    strict = "{{ raise_exception('roles must alternate') }}"
    with pytest.raises(UsageError, match=r"t\.jsonl:3.*roles must alternate"):
        encode(tiny_models.tokenizer(strict), [Conversation((USER, BOT), AT)], 100)


def test_long_text_is_cut_into_windows_and_all_of_it_learned() -> None:
    tokenizer = tiny_models.tokenizer()
    found = encode(tokenizer, [Text("abcdefghij" * 10, AT)], 32)
    assert [len(row.input_ids) for row in found.rows] == [32, 32, 32, 5]
    assert found.rows[-1].labels[-1] == tokenizer.eos_token_id

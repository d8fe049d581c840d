"""Raw answers of gpt-oss, as specified and as met in the wild."""

from __future__ import annotations

WEATHER = '{"city": "Москва"}'

CORPUS: dict[str, tuple[str, str, str, list[tuple[str, str]]]] = {
    # what it is: (raw, thinking, answer, calls)
    "thinking and answer": (
        "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>"
        "Привет!<|return|>",
        "Hm.",
        "Привет!",
        [],
    ),
    "answer alone": ("<|channel|>final<|message|>Hi.<|return|>", "", "Hi.", []),
    "no end": ("<|channel|>analysis<|message|>Hm.", "Hm.", "", []),
    "no end between": (
        "<|channel|>analysis<|message|>Hm.<|start|>assistant<|channel|>final<|message|>Hi.",
        "Hm.",
        "Hi.",
        [],
    ),
    "no end and no start between": (
        "<|channel|>analysis<|message|>Hm.<|channel|>final<|message|>Hi.",
        "Hm.",
        "Hi.",
        [],
    ),
    "plain text": ("Just text, no channels.", "", "Just text, no channels.", []),
    "text that looks like a marker": (
        "<|channel|>final<|message|>a <| b |> c < d<|e|>",
        "",
        "a <| b |> c < d<|e|>",
        [],
    ),
    "a call": (
        "<|channel|>analysis<|message|>Need it.<|end|><|start|>assistant<|channel|>commentary "
        f"to=functions.get_weather <|constrain|>json<|message|>{WEATHER}<|call|>",
        "Need it.",
        "",
        [("get_weather", WEATHER)],
    ),
    "the recipient stands in the role": (
        "<|end|><|start|>assistant to=functions.get_weather<|channel|>commentary json"
        f"<|message|>{WEATHER}<|call|>",
        "",
        "",
        [("get_weather", WEATHER)],
    ),
    "a call in the analysis channel": (
        f"<|channel|>analysis to=functions.get_weather code<|message|>{WEATHER}<|call|>",
        "",
        "",
        [("get_weather", WEATHER)],
    ),
    "a channel leaked into the name": (
        "<|channel|>commentary to=functions.get_weather<|channel|>commentary<|message|>"
        f"{WEATHER}<|call|>",
        "",
        "",
        [("get_weather", WEATHER)],
    ),
    "a name without namespace": (
        f"<|channel|>commentary to=get_weather <|message|>{WEATHER}",
        "",
        "",
        [("get_weather", WEATHER)],
    ),
    "arguments without a message marker": (
        f"<|channel|>commentary to=functions.get_weather <|constrain|>json{WEATHER}<|call|>",
        "",
        "",
        [("get_weather", WEATHER)],
    ),
    "no arguments": (
        "<|channel|>commentary to=functions.now<|message|><|call|>",
        "",
        "",
        [("now", "{}")],
    ),
    "broken arguments stay as they are": (
        '<|channel|>commentary to=functions.get_weather<|message|>{"city": "Мос',
        "",
        "",
        [("get_weather", '{"city": "Мос')],
    ),
    "a word before the call": (
        "<|channel|>commentary<|message|>I will look.<|end|><|start|>assistant<|channel|>"
        f"commentary to=functions.get_weather<|message|>{WEATHER}<|call|>",
        "",
        "I will look.",
        [("get_weather", WEATHER)],
    ),
    "two calls": (
        f"<|channel|>commentary to=functions.a<|message|>{WEATHER}<|call|><|start|>assistant"
        "<|channel|>commentary to=functions.b<|message|>{}<|call|>",
        "",
        "",
        [("a", WEATHER), ("b", "{}")],
    ),
    "a header that is cut off": (
        "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>comm",
        "Hm.",
        "",
        [],
    ),
    "a marker that is cut off": ("<|channel|>final<|message|>Hi.<|ret", "", "Hi.<|ret", []),
    "an unknown channel": ("<|channel|>whisper<|message|>Hi.<|end|>", "", "Hi.", []),
    "to everybody": ("<|channel|>final to=user<|message|>Hi.<|end|>", "", "Hi.", []),
    "text after the end": ("<|channel|>final<|message|>Hi.<|end|>Bye.", "", "Hi.Bye.", []),
    "nothing": ("", "", "", []),
    "markers alone": ("<|start|><|start|><|message|><|end|><|channel|><|call|>", "", "", []),
}

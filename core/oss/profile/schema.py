"""The profile: every table and key, its meaning and its default.

This is the one declaration. Validation, ``oss profile schema``, the reference page and
``oss profile show`` are all made from it.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

Overflow = Literal["refuse", "drop-oldest", "summarise"]
NotNegative = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]
Rate = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]


class Table(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A TOML table; unknown keys are refused.

    Where ``open_tables`` is true, the tables inside it that are no key of it are named by
    plugins: they hold the options of one engine each and are kept in ``options``.
    """

    open_tables: ClassVar[bool] = False


class ModelTable(Table, frozen=True):
    """Which model, and how much context."""

    name: Annotated[
        str | None,
        Meta(
            description="A short name, a path, or scheme:reference. Wins over `prefer`.",
            examples=["gpt-oss-20b", "./model.gguf", "hf:ggml-org/gpt-oss-20b-GGUF"],
        ),
    ] = None
    prefer: Annotated[
        tuple[str, ...],
        Meta(
            description="Models in order of preference; the first that is here and fits is used.",
            examples=[["gpt-oss-20b", "starter"]],
        ),
    ] = ()
    context: Annotated[
        int,
        Meta(ge=0, description="Tokens of context; 0 is as large as the model and memory allow."),
    ] = 0
    check_memory: Annotated[
        bool,
        Meta(description="Refuse a model that does not fit into memory before it is loaded."),
    ] = True


class BackendTable(Table, frozen=True):
    """Which engine. Options of an engine stand in a table of its own: `[backend.llamacpp]`."""

    open_tables: ClassVar[bool] = True

    name: Annotated[
        str, Meta(description="A backend, or `auto`: the first that can open the model here.")
    ] = "auto"
    options: Annotated[
        dict[str, dict[str, Any]],
        Meta(description="Backend name to its options; written as `[backend.NAME]` in TOML."),
    ] = {}


class SamplingTable(Table, frozen=True):
    """How the next token is drawn. A key left out is the persona's, else the engine's default."""

    temperature: Annotated[NotNegative | None, Meta(description="0 is greedy.", examples=[0.7])] = (
        None
    )
    top_p: Annotated[
        Share | None, Meta(description="Nucleus sampling; 1 is off.", examples=[0.95])
    ] = None
    top_k: Annotated[
        Count | None, Meta(description="Only the k likeliest tokens; 0 is all.", examples=[40])
    ] = None
    min_p: Annotated[
        Share | None,
        Meta(
            description="Only tokens this likely relative to the best; 0 is off.", examples=[0.05]
        ),
    ] = None
    repeat_penalty: Annotated[NotNegative | None, Meta(description="1 is off.", examples=[1.1])] = (
        None
    )
    presence_penalty: Annotated[
        Penalty | None, Meta(description="Against words already used; 0 is off.", examples=[0.5])
    ] = None
    frequency_penalty: Annotated[
        Penalty | None, Meta(description="Against words used often; 0 is off.", examples=[0.5])
    ] = None
    seed: Annotated[int | None, Meta(description="Makes a draw repeatable.", examples=[1])] = None
    max_tokens: Annotated[
        Positive | None, Meta(description="The longest answer, in tokens.", examples=[1024])
    ] = None
    stop: Annotated[
        tuple[str, ...], Meta(description="Texts that end the answer.", examples=[["END"]])
    ] = ()


class PersonaTable(Table, frozen=True):
    """Who the model is to be."""

    name: Annotated[
        str | None,
        Meta(description="A persona's name, or a path to its file.", examples=["critic"]),
    ] = None
    system: Annotated[
        str | None,
        Meta(
            description="System text written here, in place of a named persona.",
            examples=["Answer in one sentence."],
        ),
    ] = None
    variables: Annotated[
        dict[str, str],
        Meta(description="Values for the persona's template.", examples=[{"topic": "chess"}]),
    ] = {}


class ReasoningTable(Table, frozen=True):
    """How a reasoning model thinks, and whether it is shown."""

    effort: Annotated[
        Literal["none", "minimal", "low", "medium", "high"] | None,
        Meta(description="How much to think; models that cannot ignore it.", examples=["medium"]),
    ] = None
    show: Annotated[bool, Meta(description="Print the thinking, dimmed, before the answer.")] = (
        False
    )


class AdapterTable(Table, frozen=True):
    """An adapter to load with the model."""

    path: Annotated[
        str,
        Meta(
            description="An adapter's name, a GGUF LoRA file or a PEFT folder.",
            examples=["./my-style.gguf"],
        ),
    ]
    name: Annotated[
        str | None,
        Meta(description="What to call it; the file's name if left out.", examples=["my-style"]),
    ] = None
    scale: Annotated[float, Meta(description="1 is as trained, 0 is off.")] = 1.0


class RetrieverTable(Table, frozen=True):
    """Where passages come from. Options stand in a table of its own: `[retriever.NAME]`."""

    open_tables: ClassVar[bool] = True

    name: Annotated[
        str | None, Meta(description="A retriever; none if left out.", examples=["qdrant"])
    ] = None
    collections: Annotated[
        tuple[str, ...],
        Meta(
            description="Collections of the store to search in; `oss docs list` shows them.",
            examples=[["work", "manuals"]],
        ),
    ] = ()
    k: Annotated[int, Meta(ge=1, description="How many passages to look for.")] = 5
    mode: Annotated[
        Literal["hybrid", "dense", "bm25"],
        Meta(description="By meaning and words together, by meaning alone, or by words alone."),
    ] = "hybrid"
    fusion: Annotated[
        Literal["rrf", "dbsf"],
        Meta(description="How hybrid search joins both rankings: by rank, or by score."),
    ] = "rrf"
    where: Annotated[
        str | None,
        Meta(
            description="Only passages for which this holds.",
            examples=["source~manual and page<10"],
        ),
    ] = None
    diversity: Annotated[
        float, Meta(ge=0, le=1, description="Above 0, passages that say the same thing give way.")
    ] = 0.0
    neighbours: Annotated[
        int, Meta(ge=0, description="Chunks before and after each hit that come with it.")
    ] = 0
    reranker: Annotated[
        str | None,
        Meta(
            description="Puts the hits in a better order; none if left out.",
            examples=["sentences"],
        ),
    ] = None
    use: Annotated[
        Literal["always", "tool"],
        Meta(description="Search with every prompt, or let the model ask for a search."),
    ] = "always"
    rewrite: Annotated[
        bool,
        Meta(description="In a conversation, let the model turn the prompt into a full question."),
    ] = True
    strict: Annotated[
        bool, Meta(description="Answer only from passages; say so where they hold no answer.")
    ] = False
    options: Annotated[
        dict[str, dict[str, Any]],
        Meta(description="Retriever name to its options; written as `[retriever.NAME]` in TOML."),
    ] = {}


class MemoryTable(Table, frozen=True):
    """What is kept of a conversation."""

    overflow: Annotated[
        Overflow,
        Meta(description="When the conversation no longer fits the context."),
    ] = "drop-oldest"


class ToolsTable(Table, frozen=True):
    """What the model may ask for."""

    allow: Annotated[
        tuple[str, ...], Meta(description="Tools shown to the model.", examples=[["calculator"]])
    ] = ()
    consent: Annotated[
        Literal["ask", "always", "never"],
        Meta(
            description="Ask before a tool that is not safe runs; or never ask; or never run one."
        ),
    ] = "ask"
    max_rounds: Annotated[
        int, Meta(ge=1, description="How many times the model may call tools in one turn.")
    ] = 8


class TrainTable(Table, frozen=True):
    """How `oss train` makes an adapter. Options of a method stand in a table of its own:
    `[train.lora]`. A key left out takes the default that `oss train --recipe` explains.
    """

    open_tables: ClassVar[bool] = True

    data: Annotated[
        tuple[str, ...],
        Meta(description="Files of examples to learn from.", examples=[["./examples.jsonl"]]),
    ] = ()
    held_out: Annotated[
        tuple[str, ...],
        Meta(
            description="Files of examples to judge by; a share of `data` if left out.",
            examples=[["./held-out.jsonl"]],
        ),
    ] = ()
    held_out_share: Annotated[
        Share, Meta(description="The share of the questions in `data` that is not learned.")
    ] = 0.1
    adapter: Annotated[
        str | None,
        Meta(
            description="What to call the adapter; the profile's name if left out.",
            examples=["my-style"],
        ),
    ] = None
    method: Annotated[str, Meta(description="A method of training; `oss train --methods`.")] = (
        "lora"
    )
    objective: Annotated[
        Literal[
            "auto",
            "chat",
            "text",
            "distill",
            "dpo",
            "ipo",
            "apo",
            "kto",
            "orpo",
            "simpo",
            "cpo",
            "grpo",
        ],
        Meta(description="What is learned; `auto` goes by the kind of the examples."),
    ] = "auto"
    system: Annotated[
        Literal["persona", "as-is"],
        Meta(description="Give conversations without a system text the persona's, or none."),
    ] = "persona"
    start: Annotated[
        str | None,
        Meta(
            description="An adapter to go on from, or a folder with one or a checkpoint of one.",
            examples=["my-style"],
        ),
    ] = None
    teacher: Annotated[
        str | None,
        Meta(
            description="A profile whose model and adapters give the probabilities to learn.",
            examples=["big"],
        ),
    ] = None
    parallel: Annotated[
        Literal["copies", "fsdp2", "deepspeed"],
        Meta(description="How `--launch` shares the work: a whole model each, or parts of one."),
    ] = "copies"
    epochs: Annotated[NotNegative, Meta(description="Passes over the examples.")] = 3.0
    steps: Annotated[Count, Meta(description="Steps in all; 0 goes by `epochs`.")] = 0
    learning_rate: Annotated[
        Rate | None, Meta(description="The highest learning rate.", examples=[2e-4])
    ] = None
    batch: Annotated[
        Positive | None, Meta(description="Examples of one forward pass.", examples=[4])
    ] = None
    accumulation: Annotated[
        Positive | None, Meta(description="Forward passes of one step.", examples=[2])
    ] = None
    max_length: Annotated[
        Positive | None,
        Meta(description="Tokens of the longest example that is used.", examples=[1024]),
    ] = None
    warmup: Annotated[Share, Meta(description="Share of the steps in which the rate rises.")] = 0.03
    schedule: Annotated[
        Literal["linear", "cosine", "constant"], Meta(description="How the rate falls.")
    ] = "linear"
    weight_decay: Annotated[NotNegative, Meta(description="Pull of weights towards zero.")] = 0.0
    clip: Annotated[NotNegative, Meta(description="The longest gradient; 0 is no limit.")] = 1.0
    precision: Annotated[
        Literal["auto", "fp32", "bf16"], Meta(description="Number format of the weights.")
    ] = "auto"
    checkpointing: Annotated[
        bool, Meta(description="Less memory for a fifth to a quarter more time.")
    ] = False
    packing: Annotated[
        bool, Meta(description="Several short examples in one row, kept from seeing each other.")
    ] = False
    group_by_length: Annotated[
        bool, Meta(description="Examples of like length in one batch: less padding.")
    ] = True
    seed: Annotated[int, Meta(description="Makes a run repeatable.")] = 0
    save_every: Annotated[
        Count | None, Meta(description="Steps between checkpoints.", examples=[50])
    ] = None
    evaluate_every: Annotated[
        Count | None,
        Meta(description="Steps between looks at the held-out part.", examples=[50]),
    ] = None
    patience: Annotated[
        Count, Meta(description="Looks without a better loss before training stops; 0 never does.")
    ] = 0
    beta: Annotated[
        Rate | None,
        Meta(description="How closely preference training keeps to its start.", examples=[0.1]),
    ] = None
    sft_weight: Annotated[
        NotNegative,
        Meta(description="Share of the plain loss on the chosen answer in preference training."),
    ] = 1.0
    reward: Annotated[
        str | None,
        Meta(
            description="`file.py:function` that scores answers, for `grpo`; runs after consent.",
            examples=["./reward.py:score"],
        ),
    ] = None
    report_to: Annotated[
        tuple[str, ...],
        Meta(description="Also log to these.", examples=[["tensorboard"]]),
    ] = ()
    options: Annotated[
        dict[str, dict[str, Any]],
        Meta(description="Method name to its options; written as `[train.NAME]` in TOML."),
    ] = {}


class Profile(Table, frozen=True):
    """A profile: model, engine, persona, documents, tools and adapters in one file."""

    extends: Annotated[
        str | None,
        Meta(
            description="The profile whose values stand beneath: a name, or a path to a file.",
            examples=["base"],
        ),
    ] = None
    description: Annotated[
        str, Meta(description="One line for `oss profile list`.", examples=["My own settings"])
    ] = ""
    model: ModelTable = ModelTable()
    backend: BackendTable = BackendTable()
    sampling: SamplingTable = SamplingTable()
    persona: PersonaTable = PersonaTable()
    reasoning: ReasoningTable = ReasoningTable()
    adapter: tuple[AdapterTable, ...] = ()
    retriever: RetrieverTable = RetrieverTable()
    memory: MemoryTable = MemoryTable()
    tools: ToolsTable = ToolsTable()
    train: TrainTable = TrainTable()

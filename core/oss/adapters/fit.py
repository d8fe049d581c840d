"""Whether an adapter belongs to a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oss.contracts.errors import ModelError

if TYPE_CHECKING:
    from oss.adapters.card import BaseCard
    from oss.contracts.model import LocalModel


def describe_base(model: LocalModel) -> BaseCard:
    """What an adapter's card says of the model it is made for."""
    from dataclasses import replace

    from oss.adapters.card import BaseCard
    from oss.models import inspect_model, weights_hash

    assert model.path is not None  # noqa: S101  only models with files are trained
    facts = inspect_model(model.path)
    forms = {model.format: model.path, **model.forms}
    return BaseCard(
        name=model.name,
        ref=model.ref,
        architecture=facts.architecture,
        layers=facts.layers,
        width=facts.embedding_length,
        vocabulary=facts.vocabulary,
        hashes={
            form: weights_hash(replace(model, format=form, path=path, forms={}))
            for form, path in forms.items()
        },
    )


def check_fit(name: str, base: BaseCard, model: LocalModel) -> str | None:
    """``None`` where the adapter was made for these weights; else a word of warning.

    :raises ModelError: it cannot fit: another architecture, or other sizes.
    """
    check_sizes(name, base, model)
    found = describe_base(model)
    if base.hashes and not set(base.hashes.values()) & set(found.hashes.values()):
        return (
            f"adapter '{name}' was made for the weights of '{base.name}'; those of "
            f"'{model.name}' have the same shape but are others"
        )
    return None


def check_sizes(name: str, base: BaseCard, model: LocalModel) -> None:
    """As :func:`check_fit`, without a look at the weights: quick enough for every load.

    :raises ModelError: another number of layers, another width or vocabulary.
    """
    from oss.models import inspect_model

    assert model.path is not None  # noqa: S101  a model with files
    found = inspect_model(model.path)
    differing = [
        f"{what} {is_now} instead of {was}"
        for what, was, is_now in (
            ("layers", base.layers, found.layers),
            ("width", base.width, found.embedding_length),
            ("vocabulary", base.vocabulary, found.vocabulary),
        )
        if was and is_now and was != is_now
    ]
    if differing:
        raise ModelError(
            f"adapter '{name}' was made for '{base.name}', not for '{model.name}': "
            f"{', '.join(differing)}",
            hint=f"run it with --model {base.name}",
        )

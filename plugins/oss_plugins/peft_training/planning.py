"""What a job would take, known from the shape of the model and the tokens of the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oss.contracts.adapter import TrainPlan
from oss_plugins.peft_training.methods import OVER_TOKENS

if TYPE_CHECKING:
    from oss.contracts.adapter import TrainJob
    from oss_plugins.peft_training.methods import PeftMethod


def plan(method: PeftMethod, job: TrainJob) -> TrainPlan:
    """Trainable parameters, tokens, steps and memory; no weights are loaded."""
    from oss_plugins.peft_training.base import load_config, load_shape, load_tokenizer
    from oss_plugins.peft_training.encoding import encode

    tokenizer = load_tokenizer(job.base, load_config(job.base))
    notices: tuple[str, ...] = ()
    if job.objective in OVER_TOKENS:
        encoded = encode(tokenizer, job.rows, job.settings.max_length)
        count, tokens, learned = len(encoded.rows), encoded.tokens, encoded.learned
        longest, notices = encoded.longest, encoded.notices
    else:
        from oss_plugins.peft_training.preferences import measure

        count, tokens, learned, longest = measure(tokenizer, job.rows)
    from oss_plugins.peft_training.running import quiet

    model = load_shape(job.base)
    parameters = sum(p.numel() for p in model.parameters())
    with quiet():
        trained, more = method.shape(model, job)
    trainable = sum(p.numel() for p in trained.parameters() if p.requires_grad)
    effective = job.settings.batch * job.settings.accumulation
    return TrainPlan(
        trainable=trainable,
        parameters=parameters,
        tokens=tokens,
        learned_tokens=learned,
        longest=longest,
        steps=job.settings.steps,
        epochs=job.settings.steps * effective / count,
        memory=memory(method, job, parameters, trainable, min(longest, job.settings.max_length)),
        notices=notices + more,
    )


def memory(method: PeftMethod, job: TrainJob, parameters: int, trainable: int, longest: int) -> int:
    """Bytes at the peak, to within a third: weights, what Adam keeps of what learns, activations.

    Per layer and token a transformer keeps about 34 numbers per hidden unit for the backward pass
    (arXiv 2205.05198, equation 1, without its attention matrix), or one with checkpointing; LoRA
    keeps about as much as full training, since activations are needed for its own gradients.
    """
    from oss_plugins.peft_training.base import decided_precision, load_config

    text = load_config(job.base).get_text_config()
    width = 4 if decided_precision(job.settings.precision) == "fp32" else 2
    weights = parameters * (0.6 if method.four_bits else width)
    learning = trainable * (width + 4 + 8)  # a gradient, and Adam's two averages in fp32
    tokens = longest * job.settings.batch
    kept = 2 if job.settings.checkpointing else 34
    activations = tokens * text.hidden_size * text.num_hidden_layers * kept * width / 2
    # the log-probabilities are computed in chunks of the vocabulary's rows, but for a teacher's
    distilled = job.objective == "distill"
    logits = (tokens * 4 if distilled else min(tokens, 1024)) * text.vocab_size * 4 * 2
    weights *= 2 if distilled else 1  # about, where the teacher is of the student's size
    return int(weights + learning + activations + logits)

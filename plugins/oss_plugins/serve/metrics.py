"""What Prometheus is told; each server has a registry of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

if TYPE_CHECKING:
    from oss.turn.events import Done

CONTENT_TYPE = CONTENT_TYPE_LATEST
SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics:
    """Counters of one server. Models are named only when they exist: labels are bounded."""

    def __init__(self) -> None:
        self.registry = here = CollectorRegistry()
        self.requests = Counter(
            "oss_requests", "Requests answered.", ("path", "status"), registry=here
        )
        self.running = Gauge("oss_requests_running", "Answers being generated.", registry=here)
        self.waiting = Gauge("oss_requests_waiting", "Requests in the queue.", registry=here)
        self.cancelled = Counter("oss_requests_cancelled", "Clients that left.", registry=here)
        self.prompt = Counter("oss_prompt_tokens", "Prompt tokens.", ("model",), registry=here)
        self.cached = Counter(
            "oss_cached_tokens",
            "Prompt tokens that were not evaluated again.",
            ("model",),
            registry=here,
        )
        self.completion = Counter(
            "oss_completion_tokens", "Answer tokens.", ("model",), registry=here
        )
        self.first_token = Histogram(
            "oss_first_token_seconds",
            "From the request, queue included, to the first token.",
            ("model",),
            buckets=SECONDS,
            registry=here,
        )
        self.engines = Gauge("oss_engines_loaded", "Engines in memory.", registry=here)

    def count(self, model: str, done: Done) -> None:
        """Add the tokens of an answer."""
        self.prompt.labels(model).inc(done.usage.prompt_tokens)
        self.cached.labels(model).inc(done.usage.cached_tokens)
        self.completion.labels(model).inc(done.usage.completion_tokens)

    def text(self) -> bytes:
        """The exposition."""
        return generate_latest(self.registry)

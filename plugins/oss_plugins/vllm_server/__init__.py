"""The backend ``vllm``: a vLLM server that oss starts and stops, or one that runs elsewhere."""

from __future__ import annotations

from oss.contracts.descriptors import Descriptor, Option
from oss.hookspecs import hookimpl

OPTIONS = (
    Option("url", "str", "", "a server that runs already; empty: oss starts one for itself"),
    Option(
        "key",
        "str",
        "",
        "where that server's key is: env:VARIABLE or keyring:SERVICE; never the key itself",
    ),
    Option("timeout", "float", 600.0, "seconds that the server may stay silent", minimum=1),
    Option("retries", "int", 4, "how often a failed request is sent again", minimum=0, maximum=20),
    Option(
        "python",
        "path",
        None,
        "the interpreter that has vLLM, where it lives in an environment of its own; "
        "else OSS_VLLM_PYTHON, else the one that runs oss",
    ),
    Option("start_timeout", "float", 1800.0, "seconds that a start may take", minimum=1),
    Option("tensor_parallel", "int", 1, "GPUs that each layer is split over", minimum=1),
    Option("pipeline_parallel", "int", 1, "groups that the layers are dealt to", minimum=1),
    Option(
        "executor",
        "str",
        "auto",
        "what runs the GPUs: processes of this machine, or a Ray cluster over several",
        choices=("auto", "mp", "ray"),
    ),
    Option("expert_parallel", "bool", False, "whole experts per GPU, in place of slices of each"),
    Option("gpu_memory", "float", 0.9, "share of the GPU's memory to take", minimum=0, maximum=1),
    Option("max_requests", "int", 0, "answers at once; 0 is vLLM's own choice", minimum=0),
    Option("dtype", "str", "auto", "of the weights, as vLLM names them"),
    Option("quantization", "str", "", "as vLLM names it; empty: what the model's files say"),
    Option("kv_cache_dtype", "str", "auto", "of the context in memory, such as fp8"),
    Option("prefix_caching", "bool", True, "keep evaluated prompts for those that begin alike"),
    Option("eager", "bool", False, "no compilation: starts sooner, answers slower"),
    Option("speculative", "str", "", "speculative decoding, as JSON for --speculative-config"),
    Option(
        "tool_parser",
        "str",
        "auto",
        "who reads the model's calls; auto: by its family; none: calls are made by a schema",
    ),
    Option("reasoning_parser", "str", "auto", "who reads its thinking; auto: by its family; none"),
    Option("extra", "list", [], "further flags of vLLM's server, as on its command line"),
)


@hookimpl
def oss_backends() -> list[Descriptor]:
    """vLLM."""
    return [
        Descriptor(
            "vllm",
            "Hugging Face models on one or many GPUs (vLLM), started here or elsewhere",
            "oss_plugins.vllm_server.backend:VllmBackend",
            options=OPTIONS,
            capabilities=frozenset(
                {
                    "tools",
                    "json_schema",
                    "logprobs",
                    "reasoning",
                    "adapters",
                    "per_request_adapters",
                    "batching",
                }
            ),
            extra="vllm",
        )
    ]

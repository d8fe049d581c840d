"""vLLM itself reads the flags that options become, and knows the parsers that families get."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from oss_plugins.vllm_server.families import FAMILIES, Family
from oss_plugins.vllm_server.flags import server_flags

from .conftest import DEFAULTS
from .test_flags import adapter

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.vllm, pytest.mark.slow]

READ = """
import json, sys
from vllm.entrypoints.launchers.cli_args import make_arg_parser
from vllm.reasoning import ReasoningParserManager
from vllm.tool_parsers import ToolParserManager
from vllm.utils.argparse_utils import FlexibleArgumentParser

given = json.load(sys.stdin)
for name in given["tools"]:
    ToolParserManager.get_tool_parser(name)
for name in given["reasoning"]:
    ReasoningParserManager.get_reasoning_parser(name)
read = []
for words in given["flags"]:
    args = vars(make_arg_parser(FlexibleArgumentParser()).parse_args(words))
    read.append({key: args[key] for key in given["keys"]})
sys.stdout.write("\\n" + json.dumps(read, default=str))
"""
OPTIONS: list[dict[str, Any]] = [
    {},
    {"tensor_parallel": 8, "pipeline_parallel": 2, "executor": "ray", "expert_parallel": True},
    {
        "quantization": "fp8",
        "kv_cache_dtype": "fp8",
        "dtype": "bfloat16",
        "max_requests": 16,
        "gpu_memory": 0.85,
        "prefix_caching": False,
        "eager": True,
        "context": 0,
        "speculative": '{"method": "ngram", "num_speculative_tokens": 4}',
        "extra": ["--max-num-batched-tokens", "8192", "--max-cudagraph-capture-size", "2048"],
    },
]
KEYS = {
    "tensor_parallel_size": [1, 8, 1],
    "pipeline_parallel_size": [1, 2, 1],
    "distributed_executor_backend": [None, "ray", None],
    "enable_expert_parallel": [False, True, False],
    "quantization": [None, None, "fp8"],
    "kv_cache_dtype": ["auto", "auto", "fp8"],
    "dtype": ["auto", "auto", "bfloat16"],
    "max_num_seqs": [None, None, 16],
    "gpu_memory_utilization": [0.9, 0.9, 0.85],
    "enable_prefix_caching": [True, True, False],
    "enforce_eager": [False, False, True],
    "max_num_batched_tokens": [None, None, 8192],
    "enable_lora": [False, True, False],
    "max_lora_rank": [16, 8, 16],
    "tool_call_parser": [None, "openai", "hermes"],
    "reasoning_parser": ["", "openai_gptoss", "qwen3"],
    "enable_prompt_tokens_details": [True, True, True],
    "enable_auto_tool_choice": [False, True, True],
}


def test_flags_and_parsers(vllm_python: str, folder: Path) -> None:
    families = [Family(), FAMILIES["gpt_oss"], FAMILIES["qwen3"]]
    adapters = [(), (adapter(folder),), ()]
    given = {
        "flags": [
            server_flags(folder, "starter", {**DEFAULTS, **options}, family, some)
            for options, family, some in zip(OPTIONS, families, adapters, strict=True)
        ],
        "keys": [*KEYS, "speculative_config", "structured_outputs_config", "max_model_len"],
        "tools": sorted({family.tools for family in FAMILIES.values()} | {"qwen3_xml"}),
        "reasoning": sorted({f.reasoning for f in FAMILIES.values() if f.reasoning}),
    }
    done = subprocess.run(
        [vllm_python, "-c", READ],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "VLLM_NO_USAGE_STATS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    read = json.loads(done.stdout.splitlines()[-1])
    for key, wanted in KEYS.items():
        # What is left out is None in some of vLLM's releases, and False or empty in others.
        assert [each[key] or None for each in read] == [one or None for one in wanted], key
    assert "ngram" in json.dumps(read[2]["speculative_config"])
    assert all("guidance" in json.dumps(each["structured_outputs_config"]) for each in read)
    assert [each["max_model_len"] for each in read] == [1024, 1024, -1]

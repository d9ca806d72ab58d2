"""A config.json is refused before transformers sees it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from jobbatch.errors import ModelError
from jobbatch.training.safety import architecture

pytestmark = pytest.mark.train

GOOD = {
    "model_type": "roberta",
    "hidden_size": 8,
    "vocab_size": 9,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "max_position_embeddings": 130,
}
HOSTILE = {
    "_attn_implementation_internal": "somebody/kernel",
    "attn_implementation": "somebody/kernel",
    "_attn_implementation": "somebody/kernel",
    "auto_map": {"AutoModel": "code.Model"},
    "quantization_config": {},
}


def test_a_plain_configuration_is_taken() -> None:
    content = GOOD | {"_name_or_path": "roberta-base", "architectures": ["RobertaForMaskedLM"]}
    assert architecture(json.dumps(content).encode(), "x") == {
        k: v for k, v in GOOD.items() if k != "model_type"
    }


@pytest.mark.fault(34)
@pytest.mark.parametrize("key", HOSTILE)
def test_keys_that_can_run_code_are_refused(key: str) -> None:
    with pytest.raises(ModelError, match=f"'{key}', which is refused"):
        architecture(json.dumps(GOOD | {key: HOSTILE[key]}).encode(), "x")


@pytest.mark.fault(34)
@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[]",
        json.dumps(GOOD | {"model_type": "bert"}).encode(),
        json.dumps(GOOD | {"_name_or_path": {"a": 1}}).encode(),
        json.dumps(GOOD | {"hidden_size": "8"}).encode(),
        json.dumps(GOOD | {"vocab_size": True}).encode(),
        json.dumps({"model_type": "roberta"}).encode(),
    ],
)
def test_other_configurations_are_refused(content: bytes) -> None:
    with pytest.raises(ModelError, match=r"config\.json"):
        architecture(content, "x")


@pytest.mark.fault(34)
@pytest.mark.parametrize("key", ["_attn_implementation_internal", "auto_map"])
def test_a_base_is_refused_before_transformers_is_imported(tmp_path: Path, key: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps(GOOD | {key: HOSTILE[key]}))
    code = (
        "import sys; from jobbatch.errors import ModelError; from jobbatch.training import bases\n"
        f"try: bases.open_base({str(tmp_path)!r})\n"
        "except ModelError as error: print(error)\n"
        "print('transformers' in sys.modules)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    ).stdout
    assert f"'{key}', which is refused" in answer
    assert answer.endswith("False\n")

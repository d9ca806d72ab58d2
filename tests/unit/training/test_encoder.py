"""The network that is written is the one that transformers reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    RobertaForSequenceClassification,
)

from jobbatch.errors import ModelError
from jobbatch.labels import LabelSet
from jobbatch.tokenizer import MAX_TOKENS, TitleTokenizer
from jobbatch.training import encoder
from jobbatch.training.encoder import EncoderOptions
from jobbatch.training.examples import probabilities
from jobbatch.training.train_report import TrainReport

pytestmark = pytest.mark.train

LABELS = LabelSet(("a", "b", "c"))
KEYS = ["chief kite officer", "owner", "zebra & quartz , ünïcode", " ".join(["moss"] * 140)]


def test_auto_classes_read_the_folder(trained: tuple[Path, TrainReport]) -> None:
    folder = trained[0]
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert isinstance(model, RobertaForSequenceClassification)
    assert model.dtype == torch.float32
    assert model.config.problem_type == "multi_label_classification"
    assert list(model.config.id2label.values())[:2] == ["Chief Officer", "Owner"]
    assert (tokenizer.pad_token_id, tokenizer.cls_token, tokenizer.sep_token) == (
        0,
        "[CLS]",
        "[SEP]",
    )
    assert tokenizer.model_max_length == MAX_TOKENS

    ours = encoder.build(
        EncoderOptions(base=str(folder), prune_vocabulary=False),
        LabelSet(tuple(model.config.id2label.values())),
        (),
        0,
    )
    batch = tokenizer(KEYS[:3], padding=True, return_tensors="pt")
    with torch.inference_mode():
        expected = torch.sigmoid(model.eval()(**batch).logits).numpy()
    assert np.abs(probabilities(ours.model, ours.tokens(KEYS[:3])) - expected).max() < 1e-6


def test_our_token_ids_are_those_of_transformers(trained: tuple[Path, TrainReport]) -> None:
    theirs = AutoTokenizer.from_pretrained(trained[0])
    tokens = TitleTokenizer((trained[0] / "tokenizer.json").read_bytes()).encode(KEYS)
    expected = [theirs(key, truncation=True)["input_ids"] for key in KEYS]
    assert np.split(tokens.flat, np.cumsum(tokens.lengths)[:-1])[3].tolist() == expected[3]
    assert tokens.flat.tolist() == [i for ids in expected for i in ids]
    assert tokens.truncated.tolist() == [False, False, False, True]


def test_the_longest_title_fits_the_position_table(tiny_base: Path) -> None:
    network = encoder.build(EncoderOptions(base=str(tiny_base)), LABELS, KEYS, 0)
    assert network.model.config.max_position_embeddings == MAX_TOKENS + 1
    assert np.isfinite(probabilities(network.model, network.tokens(KEYS))).all()


def test_layers_are_kept_evenly_spaced() -> None:
    assert encoder._layers(6, None) == [0, 1, 2, 3, 4, 5]
    assert encoder._layers(6, 4) == [0, 2, 3, 5]
    assert encoder._layers(6, 3) == [0, 2, 5]
    assert encoder._layers(6, 1) == [0]
    for wanted in (0, 7):
        with pytest.raises(ModelError, match="6 layers"):
            encoder._layers(6, wanted)


def test_a_layer_can_be_left_out(tiny_base: Path) -> None:
    whole = encoder.build(EncoderOptions(base=str(tiny_base)), LABELS, KEYS, 0)
    less = encoder.build(EncoderOptions(base=str(tiny_base), n_layers=1), LABELS, KEYS, 0)
    assert less.model.config.num_hidden_layers == 1
    first = "roberta.encoder.layer.0.output.dense.weight"
    assert torch.equal(less.model.state_dict()[first], whole.model.state_dict()[first])


def test_the_seed_decides_the_head(tiny_base: Path) -> None:
    heads = [
        encoder.build(EncoderOptions(base=str(tiny_base)), LABELS, KEYS, seed).model.state_dict()[
            "classifier.dense.weight"
        ]
        for seed in (0, 0, 1)
    ]
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def test_rounded_weights_survive_saving(tiny_base: Path, tmp_path: Path) -> None:
    network = encoder.build(EncoderOptions(base=str(tiny_base)), LABELS, KEYS, 0)
    encoder.round_for_storage(network.model)
    network.save(tmp_path)
    again = encoder.build(EncoderOptions(base=str(tmp_path), prune_vocabulary=False), LABELS, (), 1)
    tokens = network.tokens(KEYS)
    assert np.array_equal(probabilities(network.model, tokens), probabilities(again.model, tokens))


def test_a_weight_beyond_fp16_is_not_written(tiny_base: Path, tmp_path: Path) -> None:
    network = encoder.build(EncoderOptions(base=str(tiny_base)), LABELS, KEYS, 0)
    with torch.no_grad():
        network.model.classifier.out_proj.bias[0] = 1e6
    with pytest.raises(ModelError, match="not finite in fp16"):
        network.save(tmp_path)

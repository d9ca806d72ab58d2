"""A tiny RoBERTa (2 layers, 32 wide) that knows nothing, and made-up titles to teach it.

Needs the extra `train` where it builds weights; importing it needs nothing.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import polars as pl
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
LETTERS = "abcdefghijklmnopqrstuvwxyz&/,()0123456789"
WORDS = (
    "chief", "officer", "owner", "vice", "president", "director", "manager", "head", "of", "the",
    "clerk", "moss", "kite", "tunnel", "puzzle", "lantern", "teapot", "whistle", "button", "ladder",
    "##s", "##er", "##ing", "##tion", "zebra", "quartz", "unused",
)  # fmt: skip
THINGS = ("Moss", "Kite", "Tunnel", "Puzzle", "Lantern", "Teapot", "Whistle", "Button", "Ladder")
PATTERNS = {
    "Chief {} Officer": "Chief Officer",
    "Owner, {} Shed": "Owner",
    "Vice President of {} Care": "Vice President",
    "{} Shed Director": "Director",
    "{} Shed Manager": "Manager",
    "{} Shed Clerk": "Individual Contributor/Staff",
    "Owner / Manager, {} Shed": "Owner;Manager",
}


def own_titles() -> pl.DataFrame:
    """Return 63 made-up titles with two label columns."""
    rows = [
        (pattern.format(thing), *f"{labels};".split(";")[:2])
        for thing, (pattern, labels) in itertools.product(THINGS, PATTERNS.items())
    ]
    return pl.DataFrame(rows, schema=["Job Title", "Column 1", "Column 2"], orient="row")


def titles_in_context() -> pl.DataFrame:
    """Return 54 titles that only the team tells apart, each in two teams, and one without."""
    levels = {"the owner of the shed": "Owner", "shed clerks": "Individual Contributor/Staff"}
    rows = [
        (f"{thing} {word}", team, level)
        for thing, word in itertools.product(THINGS, ("Head", "Chief", "Whistling"))
        for team, level in levels.items()
    ]
    rows.append(("Puzzle Manager", None, "Manager"))
    return pl.DataFrame(rows, schema=["Job Title", "team", "label"], orient="row")


def tokenizer() -> Tokenizer:
    """Return an uncased WordPiece tokenizer of the letters and a few words."""
    tokens = dict.fromkeys([*SPECIAL, *LETTERS, *(f"##{c}" for c in LETTERS), *WORDS])
    made = Tokenizer(models.WordPiece({t: i for i, t in enumerate(tokens)}, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    made.add_special_tokens(list(SPECIAL))
    return made


def build_base(folder: Path) -> Path:
    """Make the Hugging Face folder of a RoBERTa with random weights and no head."""
    import torch
    from safetensors.torch import save_file
    from transformers import RobertaConfig, RobertaForSequenceClassification

    folder.mkdir()
    made = tokenizer()
    made.save(str(folder / "tokenizer.json"))
    torch.manual_seed(7)
    config = RobertaConfig(
        vocab_size=made.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=140,
        type_vocab_size=1,
        pad_token_id=0,
        initializer_range=0.2,
    )
    (folder / "config.json").write_text(json.dumps(config.to_diff_dict()))
    weights = RobertaForSequenceClassification(config).state_dict()
    encoder = {name: t for name, t in weights.items() if name.startswith("roberta.")}
    save_file(encoder, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }

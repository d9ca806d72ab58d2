"""What is measured on: made-up titles, tables of any size, and RoBERTa models of random weights."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from itertools import islice, product
from pathlib import Path

import numpy as np
import polars as pl

from jobbatch.settings.teaching import ExportRecipe
from jobbatch.titles import Normaliser

ROOT = Path(__file__).parents[1]
OWN_TITLES = ROOT / "jobbatch" / "training" / "titles.csv"
_PLACES = (
    "Europe Asia Africa Canada Mexico Brazil Chile Peru Spain Italy France Poland Greece Turkey Egypt "
    "Kenya Ghana India Nepal China Korea Japan Texas Ohio Utah Iowa Maine Nevada Oregon London Paris "
    "Berlin Madrid Rome Vienna Zurich Oslo Dublin Lisbon Prague Sweden Norway Denmark Finland Iceland "
    "Ireland Wales Belgium"
).split()
_FIELDS = (
    "Sales Marketing Finance Legal Audit Risk Data Cloud Tax Payroll Safety Design Quality Claims "
    "Retail Energy Health Rail Ports Mining Water Gas Food Wine Toys Film Music Media Travel Hotels "
    "Banking Leasing Lending Steel Paper Glass Textiles Plastics Robotics Space"
).split()
TITLE = "Job Title"


def titles(n: int) -> list[str]:
    """Return `n` titles as people write them, with distinct keys, in a fixed random order."""
    table = pl.read_csv(OWN_TITLES, infer_schema=False).select("title")
    keyed = table.with_columns(key=Normaliser().key("title")).unique("key", maintain_order=True)
    return keyed["title"].sample(n, seed=0, shuffle=True).to_list()


def fresh_titles(n: int) -> list[str]:
    """Return `n` distinct titles, up to 700,000: people's, and their shorter ones with one more word.

    They have 7 tokens, as real ones do. Among up to 15,000 two thirds are people's.
    """
    whole = titles(10_000)
    short = [title for title in whole if len(title.split()) <= 4]
    made = [*whole, *(f"{title} {word}" for word in (*_PLACES, *_FIELDS) for title in short)]
    return pl.Series(made[: max(n, 15_000)]).sample(n, seed=0, shuffle=True).to_list()


def many_titles(n: int) -> pl.Series:
    """Return `n` distinct titles, up to some millions: short ones with a field and a place each."""
    short = [t for t in titles(8_000) if len(t.split()) <= 5]
    made = (f"{t}, {f} {p}" for f, p, t in product(_FIELDS, _PLACES, short))
    return pl.Series(TITLE, list(islice(made, n)))


def table(n_rows: int, distinct: pl.Series, seed: int = 0) -> pl.DataFrame:
    """Return `n_rows` rows of six columns, with titles drawn from `distinct`."""
    random = np.random.default_rng(seed)
    company = pl.Series(random.integers(0, 200_000, n_rows))
    return pl.DataFrame(
        {
            "id": pl.int_range(n_rows, eager=True),
            "first name": pl.Series(random.integers(0, 5_000, n_rows)).cast(pl.String),
            TITLE: distinct.gather(random.integers(0, len(distinct), n_rows)),
            "company": "Company " + company.cast(pl.String),
            "spend": random.normal(size=n_rows).round(2),
            "active": random.integers(0, 2, n_rows).astype(np.bool_),
        }
    )


def write_parquet(path: Path, n_rows: int, distinct: pl.Series, chunk: int = 2_000_000) -> None:
    """Write a table of any length, a chunk in memory at a time."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        for number, start in enumerate(range(0, n_rows, chunk)):
            part = table(min(chunk, n_rows - start), distinct, seed=number)
            part.write_parquet(Path(folder) / f"{number:06}.parquet", row_group_size=500_000)
        pl.scan_parquet(f"{folder}/*.parquet").sink_parquet(path, row_group_size=500_000)


def recipe(name: str) -> ExportRecipe:
    """Return a recipe of export/."""
    from jobbatch.training import export  # noqa: PLC0415 - takes seconds

    return export.load_recipe(ROOT / "export" / f"{name}.toml")


def add_graph(folder: Path, file: str, recipe: ExportRecipe) -> None:
    """Add a graph to a model folder, unchecked."""
    from jobbatch.training import peaks  # noqa: PLC0415
    from jobbatch.training.graph import make_graph  # noqa: PLC0415

    files = {name: (folder / name).read_bytes() for name in ("config.json", "model.safetensors")}
    tokenizer = (folder / "tokenizer.json").read_bytes()
    with tempfile.TemporaryDirectory() as workspace:
        examples = peaks.own_titles(tokenizer, Normaliser())
        made = make_graph(files, recipe, Path(workspace), examples)
    (folder / file).parent.mkdir(exist_ok=True)
    (folder / file).write_bytes(made)


def copy_model(source: Path, folder: Path, graphs: Mapping[str, ExportRecipe]) -> Path:
    """Copy a model folder and give it these graphs, by the recipe of each file."""
    from jobbatch.weights import ModelFolder, write_manifest  # noqa: PLC0415

    shutil.copytree(source, folder)
    for file, asked in graphs.items():
        add_graph(folder, file, asked)
    write_manifest(folder, ModelFolder(folder).manifest)
    return folder


def random_model(folder: Path, layers: int, width: int, graphs: Mapping[str, ExportRecipe]) -> Path:
    """Make a model folder of random weights with graphs, by the recipe of each file.

    The tokenizer is a byte-level BPE of 8,192 tokens, as RoBERTa has one of 50,265.
    """
    from transformers import RobertaConfig, RobertaForSequenceClassification  # noqa: PLC0415

    from jobbatch.decisions import Decisions, Scaling  # noqa: PLC0415
    from jobbatch.labels import JOB_LEVELS  # noqa: PLC0415
    from jobbatch.training.encoder import Encoder  # noqa: PLC0415
    from jobbatch.weights import Manifest, write_manifest  # noqa: PLC0415

    tokenizer = _tokenizer()
    config = RobertaConfig(
        vocab_size=8_192,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=width // 64 if width % 64 == 0 else 12,
        intermediate_size=4 * width,
        max_position_embeddings=130,
        type_vocab_size=1,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
        problem_type="multi_label_classification",
        id2label=dict(enumerate(JOB_LEVELS)),
        label2id={name: i for i, name in enumerate(JOB_LEVELS)},
    )
    folder.mkdir(parents=True)
    network = RobertaForSequenceClassification(config)
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            parameter.data.normal_(std=0.02)  # all zero they would be one, which none ever are
    Encoder(network, tokenizer, "random").save(folder)
    plain = Decisions(calibration=(Scaling(),) * 6, thresholds=(0.5,) * 6, order=JOB_LEVELS)
    (folder / "decisions.json").write_bytes(plain.to_json())
    for file, asked in graphs.items():
        add_graph(folder, file, asked)
    manifest = Manifest(
        name=folder.name,
        created="",
        labels=JOB_LEVELS,
        normaliser=Normaliser(),
        normaliser_version=Normaliser().version,
        versions={},
        data={},
        canaries=(),
        files={},
    )
    write_manifest(folder, manifest)
    return folder


def _tokenizer() -> bytes:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers  # noqa: PLC0415

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trainer = trainers.BpeTrainer(
        vocab_size=8_192,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    # Often enough that each of the words is one token, as in a vocabulary of 50,265.
    texts = titles(10_000) + [*_PLACES, *_FIELDS] * 100
    keys = pl.DataFrame({"title": texts}).select(Normaliser().key("title"))
    made.train_from_iterator(keys.to_series().to_list(), trainer)
    made.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    content = json.loads(made.to_str())
    return json.dumps(content, ensure_ascii=False).encode()

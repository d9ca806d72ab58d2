r"""Cross-validates all that makes the shipped model, and its rivals, in one run.

    python benchmarks/quality/crossvalidate.py JobLevelData.xlsx --base weights/base \
        --corrections weights/notes/joblevel-corrections.csv --unlabelled titles.parquet \
        --output benchmarks/quality/results/joblevel.json

Folds are of the sheet's titles, stratified by labels and grouped by normalised title. Whatever
sees labels is fitted inside the fold: the linear models, the teacher, its pseudo-labels, the
student, calibration, thresholds and the ensemble's weights. Outside of it stand the package's own
titles, the hand-labelled open titles, and the base, which saw no label. Five folds take about an
hour on two cores with bf16, three without it. A fold that is done stays in `<output>.folds/`: the same
command, run again, goes on with the others.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from jobbatch.decisions import Decisions, Scaling
from jobbatch.devices import ONNX_FILE
from jobbatch.labels import JOB_LEVELS
from jobbatch.model import TitleModel
from jobbatch.settings.teaching import TrainSettings
from jobbatch.training import (
    classic,
    corrections,
    dataset,
    export,
    folder,
    graph,
    labelled_table,
    models,
    splits,
    tuning,
)
from jobbatch.training import train as training
from jobbatch.training.calibration_figures import expected_calibration_error
from jobbatch.training.dataset import Dataset
from jobbatch.training.distillation import distil
from jobbatch.training.evaluation import Decided, decide, figures
from jobbatch.training.examples import Titles
from jobbatch.training.folder import versions
from jobbatch.training.scorer import TitleScorer
from jobbatch.weights import ModelFolder, write_manifest

HERE = Path(__file__).parent
HELD_OUT = 0.1
"""Share of a fold's training titles that decides the best epoch and fits the calibration."""
LABELS = JOB_LEVELS
SHIPPED = "student, int8"
LIBRARIES = ("jobbatch", "torch", "transformers", "scikit-learn", "onnxruntime", "numpy")

Hot = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What the worker of a fold is told."""

    settings: TrainSettings
    folds: int
    seed: int
    threads: int
    rivals: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One fold: each model's answers on the held-out rows, the challenge set and open titles."""

    rows: NDArray[np.intp]
    answers: dict[str, Decided]
    challenge: dict[str, Hot]
    opened: dict[str, Hot]
    seconds: float

    def save(self, path: Path) -> None:
        """Write the outcome, whole or not at all."""
        arrays: dict[str, Any] = {"rows": self.rows, "seconds": self.seconds}
        for name, decided in self.answers.items():
            arrays |= {
                f"answers|{name}|{f.name}": getattr(decided, f.name) for f in fields(Decided)
            }
        for where in ("challenge", "opened"):
            arrays |= {f"{where}|{name}": hot for name, hot in getattr(self, where).items()}
        staged = path.with_suffix(".tmp.npz")
        np.savez_compressed(staged, **arrays)
        staged.replace(path)

    @classmethod
    def load(cls, path: Path) -> Outcome:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            names = dict.fromkeys(k.split("|")[1] for k in arrays if k.startswith("answers|"))
            answers = {
                n: Decided(**{f.name: arrays[f"answers|{n}|{f.name}"] for f in fields(Decided)})
                for n in names
            }
            hot = {
                where: {n: arrays[f"{where}|{n}"] for n in names if f"{where}|{n}" in arrays}
                for where in ("challenge", "opened")
            }
            return cls(
                rows=arrays["rows"], answers=answers, seconds=float(arrays["seconds"]), **hot
            )


def main() -> None:
    """Run the command."""
    options = _parser().parse_args()
    run = Run(
        settings=TrainSettings(
            out=Path("unused"),
            data=(options.data,),
            own_titles=True,
            corrections=options.corrections,
            unlabelled=options.unlabelled,
            base=options.base,
            epochs=options.epochs,
            patience=options.epochs,
            batch_size=options.batch_size,
            learning_rate=options.learning_rate,
            seed=options.seed,
            device=options.device,
        ),
        folds=options.folds,
        seed=options.seed,
        threads=max(1, (os.cpu_count() or 1) // options.workers),
        rivals=not options.no_rivals,
    )
    data = _load(run.settings)
    kept = _folder_of_folds(options.output, run)
    paths = {n: kept / f"{n}.npz" for n in options.only or range(run.folds)}
    outcomes = [Outcome.load(path) for path in paths.values() if path.exists()]
    missing = {n: path for n, path in paths.items() if not path.exists()}
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.workers, mp_context=spawn, max_tasks_per_child=1) as pool:
        pending = {pool.submit(_fold, run, n): path for n, path in missing.items()}
        for done in as_completed(pending):
            outcomes.append(done.result())
            outcomes[-1].save(pending[done])
            print(f"{len(outcomes)} folds done", flush=True)
    content = _content(run, data, outcomes)
    options.output.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    _show(content)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="table of labelled titles")
    parser.add_argument("--output", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--corrections", type=Path, required=True)
    parser.add_argument("--unlabelled", type=Path, required=True)
    parser.add_argument("--base", required=True, help="as for jobbatch train")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--only", type=int, nargs="*", help="numbers of the folds to run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=1.5e-4)
    parser.add_argument("--workers", type=int, default=1, help="folds at a time")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--no-rivals", action="store_true", help="leave the seed's way out")
    return parser


def _folder_of_folds(output: Path, run: Run) -> Path:
    """Return where finished folds are kept; those of another run are thrown away."""
    folder = output.with_suffix(".folds")
    own = labelled_table.sha256(labelled_table.OWN_TITLES)
    identity = f"{run.settings}, {run.folds} folds, seed {run.seed}, rivals {run.rivals}, {own}"
    known = folder / "run.txt"
    if known.exists() and known.read_text() != identity:
        shutil.rmtree(folder)
    folder.mkdir(exist_ok=True)
    known.write_text(identity)
    return folder


def _load(settings: TrainSettings) -> Dataset:
    with tempfile.TemporaryDirectory() as workspace:
        return dataset.load(settings, Path(workspace))


def _sheet(data: Dataset, settings: TrainSettings) -> NDArray[np.intp]:
    """Return the rows of the sheet that is cross-validated."""
    name = settings.data[0].name
    return np.array([i for i, table in enumerate(data.row_tables) if table == name])


def _fold(run: Run, number: int) -> Outcome:
    import torch  # noqa: PLC0415 - each worker sets its own number of threads

    torch.set_num_threads(run.threads)
    started = time.monotonic()
    data = _load(run.settings)
    targets = data.labels.encode(data.key_labels)
    index = {key: i for i, key in enumerate(data.keys)}
    sheet = _sheet(data, run.settings)
    sheet_keys = sorted({data.row_keys[i] for i in sheet})
    of_sheet = np.array([index[key] for key in sheet_keys])
    folds = splits.stratified_folds(sheet_keys, targets[of_sheet], run.folds, run.seed)
    held = {sheet_keys[i] for i in folds[number]}
    rest = np.array([i for key, i in index.items() if key not in held])
    train, validation = (
        training.titles(data, targets, rest[part])
        for part in splits.stratified_split(
            [data.keys[i] for i in rest], targets[rest], HELD_OUT, run.seed
        )
    )
    challenge, opened = _challenge(data), _open_titles(data)
    hidden = {*challenge.keys, *opened.keys}
    others = tuple(key for key in data.unlabelled if key not in hidden)
    options = replace(training.encoder_options(run.settings, data), other_keys=others)
    made = distil(train, validation, data.labels, run.settings, options)
    rows = np.array([i for i in sheet if data.row_keys[i] in held])
    keys = [data.row_keys[i] for i in rows]
    answers: dict[str, Decided] = {}
    others_hot: dict[str, dict[str, Hot]] = {"challenge": {}, "opened": {}}

    def measure(name: str, scorer: TitleScorer, chosen: Decisions | None = None) -> Decisions:
        if chosen is None:
            said = scorer.probabilities(validation.keys)
            chosen = tuning.tune(said, validation.targets, LABELS, LABELS, validation.weights)
        answers[name] = decide(chosen, scorer.probabilities(keys), LABELS)
        for where, titles in (("challenge", challenge), ("opened", opened)):
            said = scorer.probabilities(titles.keys)
            others_hot[where][name] = decide(chosen, said, LABELS).hot
        return chosen

    measure("linear", made.teacher.second.scorer)
    measure("teacher's encoder", made.teacher.first.scorer)
    measure("ensemble", made.teacher)
    chosen = measure("student", made.student)
    with tempfile.TemporaryDirectory() as workspace:
        contents = folder.Contents(
            scorer=made.student,
            decisions=chosen,
            data=data,
            settings=run.settings,
            test=figures(targets[[index[key] for key in keys]], answers["student"], LABELS),
            test_original=None,
            fit=made.report,
            notes="",
        )
        shipped = _int8(contents, Path(workspace))
        measure(SHIPPED, shipped, chosen)
    if run.rivals:
        searched = classic.fit(train.keys, train.targets, data.labels, run.seed)
        measure("linear, the best family of each label", searched)
        originals = _original_labels(data, sheet, {*held, *validation.keys})
        linear = classic.fit(originals.keys, originals.targets, data.labels, run.seed, search=False)
        measure("linear, the sheet's labels alone", linear)
        answers["the seed's procedure with MiniLM"] = _seed_procedure(run, set(rows.tolist()), data)
    return Outcome(
        rows=rows,
        answers=answers,
        challenge=others_hot["challenge"],
        opened=others_hot["opened"],
        seconds=round(time.monotonic() - started, 1),
    )


def _original_labels(data: Dataset, sheet: NDArray[np.intp], without: set[str]) -> Titles:
    rows = [(data.row_keys[i], data.row_labels[i]) for i in sheet]
    rows = [(key, labels) for key, labels in rows if key not in without]
    merged, _ = dataset.merge(rows, data.labels)
    return Titles(keys=list(merged), targets=data.labels.encode(merged.values()))


class Int8:
    """A student's int8 graph, opened as labelling opens it."""

    def __init__(self, path: Path) -> None:
        self._model = TitleModel(path)

    def probabilities(self, keys: Sequence[str]) -> NDArray[np.float64]:
        """Return raw probabilities, float64 (n, n_labels)."""
        distinct = sorted(set(keys))
        scored = self._model.score(distinct)["probabilities"].to_numpy().astype(np.float64)
        position = {key: i for i, key in enumerate(distinct)}
        return np.asarray(scored[[position[key] for key in keys]])


def _int8(contents: folder.Contents, path: Path) -> Int8:
    folder.write(path, contents)
    recipe = export.load_recipe(HERE.parents[1] / "export" / "cpu-int8.toml")
    files = {name: (path / name).read_bytes() for name in ("config.json", "model.safetensors")}
    with tempfile.TemporaryDirectory() as workspace:
        made = graph.make_graph(files, recipe, Path(workspace))
    (path / ONNX_FILE["cpu"]).parent.mkdir()
    (path / ONNX_FILE["cpu"]).write_bytes(made)
    write_manifest(path, ModelFolder(path).manifest)
    return Int8(path)


def _seed_procedure(run: Run, held: set[int], data: Dataset) -> Decided:
    """Return the answers of what the seed did, with MiniLM for a base.

    Stop words and digits are dropped, nothing of ours is added, every label holds from .5 on.
    """
    plain = replace(
        run.settings,
        own_titles=False,
        corrections=None,
        unlabelled=None,
        remove_digits=True,
        remove_stop_words=True,
        base="minilm",
        epochs=8,
        patience=8,
        batch_size=32,
        learning_rate=1e-4,
    )
    own = _load(plain)
    sheet = _sheet(data, run.settings)
    number = {(own.row_tables[i], own.row_numbers[i]): i for i in range(len(own.row_keys))}
    rows = {i: number.get((data.row_tables[i], data.row_numbers[i])) for i in sheet}
    taken = {own.row_keys[j] for i, j in rows.items() if i in held and j is not None}
    targets = own.labels.encode(own.key_labels)
    rest = np.array([i for i, key in enumerate(own.keys) if key not in taken])
    train, validation = (
        training.titles(own, targets, rest[part])
        for part in splits.stratified_split(
            [own.keys[i] for i in rest], targets[rest], HELD_OUT, run.seed
        )
    )
    fitted = models.fit(train, validation, own.labels, plain, training.encoder_options(plain, own))
    keys = [own.row_keys[j] if (j := rows[i]) is not None else "" for i in sorted(held)]
    half = (0.5,) * len(LABELS)
    at_half = Decisions(
        calibration=(Scaling(),) * len(LABELS), thresholds=half, no_label_below=1.01
    )
    return decide(at_half, fitted.scorer.probabilities(keys), LABELS)


def _challenge(data: Dataset) -> Titles:
    frame = pl.read_csv(HERE / "challenge.csv", infer_schema=False)
    keys = frame.select(data.normaliser.key("title")).to_series().fill_null("").to_list()
    rows = [[n for n in (row or "").split("; ") if n in LABELS] for row in frame["labels"]]
    return Titles(keys=keys, targets=data.labels.encode(rows))


def _open_titles(data: Dataset) -> Titles:
    frame = pl.read_csv(HERE / "open-titles.csv", infer_schema=False)
    known = dict(zip(frame["sha256"], frame["labels"], strict=True))
    found = [(k, known[d]) for k in data.unlabelled if (d := corrections.digest(k)) in known]
    rows = [[n for n in row.split(";") if n in LABELS] for _, row in found]
    return Titles(keys=[key for key, _ in found], targets=data.labels.encode(rows))


def _content(run: Run, data: Dataset, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    original = data.labels.encode(data.row_labels)
    by_key = dict(zip(data.keys, data.labels.encode(data.key_labels), strict=True))
    guide = np.array([by_key[key] for key in data.row_keys])
    owner = LABELS.index("Owner")
    owners = np.where((original | guide)[:, [owner]], guide, original)
    truths = {
        "original labels": original,
        "original labels, owners and founders by the guide": owners,
        "labels by the guide": guide,
    }
    sheet = _sheet(data, run.settings)
    challenge, opened = _challenge(data), _open_titles(data)
    categories = pl.read_csv(HERE / "challenge.csv")["category"].to_numpy()
    models: dict[str, Any] = {}
    for name in outcomes[0].answers:
        models[name] = {
            "sheet": {
                where: _spread([_figures(truth[o.rows], o.answers[name]) for o in outcomes])
                for where, truth in truths.items()
            }
        }
        if name in outcomes[0].challenge:
            right = np.array([(o.challenge[name] == challenge.targets).all(1) for o in outcomes])
            models[name]["challenge"] = {
                "exact_match": round(float(right.mean()), 4),
                "by_category": {
                    str(c): round(float(right[:, categories == c].mean()), 4)
                    for c in np.unique(categories)
                },
            }
            hits = [(o.opened[name] == opened.targets).all(1).mean() for o in outcomes]
            models[name]["open titles, exact_match"] = round(float(np.mean(hits)), 4)
    return {
        "commit": _commit(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": versions(LIBRARIES),
        "protocol": {
            "folds": run.folds,
            "done": len(outcomes),
            "seed": run.seed,
            "epochs": run.settings.epochs,
            "batch_size": run.settings.batch_size,
            "learning_rate": run.settings.learning_rate,
            "rows": len(sheet),
            "rows_the_guide_changes": int((original != guide)[sheet].any(1).sum()),
            "rows_of_owners": int((original | guide)[sheet, owner].sum()),
            "challenge_titles": len(challenge.keys),
            "open_titles": len(opened.keys),
        },
        "models": models,
        "calibration": {w: _calibration(truth, outcomes) for w, truth in truths.items()},
        "int8_changed_share": _changed(outcomes),
        "seconds_per_fold": [o.seconds for o in outcomes],
    }


def _figures(truth: Hot, decided: Decided) -> dict[str, float]:
    found = figures(truth, decided, LABELS)
    without = [f.f1 for f in found.per_label if f.label != "Owner" and f.f1 is not None]
    return {
        "micro_f1": found.micro_f1,
        "macro_f1_without_owner": float(np.mean(without)),
        "exact_match": found.exact_match,
    }


def _spread(folds: Sequence[dict[str, float]]) -> dict[str, dict[str, float]]:
    values = {name: np.array([fold[name] for fold in folds]) for name in folds[0]}
    return {
        name: {"mean": round(float(v.mean()), 4), "sd": round(float(v.std()), 4)}
        for name, v in values.items()
    }


def _calibration(truth: Hot, outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Return how far the shipped graph's confidence can be believed, over all folds' rows."""
    shipped = [(o.answers[SHIPPED], truth[o.rows]) for o in outcomes]
    right = np.concatenate([(d.hot == t).all(1) for d, t in shipped])
    sure = np.concatenate([d.confidence for d, _ in shipped])
    reviewed = np.concatenate([d.needs_review for d, _ in shipped])
    kept = np.argsort(-sure, kind="stable")[: round(0.8 * sure.size)]
    return {
        "expected_calibration_error": round(expected_calibration_error(sure, right), 4),
        "exact_match_of_80_percent_most_confident": round(float(right[kept].mean()), 4),
        "reviewed_share": round(float(reviewed.mean()), 4),
        "exact_match_unreviewed": round(float(right[~reviewed].mean()), 4),
    }


def _changed(outcomes: Sequence[Outcome]) -> dict[str, float]:
    pairs = {
        "sheet": [(o.answers["student"].hot, o.answers[SHIPPED].hot) for o in outcomes],
        "challenge": [(o.challenge["student"], o.challenge[SHIPPED]) for o in outcomes],
        "open titles": [(o.opened["student"], o.opened[SHIPPED]) for o in outcomes],
    }
    return {
        where: round(float(np.mean([(a != b).any(1).mean() for a, b in found])), 5)
        for where, found in pairs.items()
    }


def _show(content: dict[str, Any]) -> None:
    for name, found in content["models"].items():
        for where, spread in found["sheet"].items():
            values = "  ".join(f"{n} {v['mean']:.4f}" for n, v in spread.items())
            print(f"  {name:34} {where:50} {values}", flush=True)
        if "challenge" in found:
            print(f"  {name:34} challenge {found['challenge']['exact_match']:.4f}", flush=True)


def _commit() -> str | None:
    answer = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    return answer.stdout.strip() if answer.returncode == 0 else None


if __name__ == "__main__":
    main()

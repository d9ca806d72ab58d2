"""Pre-training: a base that has learned how titles are written, and what becomes of the tokens."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from jobbatch.errors import LockedError, OutputError, TitleColumnError, UsageError
from jobbatch.runs import exclusive
from jobbatch.settings.teaching import PretrainSettings
from tests import tinymodel

pytestmark = pytest.mark.train


@pytest.fixture
def titles(tmp_path: Path) -> Path:
    tinymodel.own_titles().select("Job Title").write_csv(tmp_path / "titles.csv")
    return tmp_path / "titles.csv"


def settings(tmp_path: Path, tiny_base: Path, **changes: object) -> PretrainSettings:
    fields: dict[str, object] = {
        "titles": tmp_path / "titles.csv",
        "out": tmp_path / "base",
        "base": str(tiny_base),
        "epochs": 100,
        "batch_size": 16,
        "learning_rate": 3e-3,
        "device": "cpu",
    }
    return PretrainSettings(**(fields | changes))  # type: ignore[arg-type]


@pytest.mark.usefixtures("titles")
def test_the_loss_falls_and_the_base_can_be_trained_from(tmp_path: Path, tiny_base: Path) -> None:
    from jobbatch.training import encoder, pretraining
    from jobbatch.training.bases import open_base

    records: list[pretraining.StepRecord] = []
    report = pretraining.pretrain(settings(tmp_path, tiny_base), records.append)
    assert [r.step for r in records] == [100, 200, 300, 400]
    assert records[-1].loss < 0.7 * records[0].loss
    assert report.titles == tinymodel.own_titles().height
    base = open_base(str(tmp_path / "base"))
    assert base.labels == ()
    assert not any(name.startswith("classifier.") for name in base.tensors)
    network = encoder.build(
        encoder.EncoderOptions(base=str(tmp_path / "base"), vocabulary_size=8_192),
        encoder.LabelSet(("a", "b")),
        ["kite shed"],
        seed=0,
    )
    assert network.model.config.num_labels == 2
    assert report.summary_lines()[-1].startswith("next: jobbatch train")


@pytest.mark.usefixtures("titles")
def test_equal_settings_give_equal_bytes(tmp_path: Path, tiny_base: Path) -> None:
    from jobbatch.training.pretraining import pretrain

    for name in ("a", "b"):
        pretrain(settings(tmp_path, tiny_base, out=tmp_path / name, epochs=1, batch_size=63))
    assert tinymodel.contents(tmp_path / "a") == tinymodel.contents(tmp_path / "b")
    pretrain(settings(tmp_path, tiny_base, out=tmp_path / "a", epochs=1, overwrite=True))
    assert tinymodel.contents(tmp_path / "a") != tinymodel.contents(tmp_path / "b")


@pytest.mark.usefixtures("titles")
def test_two_runs_for_one_output_exclude_each_other(tmp_path: Path, tiny_base: Path) -> None:
    from jobbatch.training.pretraining import pretrain

    with exclusive(tmp_path / "base"), pytest.raises(LockedError):
        pretrain(settings(tmp_path, tiny_base))


@pytest.mark.usefixtures("titles")
def test_a_last_step_without_hidden_tokens_is_reported_too(
    tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from jobbatch.training import pretraining

    calls = iter([pretraining.Masking.__call__] * 3)

    def mask(self: pretraining.Masking, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        hide = next(calls, None)
        return (ids, torch.zeros_like(ids).bool()) if hide is None else hide(self, ids)

    monkeypatch.setattr(
        pretraining, "Masking", type("Mask", (pretraining.Masking,), {"__call__": mask})
    )
    report = pretraining.pretrain(settings(tmp_path, tiny_base, epochs=1))
    assert report.last.step == report.last.steps == 4


@pytest.mark.usefixtures("titles")
def test_an_existing_folder_is_kept(tmp_path: Path, tiny_base: Path) -> None:
    from jobbatch.training.pretraining import pretrain

    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "mine").touch()
    with pytest.raises(OutputError):
        pretrain(settings(tmp_path, tiny_base))
    assert (tmp_path / "base" / "mine").exists()


def test_what_is_no_table_of_titles_is_refused(tmp_path: Path, tiny_base: Path) -> None:
    from jobbatch.training.pretraining import pretrain

    pl.DataFrame({"a": [1], "b": [2]}).write_csv(tmp_path / "titles.csv")
    with pytest.raises(TitleColumnError):
        pretrain(settings(tmp_path, tiny_base))
    pl.DataFrame({"title": ["", " "]}).write_csv(tmp_path / "titles.csv")
    with pytest.raises(UsageError, match="has no titles"):
        pretrain(settings(tmp_path, tiny_base))


def test_special_tokens_are_never_hidden_and_a_fifth_of_the_others_is() -> None:
    import torch

    from jobbatch.training.pretraining import MASKED_SHARE, Masking

    content = tinymodel.tokenizer().to_str().encode()
    mask_id = next(t["id"] for t in json.loads(content)["added_tokens"] if t["content"] == "[MASK]")
    torch.manual_seed(0)
    ids = torch.full((500, 10), 7)
    ids[:, 0], ids[:, -1], ids[:, -2] = 2, 3, 0
    masked, picked = Masking(content, 0, 50)(ids)
    assert not picked[:, [0, -1, -2]].any()
    assert torch.equal(masked[~picked], ids[~picked])
    assert float(picked[:, 1:-2].float().mean()) == pytest.approx(MASKED_SHARE, abs=0.02)
    assert float((masked[picked] == mask_id).float().mean()) == pytest.approx(0.8, abs=0.04)
    assert float((masked[picked] == 7).float().mean()) == pytest.approx(0.1, abs=0.04)

"""The fit: it goes on where it was, stops when it should, and never loses the best epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from jobbatch.errors import DeviceError, UsageError
from jobbatch.labels import LabelSet
from jobbatch.settings.teaching import TrainSettings
from jobbatch.training import encoder, loop
from jobbatch.training.encoder import Encoder
from jobbatch.training.examples import Examples
from jobbatch.training.fitting import LOGS, FitReport, fit
from jobbatch.training.loop import EpochRecord
from tests.tinymodel import own_titles

pytestmark = pytest.mark.train

Parts = tuple[Encoder, Examples, Examples]
MakeSettings = Callable[..., TrainSettings]


@pytest.fixture
def parts(tiny_base: Path) -> Callable[[], Parts]:
    """Return a maker of a fresh network with its train and validation parts."""
    frame = own_titles()
    keys = frame["Job Title"].str.to_lowercase().to_list()
    labels = LabelSet.seen_in([[label] for label in frame["Column 1"]])
    targets = labels.encode([[label] for label in frame["Column 1"]])

    def make() -> Parts:
        network = encoder.build(encoder.EncoderOptions(base=str(tiny_base)), labels, keys, 0)
        train = Examples(tokens=network.tokens(keys[:50]), targets=targets[:50])
        return network, train, Examples(tokens=network.tokens(keys[50:]), targets=targets[50:])

    return make


class StopHereError(Exception):
    """What a test stops a fit with."""


def stop_after(epoch: int) -> Callable[[EpochRecord], None]:
    def progress(record: EpochRecord) -> None:
        if record.epoch == epoch:
            raise StopHereError

    return progress


def weights(network: Encoder) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in network.model.parameters()])


@pytest.mark.fault(45)
def test_a_resumed_fit_ends_as_an_undisturbed_one(
    parts: Callable[[], Parts], make_settings: MakeSettings, tmp_path: Path
) -> None:
    settings = make_settings(tmp_path / "out", epochs=5, patience=9)
    straight = parts()
    expected = fit(*straight, settings)
    with pytest.raises(StopHereError):
        fit(*parts(), settings, work=tmp_path / "work", progress=stop_after(3))
    resumed = parts()
    seen: list[int] = []
    report = fit(
        *resumed,
        replace(settings, resume=True),
        work=tmp_path / "work",
        progress=lambda record: seen.append(record.epoch),
    )
    assert seen == [4, 5]
    assert report.best_epoch == expected.best_epoch
    losses = [[round(r.loss, 6) for r in f.epochs] for f in (report, expected)]
    assert losses[0] == losses[1]
    assert torch.allclose(weights(resumed[0]), weights(straight[0]), atol=1e-6)


def test_a_finished_fit_resumed_is_the_same(
    parts: Callable[[], Parts], make_settings: MakeSettings, tmp_path: Path
) -> None:
    settings = make_settings(tmp_path / "out", epochs=2)
    first, second = parts(), parts()
    report = fit(*first, settings, work=tmp_path / "work")
    again = fit(*second, replace(settings, resume=True), work=tmp_path / "work")
    assert again == report
    assert torch.equal(weights(first[0]), weights(second[0]))


def test_without_resume_it_starts_again(
    parts: Callable[[], Parts], make_settings: MakeSettings, tmp_path: Path
) -> None:
    settings = make_settings(tmp_path / "out", epochs=1)
    reports: list[FitReport] = [fit(*parts(), settings, work=tmp_path / "work") for _ in "12"]
    assert reports[0].epochs[0].loss == reports[1].epochs[0].loss
    assert list((tmp_path / "work" / LOGS).glob("events.*"))


@pytest.mark.parametrize("change", [{"seed": 1}, {"learning_rate": 1e-3}, {"batch_size": 7}])
def test_resuming_another_run_is_refused(
    parts: Callable[[], Parts],
    make_settings: MakeSettings,
    tmp_path: Path,
    change: dict[str, object],
) -> None:
    fit(*parts(), make_settings(tmp_path / "out", epochs=1), work=tmp_path / "work")
    other = make_settings(tmp_path / "out", epochs=1, resume=True, **change)
    with pytest.raises(UsageError, match="other data or settings"):
        fit(*parts(), other, work=tmp_path / "work")


def test_resuming_with_another_network_is_refused(
    parts: Callable[[], Parts], make_settings: MakeSettings, tiny_base: Path, tmp_path: Path
) -> None:
    _, train, validation = parts()
    settings = make_settings(tmp_path / "out", epochs=1)
    labels = LabelSet(tuple(map(str, range(train.targets.shape[1]))))

    def network(n_layers: int) -> Encoder:
        options = encoder.EncoderOptions(
            base=str(tiny_base), n_layers=n_layers, prune_vocabulary=False
        )
        return encoder.build(options, labels, (), 0)

    fit(network(2), train, validation, settings, work=tmp_path / "work")
    with pytest.raises(UsageError, match="other data or settings"):
        fit(network(1), train, validation, replace(settings, resume=True), work=tmp_path / "work")


def test_the_epochs_of_a_taught_fit_are_part_of_it(
    parts: Callable[[], Parts], make_settings: MakeSettings, tmp_path: Path
) -> None:
    network, train, validation = parts()
    work = tmp_path / "work"
    fit(network, train, validation, make_settings(work, epochs=1), taught=validation, work=work)
    more = make_settings(work, epochs=2, resume=True)
    with pytest.raises(UsageError, match="other data or settings"):
        fit(parts()[0], train, validation, more, taught=validation, work=work)


def test_the_seed_decides_everything(
    parts: Callable[[], Parts], make_settings: MakeSettings, tmp_path: Path
) -> None:
    settings = [make_settings(tmp_path / "out", epochs=1, seed=seed) for seed in (0, 0, 1)]
    losses = [fit(*parts(), s).epochs[0].loss for s in settings]
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.fault(45)
def test_it_stops_when_nothing_gets_better(
    parts: Callable[[], Parts], make_settings: MakeSettings, tmp_path: Path
) -> None:
    settings = make_settings(tmp_path / "out", epochs=30, patience=2, learning_rate=1e-9)
    scores = iter([0.5, 0.4, 0.3])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "evaluate", lambda *_: _Figures(next(scores)))
        report = fit(*parts(), settings)
    assert (report.best_epoch, len(report.epochs)) == (1, 3)
    assert report.stopped == "no better validation F1 in 2 epochs"


class _Figures:
    def __init__(self, micro_f1: float) -> None:
        self.micro_f1 = self.macro_f1 = self.exact_match = micro_f1


def test_the_rate_is_halved_when_validation_stalls(
    parts: Callable[[], Parts], make_settings: MakeSettings, tmp_path: Path
) -> None:
    settings = make_settings(tmp_path / "out", epochs=4, patience=9, learning_rate=1e-4)
    with pytest.MonkeyPatch.context() as patch:
        scores = iter([0.5, 0.4, 0.3, 0.2])
        patch.setattr(loop, "evaluate", lambda *_: _Figures(next(scores)))
        rates = [record.learning_rate for record in fit(*parts(), settings).epochs]
    assert rates == pytest.approx([1e-4, 1e-4, 1e-4, 0.5e-4])


def _explode(network: Encoder) -> None:
    with torch.no_grad():
        network.model.classifier.out_proj.bias[0] = torch.nan


@pytest.mark.fault(45)
def test_a_loss_that_is_not_finite_keeps_the_best_epoch(
    parts: Callable[[], Parts], make_settings: MakeSettings, tmp_path: Path
) -> None:
    network, train, validation = parts()
    report = fit(
        network,
        train,
        validation,
        make_settings(tmp_path / "out", epochs=5),
        progress=lambda record: _explode(network) if record.epoch == 2 else None,
    )
    assert "not finite in epoch 3: lower --learning-rate (now 0.003)" in report.stopped
    assert len(report.epochs) == 2
    assert torch.isfinite(weights(network)).all()


@pytest.mark.fault(45)
def test_a_fit_that_explodes_at_once_is_an_error(
    parts: Callable[[], Parts], make_settings: MakeSettings, tmp_path: Path
) -> None:
    network, train, validation = parts()
    _explode(network)
    with pytest.raises(UsageError, match="not finite in epoch 1"):
        fit(network, train, validation, make_settings(tmp_path / "out"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA here")
def test_cuda_that_is_not_there_is_an_error(
    parts: Callable[[], Parts], make_settings: MakeSettings, tmp_path: Path
) -> None:
    with pytest.raises(DeviceError, match="--device cpu"):
        fit(*parts(), make_settings(tmp_path / "out", device="cuda"))


def test_an_epoch_reads_as_one_line() -> None:
    record = EpochRecord(
        epoch=2, epochs=9, loss=0.5, learning_rate=1e-4, micro_f1=0.9, macro_f1=0.8,
        exact_match=0.7, seconds=3.2,
    )  # fmt: skip
    assert str(record).startswith("epoch 2/9: loss 0.5000, validation micro-F1 0.9000")

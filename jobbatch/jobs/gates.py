"""Gates: what an output must keep to before it replaces the last one.

Bounds are on shares: of the rows that hold a label, of those marked for review, and of the words
that the model does not know whole. They are absolute, or by how much a share may differ from the
last good run's, or from the titles that the model was tested on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from jobbatch.errors import GateError, ModelError, UsageError
from jobbatch.jobs.history import JobRun
from jobbatch.runs import RunManifest
from jobbatch.settings.jobs import GateSettings
from jobbatch.settings.labelling import LabelSettings
from jobbatch.weights import ModelFolder, resolve_model

_REVIEW = "rows to review"
_UNKNOWN = "unknown words"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """The gates of a job, and what its outputs are compared with; called with an output's manifest.

    Attributes:
        settings: the bounds.
        last_good: the shares of the last good run; empty: there is none.
        profile: the shares of the titles that the model was tested on; empty: not asked for.
    """

    settings: GateSettings
    last_good: Mapping[str, float]
    profile: Mapping[str, float]

    @classmethod
    def of(cls, gates: GateSettings, label: LabelSettings, last_good: JobRun | None) -> Gates:
        """Return the gates of a label job.

        Raises:
            UsageError: if they name a label that the model does not have.
            ModelError: if its figures are asked for and cannot be had.
        """
        folder = ModelFolder(resolve_model(label.model))
        unknown = sorted({*gates.least, *gates.most} - set(folder.manifest.labels))
        if unknown:
            raise UsageError(
                f"[gates] names labels that the model {folder.manifest.name} does not have: "
                f"{', '.join(unknown)}. It has {', '.join(folder.manifest.labels)}"
            )
        before = {} if last_good is None else _shares(last_good.counts, last_good.label_shares)
        profile = {} if gates.max_profile_drift is None else _profile(folder)
        return cls(settings=gates, last_good=before, profile=profile)

    def __call__(self, manifest: RunManifest) -> None:
        """Let an output through, or not.

        Raises:
            GateError: naming every bound that it breaks.
        """
        if manifest.counts["rows"] < self.settings.min_rows:
            return
        found = _shares(manifest.counts, manifest.label_shares)
        faults = [*self._out_of_bounds(found)]
        for bound, reference, what in (
            (self.settings.max_drift, self.last_good, "in the last good run"),
            (self.settings.max_profile_drift, self.profile, "where the model was tested"),
        ):
            if bound is not None:
                faults += _drifted(found, reference, bound, what)
        if faults:
            raise GateError(
                f"{manifest.output.path} is not published, the old one stays: {'; '.join(faults)}. "
                "Look at the input; if it is right, change [gates] in the job file"
            )

    def _out_of_bounds(self, found: Mapping[str, float]) -> Iterator[str]:
        for name, least in self.settings.least.items():
            if found[name] < least:
                yield f"{name} {found[name]:.1%}, at least {least:.1%}"
        most = {
            **self.settings.most,
            _REVIEW: self.settings.max_review,
            _UNKNOWN: self.settings.max_unknown_words,
        }
        for name, bound in most.items():
            if bound is not None and found.get(name, 0.0) > bound:
                yield f"{name} {found[name]:.1%}, at most {bound:.1%}"


def _drifted(
    found: Mapping[str, float], reference: Mapping[str, float], bound: float, what: str
) -> Iterator[str]:
    for name in found:
        if name in reference and abs(found[name] - reference[name]) > bound:
            yield f"{name} {found[name]:.1%}, {reference[name]:.1%} {what}"


def _shares(counts: Mapping[str, int], labels: Mapping[str, float]) -> dict[str, float]:
    """Return the shares that gates are about, by what a person is told."""
    shares = dict(labels)
    if counts.get("rows"):
        shares[_REVIEW] = counts["to_review"] / counts["rows"]
    if counts.get("words"):
        shares[_UNKNOWN] = counts["unknown_words"] / counts["words"]
    return shares


def _profile(folder: ModelFolder) -> dict[str, float]:
    try:
        test = json.loads(folder.read("metrics.json"))["test"]
        labels = {f["label"]: f["support"] / test["rows"] for f in test["per_label"]}
        return {**labels, _REVIEW: test["review_share"]}
    except (ValueError, TypeError, KeyError, ZeroDivisionError) as error:
        raise ModelError(f"{folder.path}: metrics.json is not usable: {error!r}") from error

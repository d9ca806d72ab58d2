"""Titles to answers: labels, confidence and review flag, each distinct title scored once.

keys     = normalised texts of the distinct titles
scores   = the store's for known keys; the model's for the others, chunk by chunk into it
answers  = decided from the scores
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl

from jobbatch import decisions, titles
from jobbatch.errors import InputError
from jobbatch.model import TitleModel
from jobbatch.scores import KEPT, ScoreStore, cache_folder, remove_unused

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Called with the new titles scored so far and their number."""
TITLE = "__title"
"""Column of the raw titles; named so that it does not meet a table's own columns."""
CONTEXT = "__context"
"""What the names of the raw context columns begin with."""

_WORD = r"[\p{L}\p{M}\p{N}]+"


class Labeller:
    """A model and the scores already known for it.

    Args:
        model: the opened model.
        cache_dir: where scores are kept; none: the user's cache folder.
    """

    def __init__(self, model: TitleModel, cache_dir: Path | None = None) -> None:
        self.model = model
        self.store = ScoreStore(cache_folder(cache_dir), model.fingerprint, len(model.labels))
        self.new_titles = 0

    def predict(self, raw_titles: Sequence[str]) -> pl.DataFrame:
        """Return a row per title: 'title' and the columns that `label` adds.

        The score store is neither read nor written.

        Raises:
            InputError: if a title was not UTF-8 where it came from.
        """
        try:
            distinct = pl.DataFrame({TITLE: raw_titles}, schema={TITLE: pl.String})
        except UnicodeEncodeError as error:
            raise InputError(f"the title {error.object!r} is not UTF-8") from error
        keyed = self._keyed(distinct)
        return self._predicted(keyed).rename({TITLE: "title"})

    def predict_keys(self, keys: Sequence[str]) -> pl.DataFrame:
        """Return a row per key, with the columns that `label` adds, as `predict` does."""
        given = pl.LazyFrame({"key": keys}, schema={"key": pl.String})
        return self._predicted(_judged(given).collect())

    def answers(self, distinct: pl.DataFrame, progress: Progress | None = None) -> pl.DataFrame:
        """Return the answers of distinct raw titles; scores go through the store.

        Args:
            distinct: a row per raw title, in column `TITLE`, and its context, in columns whose
                names begin with `CONTEXT`; other columns are kept.
            progress: told after each scored chunk.
        """
        keyed = self._keyed(distinct)
        if self.store.has_others():
            logger.warning(
                "no scores of this model are kept yet; those of other models in %s are not used",
                self.store.cache,
            )
        known = self.store.known(keyed["key"])
        unknown = _to_score(keyed.join(known, on="key", how="anti")).to_list()
        scored = [known]
        done = 0
        for chunk in self.model.score_chunks(unknown):
            self.store.commit(chunk)
            scored.append(chunk)
            done += chunk.height
            if progress is not None:
                progress(done, len(unknown))
        if done:
            remove_unused(self.store.cache, KEPT)
        self.new_titles += done
        return self._decide(keyed, pl.concat(scored))

    def words(self, distinct: pl.DataFrame, rows: str) -> dict[str, int]:
        """Return how many words some titles have, and how many the model does not know whole.

        Args:
            distinct: as for `answers`.
            rows: the column that says how often each title occurs; its words count as often.
        """
        keyed = self._keyed(distinct).lazy()
        words = pl.col("key").str.extract_all(_WORD)
        counted = (
            keyed.select(pl.col(rows).alias("rows"), word=words)
            .explode("word", empty_as_null=False)
            .group_by("word")
            .agg(pl.col("rows").sum())
            .collect(engine="streaming")
        )
        known = pl.Series(self.model.knows(counted["word"].to_list()), dtype=pl.Boolean)
        return {
            "words": int(counted["rows"].sum()),
            "unknown_words": int(counted.filter(~known)["rows"].sum()),
        }

    def _keyed(self, distinct: pl.DataFrame) -> pl.DataFrame:
        context = [name for name in distinct.columns if name.startswith(CONTEXT)]
        key = self.model.normaliser.key(TITLE, context)
        # Unlike the in-memory engine, the streaming one has all cores work on one expression.
        return _judged(distinct.lazy().with_columns(key=key)).collect(engine="streaming")

    def _predicted(self, keyed: pl.DataFrame) -> pl.DataFrame:
        return self._decide(keyed, self.model.score(_to_score(keyed).to_list()))

    def _decide(self, keyed: pl.DataFrame, scored: pl.DataFrame) -> pl.DataFrame:
        joined = keyed.join(scored, on="key", how="left", maintain_order="left")
        return self.model.decisions.apply(joined.drop("key"), self.model.labels.names)


def _judged(keyed: pl.LazyFrame) -> pl.LazyFrame:
    """Return the keys with the reason why they are not to be scored, if there is one."""
    key = pl.col("key")
    return keyed.with_columns(
        unscored=pl.when(key == "")
        .then(pl.lit(decisions.EMPTY))
        .when(~titles.is_title(key))
        .then(pl.lit(decisions.NOT_A_TITLE))
    )


def _to_score(keyed: pl.DataFrame) -> pl.Series:
    """Return the distinct keys in sorted order, so that equal work forms equal batches."""
    return keyed.filter(pl.col("unscored").is_null())["key"].unique().sort()

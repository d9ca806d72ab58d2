"""Finds the column of job titles by its header and its content.

A column's score is the header's worth (0 to 2) plus the share of its cells that hold a word for a
role (0 to 1), less what the share of its cells that are salutations takes away: a column 'Title' of
Mr and Mrs does not mislead. One column must lead clearly.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

import polars as pl
from polars import selectors as cs

from jobbatch.errors import TitleColumnError

SAMPLE_ROWS = 1_000
"""Rows looked at to judge a column's content."""
LEAD = 0.25
"""How far the best column must be ahead of the next."""
ENOUGH = 0.5
"""The score that a title column has at least: a header by itself, or half of its cells."""

_HEADERS = """
job title|jobtitle|job titles|title|titles|position|position title|job position|job role|role
role title|occupation|designation|job name|current title|current job title|current position
contact title|person title|work title|business title|professional title|functional title
titel|jobtitel|stellenbezeichnung|berufsbezeichnung|position im unternehmen|stelle|funktion|rolle
poste|fonction|intitulé du poste|intitule du poste|titre|titre du poste|métier
cargo|puesto|puesto de trabajo|título|titulo|título del puesto|cargo atual|função|funcao
ruolo|mansione|qualifica|posizione|titolo|titolo professionale
functie|functietitel|functienaam|stanowisko|befattning
"""
_EXACT = frozenset(re.split(r"[|\n]", _HEADERS.strip()))
_WITHIN = re.compile(r"\b(job ?title|title|position|occupation|designation|puesto|cargo|poste)\b")
_ROLE = (
    r"(?i)\b(?:ceo|cfo|cio|cto|coo|cmo|ciso|s?e?a?vp|chief|president|chair\w*|owner|(?:co-?)?founder|"
    r"partner|director|dir|head|lead|leader|manager|mgr|supervisor|principal|senior|sr|junior|jr|"
    r"engineer|developer|analyst|assistant|associate|specialist|consultant|coordinator|officer|"
    r"administrator|executive|representative|rep|technician|nurse|teacher|accountant|architect|"
    r"designer|intern|clerk|secretary|advisor|agent|buyer|planner|operator|controller|trainer|"
    r"programmer|attorney|physician|professor|driver|buchhalter\w*|leiter\w*|\w*leiter\w*|"
    r"geschäftsführ\w*|inhaber\w*|referent\w*|mitarbeiter\w*|directeur|directrice|responsable|chef|"
    r"ingénieur|chargée?|gérante?|gerente|jefe|jefa|directora?|dueñ[oa]|ingeniero|responsabile|"
    r"direttore|titolare|impiegat[oa]|diretora?|analista|eigenaar|hoofd|medewerker|dyrektor|"
    r"kierownik)\b"
)


_SALUTATION = (
    r"(?i)^\s*(?:mr|mrs|ms|miss|mx|dr|prof|sir|madam|herr|frau|m|mme|mlle|monsieur|madame|sr|sra|"
    r"srta|sig|dhr|mevr)\.?\s*$"
)


def normalise_header(header: str) -> str:
    """Return a header in lower case with every run of signs as one space."""
    return re.sub(r"[\W_]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", header)).strip().lower()


def header_worth(header: str) -> float:
    """Return 2 for a header that means job title, 1 for one that mentions it, else 0."""
    words = normalise_header(header)
    if words in _EXACT:
        return 2.0
    if "=" in header:  # a filter, as above a report
        return 0.0
    return 1.0 if _WITHIN.search(words) else 0.0


def reads_like_title(header: str) -> bool:
    """Return whether a header may be a title itself, as the first cell of a table without headers."""
    return header_worth(header) == 0 and re.search(_ROLE, header) is not None


def find_title_column(
    frame: pl.LazyFrame,
    headers: Sequence[str],
    asked: str | None,
    *,
    where: str,
    others: Collection[str] = (),
) -> str:
    """Return the name of the frame's column that holds job titles.

    Args:
        frame: the table.
        headers: its headers as they stand in the file, one per column of the frame.
        asked: the header that the user named, if any; it decides.
        where: the file, for messages.
        others: names of columns that are known to hold something else.

    Raises:
        TitleColumnError: if the asked one is not there, or none or several qualify.
    """
    pairs = list(zip(frame.collect_schema().names(), headers, strict=True))
    left = {n: h for n, h in pairs if n not in others}
    if asked is not None:
        return _asked_column(left, {n: h for n, h in pairs if n in others}, asked, where)
    names, headers = list(left), list(left.values())
    scores = _scores(frame, names, headers)
    ranked = sorted(zip(names, headers, scores, strict=True), key=lambda c: -c[2])
    leaders = [c for c in ranked if c[2] >= ENOUGH and c[2] > ranked[0][2] - LEAD]
    if len(leaders) == 1:
        return leaders[0][0]
    if leaders:
        listed = ", ".join(f"{name!r} ({score:.2f})" for name, _, score in leaders)
        raise TitleColumnError(
            f"{where}: several columns may hold job titles: {listed}. "
            "Choose one with --title-column"
        )
    listed = ", ".join(f"{name!r} ({score:.2f})" for name, _, score in ranked[:20])
    raise TitleColumnError(
        f"{where}: no column looks like job titles. Columns (scores): {listed or 'none'}. "
        "Name it with --title-column"
    )


def _asked_column(left: Mapping[str, str], taken: Mapping[str, str], asked: str, where: str) -> str:
    """Return the column of `left` (name: header) that is called so; it may not be of `taken`."""
    same = _called(left, asked)
    if len(same) == 1:
        return same[0]
    if same:
        problem = f"{len(same)} columns are called so"
    elif _called(taken, asked):
        problem = "this column is read as context or label already"
    else:
        problem = "there is no such column"
    raise TitleColumnError(
        f"{where}: --title-column {asked!r}: {problem}. Columns: {', '.join(map(repr, left))}"
    )


def _called(columns: Mapping[str, str], asked: str) -> list[str]:
    if asked in columns:
        return [asked]
    return [n for n, h in columns.items() if h == asked] or [
        n for n in columns if normalise_header(n) == normalise_header(asked)
    ]


def _scores(frame: pl.LazyFrame, names: Sequence[str], headers: Sequence[str]) -> list[float]:
    schema = frame.collect_schema()
    text = [n for n in names if schema[n] in (pl.String, pl.Categorical)]
    # Selectors, since pl.col takes '*' and '^...$' for patterns.
    sample = frame.select(cs.by_name(*text)).head(SAMPLE_ROWS).collect()
    roles, salutations = _shares(sample, _ROLE), _shares(sample, _SALUTATION)
    # Numbers are hardly titles, whatever the header; a column without any value may be.
    words = dict.fromkeys(set(names) - set(text), 0.5)
    words |= _shares(sample.select(c for c in sample if c.null_count() < c.len()), r"\p{L}")
    return [
        (header_worth(h) + roles.get(n, 0.0))
        * (1 - salutations.get(n, 0.0))
        * (1 + 3 * words.get(n, 1.0))
        / 4
        for n, h in zip(names, headers, strict=True)
    ]


def _shares(sample: pl.DataFrame, pattern: str) -> dict[str, float]:
    """Return which share of each column's cells holds the pattern."""
    return {
        c.name: int(c.cast(pl.String).str.contains(pattern).sum())
        / max(c.len() - c.null_count(), 1)
        for c in sample
    }

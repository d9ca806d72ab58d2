"""What a title looks like to the model: one Polars expression, its lexicon a data file.

The key of a title is its normalised text; with context it goes on with `SEPARATOR` and the text of
the context's columns. Titles with the same key get the same answer, and the key is what the score
store knows. Normalising 1 M distinct titles takes about 2 s on two cores.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files

import polars as pl

RULES_VERSION = "1"
MAX_CHARACTERS = 4_000
"""A title's text beyond this many characters is not looked at; the model reads 128 tokens."""
MAX_CONTEXT_CHARACTERS = 300
"""As many characters of each context column are looked at, so that a long one leaves room for the
next, and a description costs little more than a title."""
SEPARATOR = "\x1f"
"""Between a title's key and its context: a control character, which no normalised text can hold."""


_SEPARATORS = ["&", "/", ",", "(", ")"]
"""Signs that a key keeps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lexicon:
    """The word lists of lexicon.toml and a digest of the file.

    Attributes:
        expansions: what phrases and words are replaced by, phrases first; words within what a
            phrase is replaced by are replaced already.
    """

    digest: str
    expansions: Mapping[str, str]
    stop_words: tuple[str, ...]
    not_titles: tuple[str, ...]


@cache
def lexicon() -> Lexicon:
    """Return the lexicon shipped with the package."""
    content = files("jobbatch").joinpath("lexicon.toml").read_bytes()
    tables = tomllib.loads(content.decode())
    words: dict[str, str] = tables["words"] | tables["misspellings"]
    phrases = {
        phrase: " ".join(words.get(word, word) for word in plain.split())
        for phrase, plain in tables["phrases"].items()
    }
    return Lexicon(
        digest=hashlib.sha256(content).hexdigest()[:8],
        expansions=phrases | {w: plain for w, plain in words.items() if w not in phrases},
        stop_words=tuple(tables["stop_words"]),
        not_titles=tuple(tables["not_titles"]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Normaliser:
    """Turns raw titles into keys. The options are part of the model that was trained with them.

    Attributes:
        expand: replace abbreviations and misspellings by the lexicon's plain words.
        remove_digits: drop every digit.
        remove_stop_words: drop the lexicon's stop words ('it' is none: information technology).
    """

    expand: bool = True
    remove_digits: bool = False
    remove_stop_words: bool = False

    @property
    def version(self) -> str:
        """Identify rules, lexicon and options: keys of equal versions are comparable."""
        options = "".join(str(int(on)) for on in asdict(self).values())
        return f"{RULES_VERSION}-{lexicon().digest}-{options}"

    def key(self, column: str, context: Sequence[str] = ()) -> pl.Expr:
        """Return the expression of the titles' keys; null or blank titles give ''.

        Normalising a title's key of at most `MAX_CHARACTERS` again gives the same key.

        Args:
            column: of the titles.
            context: columns whose cells, joined by ' , ', follow the title's key and
                `SEPARATOR`. Null, blank and filler cells count as missing; where all are, the
                key is the title's alone.
        """
        title = self._title(column)
        if not context:
            return title
        cells = pl.concat_str(
            [self._context(name) for name in context], separator=" , ", ignore_nulls=True
        )
        appended = pl.when(cells != "").then(pl.format(f"{SEPARATOR}{{}}", cells))
        with_context = pl.concat_str([title, appended], ignore_nulls=True)
        return pl.when(title == "").then(title).otherwise(with_context)

    def _title(self, column: str) -> pl.Expr:
        text = pl.col(column).cast(pl.String).fill_null("").str.slice(0, MAX_CHARACTERS)
        text = _clean(text, remove_digits=self.remove_digits)
        if self.expand:
            text = _expand(text)
        if self.remove_stop_words:
            text = _replaced(text, dict.fromkeys(lexicon().stop_words, ""))
        if self.expand and self.remove_stop_words:
            text = _expand(text)  # a stop word may have stood within a phrase
        return text

    def _context(self, column: str) -> pl.Expr:
        """Return the text of context cells, null where there is none.

        Abbreviations stay: a company 'MD Anderson' must not become a managing director.
        """
        text = _clean(context_cell(pl.col(column)), remove_digits=self.remove_digits)
        return pl.when(~text.is_in(["", *lexicon().not_titles])).then(text)


def context_cell(cell: pl.Expr) -> pl.Expr:
    """Return what of a context cell is looked at."""
    return cell.cast(pl.String).str.slice(0, MAX_CONTEXT_CHARACTERS)


def without_context(key: str) -> str:
    """Return the title's part of a key."""
    return key.partition(SEPARATOR)[0]


def shown(key: str) -> str:
    """Return a key as a person reads it."""
    return key.replace(SEPARATOR, " | ")


def is_title(key: pl.Expr) -> pl.Expr:
    """Return whether a key can be a title at all: it has a letter and is no filler as 'n/a'.

    The context does not count.
    """
    # Cut off only where there is something to cut: most tables have no context.
    with_context = pl.when(key.str.contains(SEPARATOR, literal=True)).then(key)
    title = pl.coalesce(with_context.str.extract(rf"^([^{SEPARATOR}]*)"), key)
    return title.str.contains(r"\p{L}") & ~title.is_in(list(lexicon().not_titles))


def _clean(text: pl.Expr, *, remove_digits: bool) -> pl.Expr:
    """Lower-case and reduce punctuation to the separators & / , ( ) with spaces around them."""
    text = _lower_case(text)
    text = text.str.replace_all(r"&(?:amp|#38);", "&").str.replace_all(r"&(?:nbsp|#160);", " ")
    text = _join_initials(text)
    text = text.str.replace_all(r"['\u2019\u02bc]+s\b", "s")
    text = text.str.replace_all(r"\s[-\u2010-\u2015]+\s|[|;+\\\u2022\u00b7]", " / ")
    text = text.str.strip_chars().str.replace_all(r"[\r\n]+", " , ")
    text = text.str.replace_all(
        r"[^\p{L}\p{M}\p{N}&/,()]" if not remove_digits else r"[^\p{L}\p{M}&/,()]", " "
    )
    return _collapse(text.str.replace_many(_SEPARATORS, [f" {sign} " for sign in _SEPARATORS]))


def _lower_case(text: pl.Expr) -> pl.Expr:
    """Return the text in lower case and in Unicode's form NFKC, which ASCII always has."""
    beyond = pl.when(text.str.contains(r"[^\x00-\x7f]")).then(text)
    folded = beyond.str.normalize("NFKC").str.to_lowercase().str.normalize("NFKC")
    return pl.coalesce(folded, text.str.to_lowercase())


def _join_initials(text: pl.Expr) -> pl.Expr:
    """Turn 'v.p.' into 'vp' and 'c.e.o.' into 'ceo', up to five letters."""
    more = r"(?:\.(\p{L})\b)?"
    return text.str.replace_all(rf"\b(\p{{L}})\.(\p{{L}})\b{more * 3}\.?", "${1}${2}${3}${4}${5}")


def _expand(text: pl.Expr) -> pl.Expr:
    return _replaced(text, lexicon().expansions)


def _replaced(text: pl.Expr, words: Mapping[str, str]) -> pl.Expr:
    """Replace whole words and phrases; where several fit, the first in `words`."""
    # Every space doubled, so that two of them side by side do not share one.
    padded = pl.format("  {}  ", text.str.replace_all(" ", "  ", literal=True))
    old = [f" {_doubled(phrase)} " for phrase in words]
    new = [f" {plain} " for plain in words.values()]
    return _collapse(padded.str.replace_many(old, new, leftmost=True))


def _doubled(phrase: str) -> str:
    return phrase.replace(" ", "  ")


def _collapse(text: pl.Expr) -> pl.Expr:
    """Return a text whose only white space are spaces, with one where there were several."""
    return text.str.replace_all("  +", " ").str.strip_chars(" ")

"""The page of a report: whole, self-contained, and safe with whatever a title says."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from jobbatch.errors import OutputError, WriteError
from jobbatch.training import report
from jobbatch.training.evaluation import Decided, Scored
from jobbatch.training.report import Report, Subject

pytestmark = pytest.mark.train

TITLE = "<b>Owner</b> & co"
LABELS = ("cook <i>", "$baker$ & 漢", "_juggler")
VOID = {"meta", "br", "link", "img"}
SECTIONS = [
    "headline",
    "labels",
    "models",
    "confidence",
    "reliability",
    "precision-recall",
    "slices",
    "confusions",
    "errors",
]


class Page(HTMLParser):
    """Collects what a page is made of, and fails where a tag is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.words = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.tags.append(tag)
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.links += [named[n] or "" for n in ("src", "href", "data", "srcset") if n in named]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.fixture(scope="module")
def made() -> Report:
    truth = np.eye(3, dtype=bool)
    hot = truth[[1, 1, 2]]
    rows = Scored(
        titles=(TITLE, "pie baker", "juggler"),
        tables=("people.csv",) * 3,
        labels=LABELS,
        truth=truth,
        decided=Decided(
            hot=hot,
            calibrated=np.where(hot, 0.9, 0.1),
            confidence=np.array([0.9, 0.8, np.nan]),
            needs_review=np.array([False, False, True]),
        ),
    )
    subject = Subject(model="m", rows="people.csv", left_out=4, trained_on=("people.csv",))
    return report.build(rows, subject, others={"constant": np.full((3, 3), 0.2)})


@pytest.fixture(scope="module")
def html(made: Report) -> str:
    return report.render(made)


def test_the_page_has_every_section_and_every_plot(html: str) -> None:
    page = Page(html)
    assert [i for i in page.ids if i in SECTIONS] == SECTIONS
    assert page.tags.count("svg") == 4
    assert len(set(page.ids)) == len(page.ids)


def test_the_page_needs_nothing_but_itself(html: str) -> None:
    page = Page(html)
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    assert [link for link in page.links if not link.startswith("#")] == []
    assert {link[1:] for link in page.links} <= set(page.ids)
    assert not re.search(r"https?:|url\((?!#)|@import", html)


def test_titles_and_labels_are_shown_as_they_are(html: str) -> None:
    page = Page(html)
    assert TITLE in page.words
    assert TITLE not in html
    assert "i" not in page.tags
    assert page.words.count("cook <i>") > 3
    assert page.words.count("$baker$ & 漢") > 3


def test_a_reader_is_told_what_the_figures_do_not_say(html: str) -> None:
    words = " ".join(Page(html).words.split())
    assert "The model was trained on people.csv." in words
    assert "without 4 that have no title or no labels" in words
    assert "The mark for review does not keep its promise here" in words
    assert "Fewer than 10 rows" in words
    assert "This page shows titles from the data" in words


def test_the_page_is_readable_in_the_dark_and_on_paper(html: str) -> None:
    assert "@media (prefers-color-scheme: dark)" in html
    assert "@media print" in html
    ink = re.findall(r"(?:fill|stroke): ([^;\"]+)", html)
    assert {colour for colour in ink if colour != "none"} == {"currentColor", "#4a86c5", "#e08a2e"}


def test_the_files_hold_the_same_numbers(made: Report, tmp_path: Path) -> None:
    report.write(tmp_path / "new" / "report", made)
    written = {path.name: path for path in (tmp_path / "new" / "report").iterdir()}
    assert set(written) == {"report.html", "report.json"}
    numbers = json.loads(written["report.json"].read_text(encoding="utf-8"))
    assert numbers["headline"]["exact_match"]["value"] == pytest.approx(2 / 3, abs=1e-6)
    assert "0.667" in written["report.html"].read_text(encoding="utf-8")
    assert TITLE not in written["report.json"].read_text(encoding="utf-8")


def test_what_is_there_is_replaced_only_when_asked(made: Report, tmp_path: Path) -> None:
    report.check_target(tmp_path, overwrite=False)
    report.write(tmp_path, made)
    report.check_target(tmp_path, overwrite=True)
    with pytest.raises(OutputError, match="--overwrite"):
        report.check_target(tmp_path, overwrite=False)


def test_a_report_is_never_put_into_a_model_folder(word_model: Path) -> None:
    for folder in (word_model, word_model / "report"):
        with pytest.raises(OutputError, match="is a model folder"):
            report.check_target(folder, overwrite=True)


def test_a_folder_that_cannot_be_made_is_named(made: Report, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="is not a folder"):
        report.check_target(tmp_path / "file", overwrite=True)
    with pytest.raises(WriteError, match="cannot be made"):
        report.write(tmp_path / "file" / "report", made)

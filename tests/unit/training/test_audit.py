"""An audit ranks planted errors first, says why, and its workbook comes back as corrections."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import openpyxl
import polars as pl
import pytest
from openpyxl.worksheet.worksheet import Worksheet

from jobbatch.errors import LockedError, OutputError, UsageError
from jobbatch.runs import exclusive
from jobbatch.settings.teaching import AuditSettings, TrainSettings
from jobbatch.training import corrections, dataset, labelled_table
from jobbatch.training.audit import AuditReport, audit
from jobbatch.training.dataset import Dataset

pytestmark = pytest.mark.train

THINGS = (
    "Moss", "Kite", "Tunnel", "Puzzle", "Lantern", "Teapot", "Whistle", "Button", "Ladder", "Cloud",
    "Pebble", "Feather", "Marble", "Riddle", "Anchor", "Bubble", "Candle", "Drizzle", "Echo", "Fern",
)  # fmt: skip
PLACES = {
    "{} Whisperer": "zoo",
    "Keeper of the {}": "museum",
    "{} Polisher": "workshop",
    "{} Taster of the Day": "kitchen",
}
CLEAN = [(pattern.format(t), place) for t in THINGS for pattern, place in PLACES.items()]
Rows = Sequence[tuple[str, str]]


def run(rows: Rows, *, out: str = "audit.xlsx", **changes: object) -> AuditReport:
    pl.DataFrame(rows, schema=["title", "label"], orient="row").write_csv("data.csv")
    fields: dict[str, object] = {"data": (Path("data.csv"),), "out": Path(out), "delimiter": ";"}
    return audit(AuditSettings(**(fields | changes)))  # type: ignore[arg-type]


def first_sheet(path: str = "audit.xlsx") -> Worksheet:
    return openpyxl.load_workbook(path).worksheets[0]


def listed(path: str = "audit.xlsx") -> dict[str, dict[str, object]]:
    """Return the rows of the first sheet by title, in their order."""
    header, *rows = first_sheet(path).iter_rows(values_only=True)
    titled = [row for row in rows if row[1] is not None]
    return {str(row[1]): dict(zip(map(str, header), row, strict=True)) for row in titled}


def load_corrected(workbook: str = "audit.xlsx") -> Dataset:
    settings = TrainSettings(
        out=Path("m"), data=(Path("data.csv"),), corrections=Path(workbook), delimiter=";"
    )
    return dataset.load(settings, Path(tempfile.mkdtemp(dir=".")))


def fill_in(labels: dict[str, str], path: str = "audit.xlsx") -> None:
    book = openpyxl.load_workbook(path)
    for row in book.worksheets[0].iter_rows(min_row=2):
        if row[1].value in labels:
            row[4].value = labels[str(row[1].value)]
    book.save(path)


class TestTheRanking:
    def test_planted_errors_come_first(self) -> None:
        wrong = {i: {"zoo": "kitchen"}.get(CLEAN[i][1], "zoo") for i in range(5, 75, 7)}
        report = run([(t, wrong.get(i, label)) for i, (t, label) in enumerate(CLEAN)])
        first = list(listed())[:15]
        assert len({CLEAN[i][0] for i in wrong} & set(first)) >= 8
        assert report.by_sign["linear model"] >= 8
        assert report.suspicious == len(listed())

    def test_what_the_other_titles_say_is_suggested_and_given_as_the_reason(self) -> None:
        run([("Moss Whisperer", "kitchen"), *CLEAN[1:]])
        found = listed()["Moss Whisperer"]
        assert (found["rank"], found["labels"], found["suggested labels"]) == (1, "kitchen", "zoo")
        assert str(found["why"]).startswith("the linear model gives zoo ")
        assert "kitchen only 0." in str(found["why"])

    def test_a_near_twin_is_named_with_its_labels(self) -> None:
        run([*CLEAN, ("Kite Repairs, Grand Head", "zoo"), ("Grand Head - Kite Repairs", "museum")])
        assert "the near-twin 'Grand Head - Kite Repairs' has museum" in str(
            listed()["Kite Repairs, Grand Head"]["why"]
        )
        assert "has zoo" in str(listed()["Grand Head - Kite Repairs"]["why"])

    def test_a_title_but_for_a_letter_is_a_near_twin(self) -> None:
        titles = [f"Supreme {word} of Lanterns and Candles" for word in ("Inspector", "Inspectors")]
        run([*CLEAN, (titles[0], "zoo"), (titles[1], "museum")])
        assert f"the near-twin '{titles[1]}' has museum" in str(listed()[titles[0]]["why"])

    def test_near_twins_of_the_same_labels_are_not_suspicious(self) -> None:
        report = run([*CLEAN, ("Kite Head, Grand", "zoo"), ("Grand Head, Kite", "zoo")])
        assert report.by_sign["near-twin"] == 0

    def test_only_titles_of_the_same_context_or_of_none_are_near_twins(self) -> None:
        head, turned = "Grand Head, Kite Repairs", "Kite Repairs - Grand Head"
        rows = [
            (head, "a shed", "zoo"),
            (turned, "a shed", "museum"),
            (turned, "the zoo of the long and winding name", "museum"),
            (head, "the museum of the long and winding name", "zoo"),
            ("Moss Owner, First", "the museum of the long and winding name", "zoo"),
            ("First Fern Taster", "the museum of the long and winding name", "museum"),
            *((title, None, place) for title, place in CLEAN),
        ]
        schema = ["title", "team", "label"]
        pl.DataFrame(rows, schema=schema, orient="row").write_csv("teams.csv")
        report = run(CLEAN, data=(Path("teams.csv"),), context=("team",))
        # Neither other contexts, nor titles that only a long context makes alike.
        assert report.by_sign["near-twin"] == 2
        assert "the near-twin 'Kite Repairs - Grand Head | a shed'" in str(
            listed()[f"{head} | a shed"]["why"]
        )

    @pytest.mark.fault(44)
    def test_every_title_that_contradicts_itself_is_named_with_its_counts_and_rows(self) -> None:
        titles = [f"{thing} Tickler" for thing in THINGS[:12]]
        rows = [(t, label) for t in titles for label in ("zoo", "museum", "zoo")]
        report = run([*rows, *CLEAN])
        assert report.by_sign["contradiction"] == 12
        found = listed()["Kite Tickler"]
        assert "contradicts itself: 2 x zoo, 1 x museum" in str(found["why"])
        assert found["rows"] == "5, 6, 7"

    def test_the_same_data_give_the_same_list(self) -> None:
        rows = [("Moss Whisperer", "kitchen"), ("Kite Polisher", "zoo"), *CLEAN[1:]]
        run(rows)
        run(rows[::-1], out="again.xlsx")
        assert list(listed()) == list(listed("again.xlsx"))


class TestTheOwnTitles:
    LEVELS = {"Chief {} Officer": "Chief Officer", "{} Shed Director": "Director"}  # noqa: RUF012

    @pytest.fixture(autouse=True)
    def _own_titles(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rows = [(p.format(t), label) for t in THINGS for p, label in self.LEVELS.items()]
        pl.DataFrame(rows, schema=["title", "labels"], orient="row").write_csv("own.csv")
        monkeypatch.setattr(labelled_table, "OWN_TITLES", Path("own.csv"))

    def test_they_are_audited_where_no_data_are_given(self) -> None:
        report = run([("unread", "unread")], data=())
        assert [table.name for table in report.tables] == ["own.csv"]
        assert "own-titles" not in report.next_command

    def test_training_with_the_corrections_reads_them_again(self) -> None:
        report = run([("Kite Chief", "Director")], own_titles=True)
        assert [table.name for table in report.tables] == ["data.csv", "own.csv"]
        assert report.next_command.startswith("jobbatch train data.csv --own-titles --delimiter")


class TestTheShippedModel:
    LEVELS = {"Chief {} Officer": "Chief Officer", "{} Shed Director": "Director"}  # noqa: RUF012

    def test_it_is_asked_about_job_levels(self) -> None:
        rows = [(p.format(t), label) for t in THINGS for p, label in self.LEVELS.items()]
        report = run([(rows[0][0], "Director"), *rows[1:]])
        assert report.by_sign["shipped model"] >= 1
        assert "the shipped model gives Chief Officer 0." in str(listed()[rows[0][0]]["why"])

    def test_it_is_left_out_for_other_labels(self) -> None:
        assert set(run(CLEAN).by_sign) == {"linear model", "near-twin", "contradiction"}


class TestTheWorkbook:
    def test_its_header_is_frozen_filtered_and_repeated_in_print(self) -> None:
        run([("Moss Whisperer", "kitchen"), *CLEAN[1:]])
        sheet = first_sheet()
        assert (sheet.title, sheet.freeze_panes) == ("to check", "A2")
        assert sheet.auto_filter.ref == sheet.dimensions
        assert sheet.print_title_rows == "$1:$1"

    def test_the_labels_to_fill_in_are_offered_and_others_may_be_typed(self) -> None:
        run([("Moss Whisperer", "kitchen"), ("Moss Owner", "zoo;museum"), *CLEAN[1:]])
        book = openpyxl.load_workbook("audit.xlsx")
        (offered,) = book["to check"].data_validations.dataValidation
        assert (offered.type, offered.showErrorMessage) == ("list", False)
        assert str(offered.sqref).startswith("E2")
        assert offered.formula1 == "choices!$A$1:$A$6"
        assert book["choices"].sheet_state == "hidden"
        choices = [cell.value for (cell,) in book["choices"].iter_rows()]
        singles = ["kitchen", "museum", "workshop", "zoo"]
        assert choices == [*singles, "museum; zoo", "(no label)"]

    def test_titles_that_look_like_formulas_stay_text(self) -> None:
        odd = ["=1+1 Whisperer", "+Kite Whisperer", "-Moss Whisperer", "@Fern Whisperer"]
        run([(title, label) for title in odd for label in ("kitchen", "museum")] + CLEAN)
        cells = {cell.value: cell for (cell,) in first_sheet().iter_rows(2, None, 2, 2)}
        assert set(odd) <= set(cells)
        assert all(cells[t].data_type == "s" and cells[t].quotePrefix for t in odd)

    def test_control_characters_do_not_spoil_it(self) -> None:
        run([("Moss\x01Whisperer", label) for label in ("kitchen", "zoo")] + CLEAN[1:])
        assert "Moss Whisperer" in listed()

    def test_the_second_sheet_counts_and_the_third_helps(self) -> None:
        run([("Moss Whisperer", "kitchen"), *CLEAN[1:]])
        book = openpyxl.load_workbook("audit.xlsx")
        assert book.sheetnames == ["to check", "labels", "how to", "choices"]
        counts = {row[0]: row[1:] for row in book["labels"].iter_rows(2, values_only=True)}
        assert counts["kitchen"][:2] == (21, 21)
        assert sum(row[2] for row in counts.values()) == len(listed())
        assert 6 <= book["how to"].max_row <= 10

    def test_rows_are_numbered_as_the_spreadsheet_does_and_tables_are_named(self) -> None:
        book = openpyxl.Workbook()
        sheet = book.worksheets[0]
        for row in [("a banner",), (), ("title", "label"), (), ("Moss Whisperer", "kitchen")]:
            sheet.append(row)
        book.save("more.xlsx")
        rows = [("Moss Whisperer", "zoo"), *CLEAN[1:]]
        run(rows, data=(Path("data.csv"), Path("more.xlsx")))
        assert listed()["Moss Whisperer"]["rows"] == "data.csv: 2\nmore.xlsx: 5"


class TestCorrections:
    ROWS: Rows = (("Moss Whisperer", "kitchen"), ("=Kite Polisher", "zoo"), *CLEAN[1:])

    def test_what_was_filled_in_is_trained_on(self) -> None:
        run(self.ROWS)
        before = load_corrected()
        assert before.report.corrected == 0
        fill_in({"Moss Whisperer": "zoo; museum", "=Kite Polisher": "(no label)"})
        after = load_corrected()
        old = dict(zip(before.keys, before.key_labels, strict=True))
        new = dict(zip(after.keys, after.key_labels, strict=True))
        assert new["moss whisperer"] == ("museum", "zoo")
        changed = {key: labels for key, labels in new.items() if labels != old[key]}
        assert after.report.corrected == len(changed)
        assert () in changed.values()

    def test_a_label_that_is_also_a_header_of_titles_does_not_hide_the_sheet(self) -> None:
        rows = [(title, label.replace("zoo", "Position")) for title, label in self.ROWS]
        run(rows)
        fill_in({"Moss Whisperer": "Position"})
        assert load_corrected().report.corrected == 1

    def test_a_workbook_of_nothing_corrects_nothing(self) -> None:
        report = run(CLEAN)
        assert report.suspicious == 0
        normaliser = load_corrected().normaliser
        assert not corrections.read(
            Path("audit.xlsx"), normaliser, Path(tempfile.mkdtemp()), {}
        ).rows


class TestRefusals:
    def test_an_existing_workbook_is_replaced_only_when_asked(self) -> None:
        run(CLEAN)
        content = Path("audit.xlsx").read_bytes()
        with pytest.raises(OutputError, match=r"audit\.xlsx exists already .* --overwrite"):
            run(CLEAN)
        assert Path("audit.xlsx").read_bytes() == content
        run([("Moss Whisperer", "kitchen"), *CLEAN[1:]], overwrite=True)
        assert "Moss Whisperer" in listed()

    def test_the_data_are_never_the_output(self) -> None:
        book = openpyxl.Workbook()
        book.save("data.xlsx")
        with pytest.raises(OutputError, match="same file"):
            run(CLEAN, data=(Path("data.xlsx"),), out="data.xlsx", overwrite=True)

    def test_what_is_no_workbook_is_refused(self) -> None:
        with pytest.raises(UsageError, match=r"audit\.csv: the workbook is an \.xlsx file"):
            run(CLEAN, out="audit.csv")

    def test_a_missing_folder_is_named(self) -> None:
        with pytest.raises(OutputError, match="the folder nowhere does not exist"):
            run(CLEAN, out="nowhere/audit.xlsx")

    def test_two_audits_do_not_write_the_same_file(self) -> None:
        with exclusive(Path("audit.xlsx")), pytest.raises(LockedError):
            run(CLEAN)

    def test_fewer_titles_than_folds_are_too_few(self) -> None:
        with pytest.raises(UsageError, match="4 distinct titles cannot be split into 5 parts"):
            run(CLEAN[:4])
        assert not Path("audit.xlsx").exists()

    @pytest.mark.fault(44)
    def test_one_label_is_too_few(self) -> None:
        with pytest.raises(UsageError, match="two labels or more, found zoo"):
            run([row for row in CLEAN if row[1] == "zoo"])

    def test_titles_that_all_carry_the_same_labels_cannot_be_compared(self) -> None:
        with pytest.raises(UsageError, match="all 80 distinct titles carry museum; zoo"):
            run([(title, "zoo;museum") for title, _ in CLEAN])

    @pytest.mark.fault(44)
    def test_rare_labels_and_constant_ones_are_no_hindrance(self) -> None:
        rows = [(title, f"everybody;{label}") for title, label in CLEAN]
        run([*rows, ("Grand Fern Oracle", "everybody;tower")])
        assert "everybody" in {
            row[0].value for row in openpyxl.load_workbook("audit.xlsx")["labels"]
        }

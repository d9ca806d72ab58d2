"""Labelled tables of every layout, their contradictions, and what is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from jobbatch.errors import UsageError
from jobbatch.labels import JOB_LEVELS, LabelSet
from jobbatch.settings.teaching import TrainSettings
from jobbatch.titles import SEPARATOR
from jobbatch.training import dataset
from jobbatch.training.corrections import digest
from tests.tinymodel import own_titles

pytestmark = pytest.mark.train


def load(tmp_path: Path, frame: pl.DataFrame, **changes: object) -> dataset.Dataset:
    path = tmp_path / "data.parquet"
    frame.write_parquet(path)
    settings = TrainSettings(data=(path,), out=tmp_path / "out", **changes)  # type: ignore[arg-type]
    return dataset.load(settings, tmp_path)


def test_several_label_columns_are_found_by_their_headers(tmp_path: Path) -> None:
    data = load(tmp_path, own_titles())
    (table,) = data.report.tables
    assert table.label_columns == ("Column 1", "Column 2")
    assert table.title_column == "Job Title"
    assert data.labels.names == JOB_LEVELS
    assert (data.report.rows, data.report.distinct, data.report.conflicts) == (63, 63, 0)
    both = data.row_labels[data.row_keys.index("owner / manager , kite shed")]
    assert both == ("Owner", "Manager")
    assert data.report.support["Owner"] == 18


@pytest.mark.parametrize("header", ["label", "Labels", "level", "Job Level", "label 1"])
def test_one_label_column_is_found_by_its_header(tmp_path: Path, header: str) -> None:
    frame = pl.DataFrame({"title": ["red hat", "blue hat"], header: ["red", "blue"]})
    assert load(tmp_path, frame).row_labels == (("red",), ("blue",))


def test_a_column_per_label_holds_flags(tmp_path: Path) -> None:
    flags = {"Manager": [1, 0, 1], "Director": ["0", "TRUE", "1.0"], "note": ["a", "b", "c"]}
    frame = pl.DataFrame({"title": ["x shed", "y shed", "z shed"], **flags})
    data = load(tmp_path, frame)
    assert data.row_labels == (("Manager",), ("Director",), ("Director", "Manager"))


def test_explicit_noes_say_that_a_title_has_no_label(tmp_path: Path) -> None:
    flags = {"Manager": ["1", "0", None, "0"], "Director": ["1", "false", None, None]}
    titles = [f"{c} shed" for c in "wxyz"]
    data = load(tmp_path, pl.DataFrame({"title": titles, **flags}))
    assert data.row_labels == (("Director", "Manager"), (), ())
    assert data.report.tables[0].unlabelled == 1


def test_asked_flag_columns_may_have_any_name(tmp_path: Path) -> None:
    frame = pl.DataFrame({"title": ["x shed", "y shed"], "red": [1, 0], "blue": [1, 1]})
    data = load(tmp_path, frame, label_columns=("red", "Blue"))
    assert data.labels.names == ("blue", "red")
    assert data.row_labels == (("blue", "red"), ("blue",))


def test_a_delimiter_splits_cells(tmp_path: Path) -> None:
    frame = pl.DataFrame({"title": ["x shed", "y shed"], "dept": ["a; b ;", "b"]})
    data = load(tmp_path, frame, label_columns=("dept",), delimiter=";")
    assert data.row_labels == (("a", "b"), ("b",))


def test_list_columns_are_read(tmp_path: Path) -> None:
    frame = pl.DataFrame({"title": ["x shed", "y shed"], "labels": [["a", None, "b"], ["b"]]})
    assert load(tmp_path, frame).row_labels == (("a", "b"), ("b",))


def test_case_and_spaces_make_no_new_label(tmp_path: Path) -> None:
    labels = ["manager", "MANAGER ", "kite  lead", "Kite lead", "Kite lead"]
    frame = pl.DataFrame({"title": [f"{c} shed" for c in "abcde"], "label": labels})
    assert load(tmp_path, frame).labels.names == ("Kite lead", "Manager")


@pytest.mark.fault(44)
def test_contradictions_are_reported_and_the_majority_is_kept() -> None:
    known = LabelSet(("a", "b"))
    rows = [
        ("x", ("a",)),
        ("x", ("b",)),
        ("x", ("a",)),
        ("y", ("b",)),
        ("y", ("a",)),
        ("z", ("b",)),
    ]
    merged, conflicts = dataset.merge(rows, known)
    assert merged == {"x": ("a",), "y": ("a", "b"), "z": ("b",)}
    assert [c.key for c in conflicts] == ["x", "y"]
    assert conflicts[0].label_sets == (("a",), ("b",))


def test_rows_of_a_contradiction_all_stay(tmp_path: Path) -> None:
    titles = ["Kite Shed", "kite shed!", "kite  shed", "moss shed"]
    data = load(tmp_path, pl.DataFrame({"title": titles, "label": ["a", "a", "b", "b"]}))
    assert data.keys == ("kite shed", "moss shed")
    assert data.key_labels == (("a",), ("b",))
    assert data.row_labels == (("a",), ("a",), ("b",), ("b",))
    assert data.report.conflicts == 1
    assert data.report.examples[0].label_sets == (("a",), ("b",))


@pytest.mark.fault(44)
def test_rows_without_label_or_title_are_counted(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {"title": ["kite", None, " ", "moss", "tin"], "label": ["a", "a", "b", None, "b"]}
    )
    report = load(tmp_path, frame).report
    (table,) = report.tables
    assert (table.rows, table.unlabelled, table.blank) == (2, 1, 2)
    assert report.rare_labels == ("a", "b")


@pytest.mark.fault(44)
def test_one_label_is_too_few(tmp_path: Path) -> None:
    frame = pl.DataFrame({"title": ["kite", "moss"], "label": ["a", "A"]})
    with pytest.raises(UsageError, match="two labels or more, found a"):
        load(tmp_path, frame)


@pytest.mark.fault(44)
def test_no_label_at_all_is_too_few(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {"title": ["kite"], "label": [None]}, schema_overrides={"label": pl.String}
    )
    with pytest.raises(UsageError, match="found none"):
        load(tmp_path, frame)


@pytest.mark.fault(44)
def test_missing_label_columns_are_an_error_that_lists_the_columns(tmp_path: Path) -> None:
    frame = pl.DataFrame({"title": ["kite"], "dept": ["a"]})
    with pytest.raises(UsageError, match="'title', 'dept'"):
        load(tmp_path, frame)
    with pytest.raises(UsageError, match="'team': there is no such column"):
        load(tmp_path, frame, label_columns=("team",))


def test_the_normaliser_is_the_one_asked_for(tmp_path: Path) -> None:
    frame = pl.DataFrame({"title": ["Kite 7"], "label": ["a"]})
    with pytest.raises(UsageError):
        load(tmp_path, frame)
    frame = pl.DataFrame({"title": ["Kite 7", "moss"], "label": ["a", "b"]})
    assert load(tmp_path, frame, remove_digits=True).keys == ("kite", "moss")


def test_label_order_does_not_depend_on_the_process(tmp_path: Path) -> None:
    frame = pl.DataFrame({"title": [f"{c} shed" for c in "abcdef"], "label": list("fbdace")})
    frame.write_parquet(tmp_path / "data.parquet")
    code = (
        "from pathlib import Path; from jobbatch.settings.teaching import TrainSettings as S;"
        "from jobbatch.training import dataset as d;"
        "print(d.load(S(data=(Path('data.parquet'),), out=Path('o')), Path('.')).labels.names)"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=tmp_path,
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert answers == {"('a', 'b', 'c', 'd', 'e', 'f')\n"}


def test_no_label_is_an_answer_and_an_empty_cell_is_none(tmp_path: Path) -> None:
    labels = ["a", "b", "(No Label)", None]
    frame = pl.DataFrame({"title": [f"{c} shed" for c in "wxyz"], "label": labels})
    data = load(tmp_path, frame)
    assert data.row_labels == (("a",), ("b",), ())
    assert data.report.tables[0].unlabelled == 1


def test_several_tables_become_one_data_set(tmp_path: Path) -> None:
    for name, label in (("one", "a"), ("two", "b")):
        frame = pl.DataFrame({"title": ["kite shed", f"{name} shed"], "label": label})
        frame.write_csv(tmp_path / f"{name}.csv")
    files = (tmp_path / "one.csv", tmp_path / "two.csv")
    data = dataset.load(TrainSettings(data=files, out=tmp_path / "out"), tmp_path)
    assert data.row_tables == ("one.csv", "one.csv", "two.csv", "two.csv")
    assert dict(zip(data.keys, data.key_labels, strict=True))["kite shed"] == ("a", "b")
    assert data.report.conflicts == 1
    assert set(data.sha256) == {"one.csv", "two.csv"}


def test_every_table_counts_the_same_however_long_it_is(tmp_path: Path) -> None:
    long, short = tmp_path / "long.csv", tmp_path / "short.csv"
    long.write_text("title,label\n" + "".join(f"{c} shed,red\n" for c in "abcdef"))
    short.write_text("title,label\na shed,red\ng shed,blue\nh shed,blue\n")
    settings = TrainSettings(data=(long, short), out=tmp_path / "out")
    data = dataset.load(settings, tmp_path)
    # 'a shed' is the long table's, which comes first.
    weights = dict(zip(data.keys, data.weights(data.keys).tolist(), strict=True))
    assert weights == {f"{c} shed": 8 / 2 / 6 for c in "abcdef"} | {"g shed": 2.0, "h shed": 2.0}
    assert data.weights(["b shed", "c shed"]).tolist() == [1.0, 1.0]


def test_case_makes_no_new_label_across_tables(tmp_path: Path) -> None:
    for name, labels in (
        ("one", ["kite", "moss", "MANAGER"]),
        ("two", ["Kite", "Kite", "MANAGER"]),
    ):
        frame = pl.DataFrame({"title": [f"{name} {c}" for c in "abc"], "label": labels})
        frame.write_csv(tmp_path / f"{name}.csv")
    files = (tmp_path / "one.csv", tmp_path / "two.csv")
    data = dataset.load(TrainSettings(data=files, out=tmp_path / "out"), tmp_path)
    assert data.labels.names == ("Kite", "Manager", "moss")
    assert data.row_labels[0] == data.row_labels[3] == ("Kite",)


def test_tables_of_one_name_are_told_apart_and_every_file_has_its_sha256(tmp_path: Path) -> None:
    for folder, label in (("one", "a"), ("two", "b")):
        (tmp_path / folder).mkdir()
        frame = pl.DataFrame({"title": [f"{folder} shed"], "label": [label]})
        frame.write_csv(tmp_path / folder / "data.csv")
    pl.DataFrame({"title": ["tin whistle"]}).write_csv(tmp_path / "more.csv")
    pl.DataFrame({"title": ["tin whistle"], "corrected labels": ["a"]}).write_csv(
        tmp_path / "right.csv"
    )
    settings = TrainSettings(
        data=(tmp_path / "one" / "data.csv", tmp_path / "two" / "data.csv"),
        unlabelled=tmp_path / "more.csv",
        corrections=tmp_path / "right.csv",
        out=tmp_path / "out",
    )
    data = dataset.load(settings, tmp_path)
    assert data.row_tables == ("data.csv", "data.csv (2)", "more.csv")
    assert set(data.sha256) == {"data.csv", "data.csv (2)", "more.csv", "right.csv"}
    assert len(set(data.sha256.values())) == 4


def test_without_data_the_own_titles_are_read(tmp_path: Path) -> None:
    data = dataset.load(TrainSettings(out=tmp_path / "out"), tmp_path)
    assert data.labels.names == JOB_LEVELS
    assert data.report.rows > 5_000
    assert () in data.row_labels


@pytest.mark.fault(44)
def test_own_titles_join_data_with_their_labels_only(tmp_path: Path) -> None:
    frame = pl.DataFrame({"title": ["kite shed", "moss shed"], "label": ["Director", "Owner"]})
    data = load(tmp_path, frame, own_titles=True)
    assert set(data.row_tables) == {"data.parquet", "titles.csv"}
    with pytest.raises(UsageError, match="Leave --own-titles out"):
        load(tmp_path, frame.with_columns(label=pl.Series(["Director", "Lead"])), own_titles=True)


class TestCorrections:
    FRAME = pl.DataFrame({"title": ["Kite Shed", "moss shed"], "label": ["a", "b"]})

    def corrected(
        self, tmp_path: Path, table: dict[str, list[str]], **changes: object
    ) -> dataset.Dataset:
        pl.DataFrame(table).write_csv(tmp_path / "corrections.csv")
        return load(tmp_path, self.FRAME, corrections=tmp_path / "corrections.csv", **changes)

    def test_they_replace_the_labels_trained_on_by_title(self, tmp_path: Path) -> None:
        table = {"title": ["kite SHED"], "corrected labels": ["a;b"]}
        data = self.corrected(tmp_path, table)
        assert data.key_labels == (("a", "b"), ("b",))
        assert data.row_labels == (("a",), ("b",))
        assert data.report.corrected == 1

    def test_they_replace_labels_by_the_key_s_sha256(self, tmp_path: Path) -> None:
        table = {"sha256": [digest("kite shed")], "corrected labels": ["(no label)"]}
        assert self.corrected(tmp_path, table).key_labels == ((), ("b",))

    def test_they_label_titles_that_had_none(self, tmp_path: Path) -> None:
        pl.DataFrame({"title": ["Tin Whistle", "glass whistle"]}).write_csv(tmp_path / "more.csv")
        table = {"sha256": [digest("tin whistle")], "corrected labels": ["b"]}
        data = self.corrected(tmp_path, table, unlabelled=tmp_path / "more.csv")
        assert dict(zip(data.keys, data.key_labels, strict=True))["tin whistle"] == ("b",)
        assert data.unlabelled == ("glass whistle",)

    def test_titles_that_have_labels_are_not_labelled_again(self, tmp_path: Path) -> None:
        self.FRAME.select("title").write_csv(tmp_path / "more.csv")
        table = {"title": ["kite shed"], "corrected labels": ["b"]}
        data = self.corrected(tmp_path, table, unlabelled=tmp_path / "more.csv")
        assert (data.report.rows, data.report.conflicts) == (2, 0)
        assert data.key_labels == (("b",), ("b",))

    def test_a_row_holds_for_its_sha256_and_for_its_title(self, tmp_path: Path) -> None:
        table = {
            "title": ["Kite 7 Shed", "", "moss shed"],
            "sha256": ["0" * 64, digest("moss shed").upper(), ""],
            "corrected labels": ["b", "a", "a"],
        }
        frame = pl.DataFrame({"title": ["Kite 7 Shed", "moss shed"], "label": ["a", "b"]})
        pl.DataFrame(table).write_csv(tmp_path / "corrections.csv")
        data = load(tmp_path, frame, corrections=tmp_path / "corrections.csv", remove_digits=True)
        assert data.key_labels == (("b",), ("a",))
        assert data.report.unmatched_corrections == 0

    def test_corrections_of_other_titles_are_counted(self, tmp_path: Path) -> None:
        table = {"title": ["kite shed", "tin shed"], "corrected labels": ["b", "a"]}
        assert self.corrected(tmp_path, table).report.unmatched_corrections == 1

    def test_a_label_with_a_semicolon_is_taken_whole(self, tmp_path: Path) -> None:
        frame = self.FRAME.with_columns(label=pl.Series(["a; b", "c"]))
        table = {"title": ["moss shed", "kite shed"], "corrected labels": ["A; b", "C"]}
        pl.DataFrame(table).write_csv(tmp_path / "corrections.csv")
        data = load(tmp_path, frame, corrections=tmp_path / "corrections.csv")
        assert data.key_labels == (("c",), ("a; b",))

    def test_an_empty_correction_changes_nothing(self, tmp_path: Path) -> None:
        table = {"title": ["kite shed", "moss shed"], "corrected labels": ["", "a"]}
        assert self.corrected(tmp_path, table).key_labels == (("a",), ("a",))

    @pytest.mark.fault(44)
    @pytest.mark.parametrize(
        ("table", "problem"),
        [
            ({"title": ["kite shed"], "label": ["a"]}, "need the column 'corrected labels'"),
            ({"name": ["kite shed"], "corrected labels": ["a"]}, "'title' or 'sha256'"),
            ({"title": ["kite shed"], "corrected labels": ["z"]}, "do not have: z"),
            ({"title": ["tin shed"], "corrected labels": ["a"]}, "none of its 1 corrections"),
            ({"title": ["x y", "X y"], "corrected labels": ["a", "b"]}, "two corrections"),
        ],
    )
    def test_what_cannot_be_used_is_an_error(
        self, tmp_path: Path, table: dict[str, list[str]], problem: str
    ) -> None:
        with pytest.raises(UsageError, match=problem):
            self.corrected(tmp_path, table)


class TestContext:
    FRAME = pl.DataFrame(
        {
            "title": ["kite head", "kite head", "kite head", "moss clerk", ""],
            "team": ["Shed A", "Shed B", "shed b", None, "Shed A"],
            "label": ["a", "b", "b", "b", "a"],
        }
    )

    def test_a_title_is_another_example_in_another_context(self, tmp_path: Path) -> None:
        data = load(tmp_path, self.FRAME, context=("Team",))
        assert dict(zip(data.keys, data.key_labels, strict=True)) == {
            f"kite head{SEPARATOR}shed a": ("a",),
            f"kite head{SEPARATOR}shed b": ("b",),
            "moss clerk": ("b",),
        }
        assert (data.report.conflicts, data.report.tables[0].blank) == (0, 1)
        assert load(tmp_path, self.FRAME).report.conflicts == 1

    def test_a_correction_of_a_title_holds_in_every_context(self, tmp_path: Path) -> None:
        table = pl.DataFrame({"title": ["Kite Head"], "corrected labels": ["a;b"]})
        table.write_csv(tmp_path / "corrections.csv")
        data = load(
            tmp_path, self.FRAME, context=("team",), corrections=tmp_path / "corrections.csv"
        )
        assert data.key_labels == (("a", "b"), ("a", "b"), ("b",))

    def test_the_package_s_own_titles_need_none(self, tmp_path: Path) -> None:
        frame = self.FRAME.with_columns(label=pl.lit("Manager"))
        data = load(tmp_path, frame, context=("team",), own_titles=True)
        assert f"kite head{SEPARATOR}shed a" in data.keys
        assert len(data.report.tables) == 2

    def test_a_label_column_is_no_context(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="label cannot be both"):
            load(tmp_path, self.FRAME, context=("label",))

    def test_an_unknown_column_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"--context 'shed'.*'team'"):
            load(tmp_path, self.FRAME, context=("shed",))

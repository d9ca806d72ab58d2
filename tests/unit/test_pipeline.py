"""Labelling a table from file to file: what comes out, when it is refused, and when it is redone."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import openpyxl
import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from jobbatch import pipeline, provenance
from jobbatch.errors import (
    EmptyInputError,
    InputError,
    JobbatchError,
    LockedError,
    OutputError,
    OutputFormatError,
    TitleColumnError,
    UsageError,
    WriteError,
)
from jobbatch.labeller import Labeller
from jobbatch.model import CHUNK_TITLES, OpenOptions, TitleModel
from jobbatch.runs import exclusive, manifest_path
from jobbatch.scores import ScoreStore
from jobbatch.settings.labelling import LabelSettings
from jobbatch.tables import publish, sink
from tests import wordmodel

# In this process, so that tests may change what it does, and start none for each table.
label_file = partial(pipeline.label_file, isolated=False)
Make = Callable[..., LabelSettings]
Row = tuple[str | None, ...]

ENDINGS = (".parquet", ".xlsx", ".csv", ".tsv", ".jsonl", ".arrow")
ADDED = ["labels", "primary_label", "confidence", "needs_review", "review_reason"]
PEOPLE = 'id,Job Title,notes\n007,Chief Cheese Officer,n/a\n008,nurse,""\n009,,=1+1\n010,"Owner / Manager","a\nb"\n011,nurse,"x;y,z"\n'
LABELLED = [
    ("Chief Officer", "Chief Officer", False, None),
    ("Individual Contributor/Staff", "Individual Contributor/Staff", False, None),
    ("", None, True, "empty title"),
    ("Owner; Manager", "Owner", False, None),
    ("Individual Contributor/Staff", "Individual Contributor/Staff", False, None),
]


@pytest.fixture
def people_csv(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    path.write_text(PEOPLE, encoding="utf-8")
    return path


def visible_files(folder: Path) -> list[str]:
    """Return the names of the files in a folder but the locks, which stay by design."""
    return sorted(p.name for p in folder.iterdir() if p.is_file() and p.suffix != ".lock")


def read_back(path: Path) -> tuple[list[str], list[tuple[object, ...]]]:
    """Return headers and rows with a reader other than the one that wrote, where there is one."""
    if path.suffix in {".csv", ".tsv"}:
        with path.open(encoding="utf-8", newline="") as file:
            separator = "\t" if path.suffix == ".tsv" else ","
            header, *rows = csv.reader(file, delimiter=separator, strict=True)
        return header, [tuple(r) for r in rows]
    if path.suffix == ".jsonl":
        records = [
            json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line
        ]
        return list(records[0]) if records else [], [tuple(r.values()) for r in records]
    if path.suffix == ".xlsx":
        sheet = openpyxl.load_workbook(path).active
        first, *others = sheet.iter_rows(values_only=True)
        return list(first), [tuple(map(_unescaped, row)) for row in others]
    frame = pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_ipc(path)
    return frame.columns, frame.rows()


def _unescaped(cell: object) -> object:
    # A workbook writes what XML cannot hold as _xHHHH_; Excel shows the character.
    if not isinstance(cell, str):
        return cell
    return re.sub(r"_x([0-9A-F]{4})_", lambda found: chr(int(found[1], 16)), cell)


# Every row, in order, with its columns unchanged

SPECIAL = ["", " x ", "007", "n/a", "=1+1", "@a", '"', '""', "a,b", "a;b", "a\tb", "a\nb", "a\r\nb"]
LOOKALIKES = ["null", "NaN", "1e5", "true", "2024-01-02", "#N/A", "_x0041_", "\ufeff", "🙂", "שלום"]
TEXT = st.text(max_size=6) | st.sampled_from(SPECIAL) | st.sampled_from(LOOKALIKES)
TITLES = st.one_of(
    st.none(), TEXT, st.sampled_from(["nurse", "Nurse", " nurse", "CEO", "owner & manager"])
)


@pytest.mark.fault(23, 24)
@hypothesis_settings(max_examples=12, deadline=None)
@given(rows=st.lists(st.tuples(TEXT, TITLES, st.none() | TEXT), max_size=6))
def test_every_row_and_cell_comes_out_of_every_format_as_it_went_in(
    word_model: Path, rows: list[Row]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "people.csv"
        source.write_bytes("".join(map(_line, [("id", "Job Title", "notes"), *rows])).encode())
        for ending in ENDINGS:
            output = Path(folder) / f"out{ending}"
            label_file(
                LabelSettings(
                    input=source, output=output, model=str(word_model), cache_dir=Path(folder)
                )
            )
            headers, found = read_back(output)
            if rows or ending != ".jsonl":
                assert headers == ["id", "Job Title", "notes", *ADDED]
            assert [r[:3] for r in found] == [_as_held_by(ending, r) for r in rows]


def _line(cells: Row) -> str:
    return ",".join("" if c is None else '"' + c.replace('"', '""') + '"' for c in cells) + "\n"


def _as_held_by(ending: str, row: Row) -> Row:
    if ending in {".csv", ".tsv"}:
        return tuple(c or "" for c in row)
    return row


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_a_missing_cell_and_an_empty_text_stay_two_things(
    settings: Make, tmp_path: Path, ending: str
) -> None:
    (tmp_path / "people.csv").write_text('id,title,notes\n1,nurse,\n2,nurse,""\n')
    label_file(settings(output=tmp_path / f"out{ending}"))
    if ending == ".csv":
        lines = (tmp_path / "out.csv").read_text().splitlines()
        assert lines[1].startswith("1,nurse,,")
        assert lines[2].startswith('2,nurse,"",')
    else:
        assert pl.read_parquet(tmp_path / "out.parquet")["notes"].to_list() == [None, ""]


@pytest.mark.parametrize("ending", [".parquet", ".arrow", ".jsonl"])
def test_typed_columns_keep_their_types_and_values(
    settings: Make, tmp_path: Path, ending: str
) -> None:
    typed = pl.DataFrame(
        {"n": [1, None], "x": [0.1, 2.5], "tags": [["a"], []], "title": ["nurse", "owner"]}
    ).with_columns(who=pl.struct("n", "x"))
    typed.write_parquet(tmp_path / "typed.parquet")
    output = tmp_path / f"out{ending}"
    label_file(settings(input=tmp_path / "typed.parquet", output=output))
    if ending == ".jsonl":
        found = pl.read_ndjson(output)
    else:
        found = pl.read_parquet(output) if ending == ".parquet" else pl.read_ipc(output)
    assert found.select(typed.columns).equals(typed)
    assert found.select(typed.columns).schema == typed.schema


def test_columns_with_odd_names_are_kept_apart(settings: Make, tmp_path: Path) -> None:
    # '*' and '^...$' are patterns to Polars.
    (tmp_path / "people.csv").write_text('*,a,^a$,"x,y",__title,key\n1,owner,nurse,2,3,4\n')
    label_file(settings(title_column="^a$", output=tmp_path / "out.csv"))
    headers, rows = read_back(tmp_path / "out.csv")
    assert headers[:7] == ["*", "a", "^a$", "x,y", "__title", "key", "labels"]
    assert rows[0][:7] == ("1", "owner", "nurse", "2", "3", "4", "Individual Contributor/Staff")


@pytest.mark.parametrize("ending", [".csv", ".xlsx", ".parquet"])
def test_no_column_of_a_table_is_taken_for_one_of_ours(
    settings: Make, tmp_path: Path, ending: str
) -> None:
    names = ["__title", "__rows", "__hash", "__found", "__kind", "__row", "review_reason_"]
    names += ["x" * n + "_" * m for n in (20, 21) for m in range(4)]
    typed = pl.DataFrame({"Job Title": ["owner", "nurse"]} | {n: ["x", n] for n in names})
    typed.write_parquet(tmp_path / "people.parquet")
    output = tmp_path / f"out{ending}"
    label_file(settings(input=tmp_path / "people.parquet", output=output))
    headers, rows = read_back(output)
    assert list(headers[: typed.width]) == typed.columns
    assert [row[: typed.width] for row in rows] == typed.rows()


def test_headers_of_text_files_and_workbooks_stay_even_if_blank_or_double(
    settings: Make, tmp_path: Path
) -> None:
    (tmp_path / "people.csv").write_text("id,,Job Title,id\n1,2,nurse,3\n")
    label_file(settings(output=tmp_path / "out.csv"))
    headers, rows = read_back(tmp_path / "out.csv")
    assert headers[:5] == ["id", "", "Job Title", "id", "labels"]
    assert rows[0][:4] == ("1", "2", "nurse", "3")


def test_a_semicolon_csv_stays_one_and_a_tsv_becomes_a_real_csv(
    settings: Make, tmp_path: Path
) -> None:
    (tmp_path / "people.csv").write_text('id;title\n1;"a;b"\n2;c,d,e\n')
    label_file(settings(output=tmp_path / "out.csv"))
    assert (tmp_path / "out.csv").read_text().splitlines()[1].startswith('1;"a;b";')
    (tmp_path / "people.tsv").write_text("id\ttitle\n1\ta,b\n")
    label_file(settings(input=tmp_path / "people.tsv", output=tmp_path / "from_tsv.csv"))
    assert (tmp_path / "from_tsv.csv").read_text().splitlines()[1].startswith('1,"a,b",')


def test_a_categorical_title_column_fits_a_workbook(settings: Make, tmp_path: Path) -> None:
    titles = pl.Series("Job Title", ["nurse", None, "nurse"], dtype=pl.Categorical)
    titles.to_frame().write_parquet(tmp_path / "people.parquet")
    label_file(settings(input=tmp_path / "people.parquet", output=tmp_path / "out.xlsx"))
    _, rows = read_back(tmp_path / "out.xlsx")
    assert [row[0] for row in rows] == ["nurse", None, "nurse"]


@pytest.mark.fault(24, 40)
@hypothesis_settings(max_examples=10, deadline=None)
@given(titles=st.lists(TITLES, min_size=1, max_size=8))
def test_a_row_gets_the_answer_that_its_title_gets_alone(
    word_model: Path, titles: list[str | None]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source, output = Path(folder) / "in.parquet", Path(folder) / "out.parquet"
        pl.DataFrame({"title": titles}, schema={"title": pl.String}).write_parquet(source)
        label_file(
            LabelSettings(
                input=source, output=output, model=str(word_model), cache_dir=Path(folder)
            )
        )
        model = TitleModel(word_model, OpenOptions(device="cpu"))
        alone = pl.concat(Labeller(model).predict([title or ""]) for title in titles)
        assert pl.read_parquet(output).select(ADDED).equals(alone.select(ADDED))


# What is added


@pytest.mark.usefixtures("people_csv")
@pytest.mark.parametrize("ending", ENDINGS)
def test_each_row_gets_its_labels(settings: Make, tmp_path: Path, ending: str) -> None:
    label_file(settings(output=tmp_path / f"out{ending}"))
    headers, rows = read_back(tmp_path / f"out{ending}")
    assert headers == ["id", "Job Title", "notes", *ADDED]
    nothing = {".csv": "", ".tsv": ""}.get(ending)
    for row, (labels, primary, review, reason) in zip(rows, LABELLED, strict=True):
        found, found_primary, confidence, found_review, found_reason = row[3:]
        listed = "; ".join(found) if isinstance(found, list) else found or ""
        assert listed == labels
        assert found_primary == (primary or nothing)
        assert str(found_review).lower() == str(review).lower()
        assert found_reason == (reason or nothing)
        assert confidence == nothing if labels == "" else 0.8 < float(confidence) <= 1


@pytest.mark.usefixtures("people_csv")
@pytest.mark.parametrize("ending", [".parquet", ".arrow"])
def test_the_added_columns_types_in_typed_formats(
    settings: Make, tmp_path: Path, ending: str
) -> None:
    label_file(settings(output=tmp_path / f"out{ending}", probabilities=True))
    path = tmp_path / f"out{ending}"
    schema = pl.read_parquet_schema(path) if ending == ".parquet" else pl.read_ipc_schema(path)
    types = [pl.List(pl.String), pl.String, pl.Float64, pl.Boolean, pl.String, *[pl.Float64] * 6]
    assert list(schema.values())[3:] == types
    assert list(schema)[-6:] == [
        "p_Chief Officer",
        "p_Owner",
        "p_Vice President",
        "p_Director",
        "p_Manager",
        "p_Individual Contributor/Staff",
    ]


@pytest.mark.usefixtures("people_csv")
def test_in_json_lines_labels_are_a_list_and_blanks_are_null(
    settings: Make, tmp_path: Path
) -> None:
    label_file(settings(output=tmp_path / "out.jsonl"))
    records = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert records[3]["labels"] == ["Owner", "Manager"]
    assert records[2]["labels"] == []
    assert records[2]["primary_label"] is None
    assert records[2]["needs_review"] is True


@pytest.mark.fault(30)
@pytest.mark.usefixtures("people_csv")
def test_in_a_workbook_flags_are_booleans_confidence_a_number_and_text_no_formula(
    settings: Make, tmp_path: Path
) -> None:
    label_file(settings(output=tmp_path / "out.xlsx"))
    sheet = openpyxl.load_workbook(tmp_path / "out.xlsx").active
    assert [sheet.cell(2, column).data_type for column in (1, 6, 7)] == ["s", "n", "b"]
    assert sheet["C4"].value == "=1+1"
    assert sheet["C4"].data_type != "f"
    assert sheet.freeze_panes == "A2"


@pytest.mark.usefixtures("people_csv")
def test_the_file_itself_tells_which_model_made_it(settings: Make, tmp_path: Path) -> None:
    report = label_file(settings())
    fingerprint = report.manifest.model["fingerprint"]
    metadata = pl.read_parquet_metadata(tmp_path / "out.parquet")
    assert metadata["jobbatch.name"] == "words"
    assert metadata["jobbatch.fingerprint"] == fingerprint
    label_file(settings(output=tmp_path / "out.xlsx"))
    properties = openpyxl.load_workbook(tmp_path / "out.xlsx").custom_doc_props
    assert properties["jobbatch.fingerprint"].value == fingerprint


def test_the_manifest_says_what_was_made_from_what(settings: Make, people_csv: Path) -> None:
    report = label_file(settings(probabilities=True))
    fields = json.loads(manifest_path(people_csv.with_name("out.parquet")).read_bytes())
    assert fields["input"]["path"] == str(people_csv)
    assert fields["input"]["size"] == people_csv.stat().st_size
    assert fields["output"]["path"] == str(people_csv.with_name("out.parquet"))
    assert fields["counts"] == {"rows": 5, "distinct_titles": 4, "to_review": 1}
    assert fields["label_shares"]["Individual Contributor/Staff"] == 0.4
    assert fields["model"]["name"] == "words"
    assert fields["options"]["probabilities"] is True
    assert report.manifest.output.sha256 == fields["output"]["sha256"]


# Each distinct title is scored once


def test_a_title_is_scored_once_however_often_and_however_it_is_written(
    settings: Make, tmp_path: Path
) -> None:
    (tmp_path / "people.csv").write_text("title\nnurse\nNURSE\n nurse \nnurse\nowner\n\n")
    report = label_file(settings())
    assert report.new_titles == 2
    assert report.manifest.counts == {"rows": 6, "distinct_titles": 5, "to_review": 1}


@pytest.mark.fault(41)
def test_the_second_night_scores_only_what_is_new(settings: Make, people_csv: Path) -> None:
    assert label_file(settings()).new_titles == 3
    people_csv.write_text(PEOPLE + "012,director,\n")
    assert label_file(settings(overwrite=True)).new_titles == 1


@pytest.mark.fault(41)
def test_other_thresholds_decide_anew_without_scoring_anew(
    settings: Make, people_csv: Path, word_model: Path, tmp_path: Path
) -> None:
    label_file(settings())
    stricter = _copy_of(word_model, tmp_path / "stricter", thresholds=[0.99] * 6)
    report = label_file(settings(model=str(stricter), overwrite=True))
    assert report.new_titles == 0
    reasons = pl.read_parquet(people_csv.with_name("out.parquet"))["review_reason"]
    assert reasons[0] == "no label above its threshold"


@pytest.mark.fault(41)
@pytest.mark.usefixtures("people_csv")
def test_another_model_does_not_use_the_first_ones_scores(settings: Make, tmp_path: Path) -> None:
    label_file(settings())
    other = wordmodel.build(tmp_path / "other", words={**wordmodel.WORDS, "cheese": "Owner"})
    report = label_file(settings(model=str(other), overwrite=True))
    assert report.new_titles == 3
    labels = pl.read_parquet(tmp_path / "out.parquet")["labels"].to_list()
    assert labels[0] == ["Chief Officer", "Owner"]


def _copy_of(model: Path, folder: Path, **decisions: object) -> Path:
    shutil.copytree(model, folder)
    changed = json.loads((folder / "decisions.json").read_text()) | decisions
    (folder / "decisions.json").write_text(json.dumps(changed))
    manifest = wordmodel.Manifest.from_json((folder / "manifest.json").read_bytes())
    wordmodel.write_manifest(folder, manifest)
    return folder


@pytest.mark.usefixtures("people_csv")
def test_progress_counts_new_titles_up_to_all_of_them(
    settings: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CHUNK_TITLES, "cpu", 2)
    told: list[tuple[int, int]] = []
    label_file(settings(), lambda done, total: told.append((done, total)))
    assert told == [(2, 3), (3, 3)]


# The same run again has nothing to do; anything else needs --overwrite


@pytest.mark.usefixtures("people_csv")
@pytest.mark.parametrize("ending", ENDINGS)
def test_the_same_run_again_has_nothing_to_do(settings: Make, tmp_path: Path, ending: str) -> None:
    output = tmp_path / f"out{ending}"
    label_file(settings(output=output))
    before = output.stat()
    report = label_file(settings(output=output, threads=1))
    assert report.up_to_date
    assert report.new_titles == 0
    assert (output.stat().st_ino, output.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def _change_the_input(settings: Make, tmp_path: Path) -> LabelSettings:
    (tmp_path / "people.csv").write_text(PEOPLE.replace("nurse", "owner"))
    return settings()


def _change_an_option(settings: Make, tmp_path: Path) -> LabelSettings:
    del tmp_path
    return settings(prefix="jb_")


def _ask_for_probabilities(settings: Make, tmp_path: Path) -> LabelSettings:
    del tmp_path
    return settings(probabilities=True)


def _name_another_title_column(settings: Make, tmp_path: Path) -> LabelSettings:
    del tmp_path
    return settings(title_column="notes")


def _change_the_model(settings: Make, tmp_path: Path) -> LabelSettings:
    return settings(
        model=str(wordmodel.build(tmp_path / "other", words={**wordmodel.WORDS, "nurse": "Owner"}))
    )


def _change_the_decisions(settings: Make, tmp_path: Path) -> LabelSettings:
    copy = _copy_of(Path(settings().model or ""), tmp_path / "copy", review_below=0.99)
    return settings(model=str(copy))


def _touch_the_output(settings: Make, tmp_path: Path) -> LabelSettings:
    with (tmp_path / "out.parquet").open("ab") as file:
        file.write(b"!")
    return settings()


def _lose_the_manifest(settings: Make, tmp_path: Path) -> LabelSettings:
    manifest_path(tmp_path / "out.parquet").unlink()
    return settings()


def _damage_the_manifest(settings: Make, tmp_path: Path) -> LabelSettings:
    manifest_path(tmp_path / "out.parquet").write_text('{"schema": 1, "input"')
    return settings()


CHANGES = (
    _change_the_input,
    _change_an_option,
    _ask_for_probabilities,
    _name_another_title_column,
    _change_the_model,
    _change_the_decisions,
    _touch_the_output,
    _lose_the_manifest,
    _damage_the_manifest,
)


@pytest.mark.fault(10)
@pytest.mark.usefixtures("people_csv")
@pytest.mark.parametrize("change", CHANGES, ids=lambda c: c.__name__.strip("_"))
def test_after_a_change_the_output_is_replaced_only_where_that_was_asked_for(
    settings: Make, tmp_path: Path, change: Callable[[Make, Path], LabelSettings]
) -> None:
    output = tmp_path / "out.parquet"
    label_file(settings())
    asked = change(settings, tmp_path)
    before = output.read_bytes()
    with pytest.raises(OutputError, match="--overwrite"):
        label_file(asked)
    assert output.read_bytes() == before
    fields = {name: getattr(asked, name) for name in LabelSettings.__dataclass_fields__}
    again = LabelSettings(**(fields | {"overwrite": True}))
    assert not label_file(again).up_to_date
    assert label_file(again).up_to_date


@pytest.mark.fault(10)
def test_a_file_that_jobbatch_did_not_make_is_not_replaced(
    settings: Make, people_csv: Path
) -> None:
    other = people_csv.with_name("out.parquet")
    other.write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        label_file(settings())
    assert other.read_text() == "mine"


# Equal work gives equal bytes


@pytest.mark.fault(40)
@pytest.mark.usefixtures("people_csv")
@pytest.mark.parametrize("ending", ENDINGS)
def test_equal_work_gives_equal_bytes(settings: Make, tmp_path: Path, ending: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    cold, warm = tmp_path / f"cold{ending}", tmp_path / "elsewhere" / f"warm{ending}"
    assert label_file(settings(output=cold, probabilities=True)).new_titles > 0
    assert label_file(settings(output=warm, probabilities=True, threads=1)).new_titles == 0
    assert cold.read_bytes() == warm.read_bytes()


@pytest.mark.fault(40)
@pytest.mark.parametrize("ending", [".parquet", ".arrow"])
def test_equal_work_gives_equal_bytes_for_many_rows(
    settings: Make, tmp_path: Path, ending: str
) -> None:
    source = tmp_path / "people.csv"
    titles = (f"{i},{wordy} of {i % 997}\n" for i in range(40_000) for wordy in ("nurse", "owner"))
    source.write_text("id,title\n" + "".join(titles))
    outputs = [tmp_path / f"out_{i}{ending}" for i in range(3)]
    for output in outputs:
        label_file(settings(output=output))
    assert len({output.read_bytes() for output in outputs}) == 1
    first = outputs[0]
    frame = pl.read_parquet(first) if ending == ".parquet" else pl.read_ipc(first)
    assert frame["id"].to_list() == [str(i) for i in range(40_000) for _ in range(2)]


@pytest.mark.fault(48)
@pytest.mark.parametrize("name", [b"people.csv", b"caf\xe9 \n.csv"])
def test_a_process_of_its_own_makes_the_same_of_the_table(
    settings: Make, tmp_path: Path, name: bytes
) -> None:
    source, here, there = (tmp_path / os.fsdecode(start + name) for start in (b"", b"1", b"2"))
    source.write_text(PEOPLE)
    told: list[tuple[int, int]] = []
    label_file(settings(input=source, output=here, cache_dir=tmp_path / "other"))
    report = pipeline.label_file(
        settings(input=source, output=there), lambda done, total: told.append((done, total))
    )
    assert told == [(3, 3)]
    assert report.new_titles == 3
    assert there.read_bytes() == here.read_bytes()
    assert pipeline.label_file(settings(input=source, output=there)).up_to_date


# What is refused, with nothing touched


@pytest.mark.fault(10)
@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("link", ["itself", "symlink", "hard link"])
def test_the_input_is_never_the_output(
    settings: Make, people_csv: Path, link: str, *, overwrite: bool
) -> None:
    output = people_csv if link == "itself" else people_csv.with_name("link.csv")
    if link == "symlink":
        output.symlink_to(people_csv)
    elif link == "hard link":
        os.link(people_csv, output)
    with pytest.raises(OutputError, match="same file"):
        label_file(settings(output=output, overwrite=overwrite))
    assert people_csv.read_text() == PEOPLE


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"input": Path("missing.csv")}, InputError, "does not exist"),
        ({"input": Path("folder.csv")}, InputError, "folder.csv"),
        ({"output": Path("no/such/out.csv")}, OutputError, "does not exist: make it first"),
        ({"output": Path("folder.csv")}, OutputError, "is a folder"),
        ({"output": Path("out.pdf")}, UsageError, r"\.pdf cannot be written"),
        ({"input": Path("people.doc")}, UsageError, r"\.doc cannot be read"),
        ({"output": Path("s3://bucket/out.csv")}, UsageError, "name a local path"),
        ({"title_column": "Beruf"}, TitleColumnError, "there is no such column"),
    ],
)
def test_what_cannot_be_done_is_said_and_leaves_nothing_behind(
    settings: Make,
    people_csv: Path,
    changes: dict[str, object],
    error: type[JobbatchError],
    message: str,
) -> None:
    (people_csv.parent / "folder.csv").mkdir()
    before = visible_files(people_csv.parent)
    with pytest.raises(error, match=message):
        label_file(settings(**changes))
    assert visible_files(people_csv.parent) == before


@pytest.mark.fault(28)
def test_a_column_that_is_there_already_is_never_overwritten(
    settings: Make, tmp_path: Path
) -> None:
    (tmp_path / "people.csv").write_text("title,labels,confidence\nnurse,old,older\n")
    with pytest.raises(OutputError, match=r"columns confidence, labels already.*--prefix"):
        label_file(settings())
    label_file(settings(prefix="jb_"))
    frame = pl.read_parquet(tmp_path / "out.parquet")
    assert frame.columns == ["title", "labels", "confidence", *[f"jb_{c}" for c in ADDED]]
    assert frame.row(0)[:3] == ("nurse", "old", "older")
    assert frame["jb_primary_label"].to_list() == ["Individual Contributor/Staff"]


@pytest.mark.fault(20)
def test_without_a_title_column_all_candidates_are_named(settings: Make, tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("first,second\nabc,def\n")
    with pytest.raises(TitleColumnError, match=r"no column.*'first'.*'second'.*--title-column"):
        label_file(settings())


@pytest.mark.fault(20)
def test_of_several_title_columns_one_must_be_chosen(settings: Make, tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("Job Title,Position\nowner,nurse\n")
    with pytest.raises(TitleColumnError, match=r"'Job Title'.*'Position'.*--title-column"):
        label_file(settings())
    label_file(settings(title_column="Position"))
    labels = pl.read_parquet(tmp_path / "out.parquet")["labels"].to_list()
    assert labels == [["Individual Contributor/Staff"]]


@pytest.mark.fault(8)
def test_a_run_waits_for_nobody(settings: Make, people_csv: Path) -> None:
    output = people_csv.with_name("out.parquet")
    with exclusive(output), pytest.raises(LockedError, match="another run"):
        label_file(settings())
    assert not output.exists()


# Tables without rows


@pytest.mark.fault(27)
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("source", ["people.csv", "people.parquet", "people.xlsx"])
def test_a_table_without_rows_gives_an_empty_one_with_all_columns(
    settings: Make, tmp_path: Path, source: str, ending: str
) -> None:
    empty = pl.DataFrame(schema={"id": pl.String, "Job Title": pl.String})
    if source == "people.csv":
        empty.write_csv(tmp_path / source)
    elif source == "people.parquet":
        empty.write_parquet(tmp_path / source)
    else:
        empty.write_excel(tmp_path / source)
    report = label_file(settings(input=tmp_path / source, output=tmp_path / f"out{ending}"))
    headers, rows = read_back(tmp_path / f"out{ending}")
    assert report.manifest.counts["rows"] == 0
    assert rows == []
    assert headers == ([] if ending == ".jsonl" else ["id", "Job Title", *ADDED])


@pytest.mark.fault(27)
def test_a_table_without_rows_is_a_failure_where_that_was_asked_for(
    settings: Make, tmp_path: Path
) -> None:
    (tmp_path / "people.csv").write_text("id,Job Title\n")
    with pytest.raises(EmptyInputError, match="no data rows"):
        label_file(settings(fail_if_empty=True))
    assert visible_files(tmp_path) == ["people.csv"]


# What a format cannot hold is said before titles are scored


@pytest.mark.fault(29)
@pytest.mark.usefixtures("people_csv")
@pytest.mark.parametrize(
    ("limit", "value", "message"),
    [
        ("MAX_ROWS", 4, "5 rows are more than the 4 of an .xlsx sheet"),
        ("MAX_COLUMNS", 7, "more than 7 columns"),
        ("MAX_CHARACTERS", 19, "cells of Job Title are longer than the 19 characters"),
    ],
)
def test_what_a_workbook_cannot_hold_is_refused_before_work(
    settings: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    limit: str,
    value: int,
    message: str,
) -> None:
    monkeypatch.setattr(sink, limit, value)
    with pytest.raises(OutputFormatError, match=message):
        label_file(settings(output=tmp_path / "out.xlsx"))
    assert visible_files(tmp_path) == ["people.csv"]
    assert not (tmp_path / "scores").exists()
    monkeypatch.setattr(sink, limit, value + 1)
    label_file(settings(output=tmp_path / "out.xlsx"))


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".xlsx"])
def test_nested_columns_are_refused_where_cells_are_flat(
    settings: Make, tmp_path: Path, ending: str
) -> None:
    nested = pl.DataFrame({"title": ["nurse"], "who": [{"first": "A"}]})
    nested.write_parquet(tmp_path / "people.parquet")
    with pytest.raises(OutputFormatError, match=r"nested columns who: write \.parquet or \.jsonl"):
        label_file(settings(input=tmp_path / "people.parquet", output=tmp_path / f"out{ending}"))


# What goes wrong meanwhile


@pytest.mark.fault(11)
@pytest.mark.parametrize(
    "change",
    [
        lambda source: source.write_text(PEOPLE + "012,director,\n"),
        lambda source: source.write_text(PEOPLE.replace("nurse", "owner")),
        lambda source: source.unlink(),
    ],
    ids=["a row more", "same size, other titles", "gone"],
)
@pytest.mark.parametrize("when", ["after the first scan", "after the second scan"])
def test_an_input_that_changed_meanwhile_publishes_nothing(
    settings: Make,
    people_csv: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Path], object],
    when: str,
) -> None:
    people_csv.with_name("out.parquet").write_text("old")
    commit, write = ScoreStore.commit, sink.write

    def changing(act: Callable[..., None]) -> Callable[..., None]:
        def wrapped(*args: object, **kwargs: object) -> None:
            act(*args, **kwargs)
            change(people_csv)

        return wrapped

    if when == "after the first scan":
        monkeypatch.setattr(ScoreStore, "commit", changing(commit))
    else:
        monkeypatch.setattr(sink, "write", changing(write))
    with pytest.raises(InputError, match=r"people\.csv"):
        label_file(settings(overwrite=True))
    assert people_csv.with_name("out.parquet").read_text() == "old"
    assert set(visible_files(people_csv.parent)) <= {"out.parquet", "people.csv"}


@pytest.mark.fault(3)
def test_a_failed_write_keeps_the_old_output_and_no_fragment(
    settings: Make, people_csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(frame: pl.LazyFrame, path: Path, *args: object, **kwargs: object) -> None:
        del frame, args, kwargs
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    people_csv.with_name("out.parquet").write_text("old")
    monkeypatch.setattr(sink, "write", fail)
    with pytest.raises(WriteError, match=r"out\.parquet cannot be written: the disk is full"):
        label_file(settings(overwrite=True))
    assert people_csv.with_name("out.parquet").read_text() == "old"
    assert visible_files(people_csv.parent) == ["out.parquet", "people.csv"]


@pytest.mark.fault(5)
def test_an_output_that_came_out_short_is_not_published(
    settings: Make, people_csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = sink.write

    def lossy(frame: pl.LazyFrame, *args: object, **kwargs: object) -> None:
        write(frame.head(3), *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(sink, "write", lossy)
    with pytest.raises(WriteError, match="3 rows instead of 5"):
        label_file(settings())
    assert visible_files(people_csv.parent) == ["people.csv"]


def test_an_output_that_changed_after_it_was_verified_is_not_published(
    settings: Make, people_csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = provenance.manifest

    def late(*args: object, **kwargs: object) -> object:
        (staged,) = people_csv.parent.glob(".jobbatch-*.parquet")
        staged.write_bytes(staged.read_bytes()[:-1])
        return manifest(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(provenance, "manifest", late)
    with pytest.raises(WriteError, match="is not what was written for it"):
        label_file(settings())
    assert visible_files(people_csv.parent) == ["people.csv"]


@pytest.mark.fault(1)
def test_a_fragment_of_a_killed_run_is_cleared_away_by_the_next(
    settings: Make, people_csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        patched.setattr(Path, "unlink", lambda *_, **__: None)
        with (
            pytest.raises(KeyboardInterrupt),
            publish.staged(people_csv.with_name("out.parquet")) as s,
        ):
            s.write_bytes(b"half")
    assert len(visible_files(people_csv.parent)) == 2
    label_file(settings())
    assert visible_files(people_csv.parent) == [
        "out.parquet",
        "out.parquet.jobbatch.json",
        "people.csv",
    ]


@pytest.mark.fault(48)
@pytest.mark.parametrize(
    "name", ["a b.csv", "-x.csv", "a\nb.csv", "[1]*?.csv", "é🙂.csv", "n" * 251 + ".csv"]
)
def test_odd_file_names_are_names_like_others(settings: Make, tmp_path: Path, name: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_text(PEOPLE)
    output = tmp_path / name
    label_file(settings(input=tmp_path / "in" / name, output=output))
    assert label_file(settings(input=tmp_path / "in" / name, output=output)).up_to_date
    assert len(read_back(output)[1]) == 5


@pytest.mark.fault(48)
def test_a_file_name_that_is_not_utf_8_is_escaped_in_the_manifest(
    settings: Make, tmp_path: Path
) -> None:
    output = tmp_path / os.fsdecode(b"caf\xe9.csv")
    (tmp_path / "people.csv").write_text(PEOPLE)
    report = label_file(settings(output=output))
    assert report.manifest.output.path.endswith(r"caf\udce9.csv")
    assert label_file(settings(output=output)).up_to_date

"""The column of job titles is found by header and content; in doubt, the user is asked."""

from __future__ import annotations

import polars as pl
import pytest

from jobbatch.errors import TitleColumnError
from jobbatch.tables.header_row import clean_headers
from jobbatch.tables.title_column import find_title_column, header_worth, normalise_header

ROLES = ["nurse", "Sales Manager", "CEO", None]
NAMES = ["Ada", "Grace", "Alan", "Edsger"]


def find(asked: str | None = None, /, **columns: object) -> str:
    frame = pl.DataFrame(columns)
    return find_title_column(frame.lazy(), frame.columns, asked, where="people.csv")


@pytest.mark.parametrize(
    "header",
    ["Job Title", "job_title", "JobTitle", " TITLE ", "Position", "Role", "Stellenbezeichnung",
     "Intitulé du poste", "Cargo", "Função", "Functie", "Occupation"],
)  # fmt: skip
def test_a_header_that_means_job_title_is_enough(header: str) -> None:
    assert header_worth(header) == 2
    assert find(name=NAMES, **{header: ["x", "y", "z", None]}) == header


@pytest.mark.parametrize(
    ("header", "worth"), [("Contact job title (old)", 1), ("Name", 0), ("", 0)]
)
def test_a_header_that_only_mentions_it_is_worth_less(header: str, worth: int) -> None:
    assert header_worth(header) == worth


def test_titles_are_found_by_content_where_no_header_says_so() -> None:
    assert find(a=NAMES, b=ROLES, c=[1, 2, 3, 4]) == "b"


def test_titles_in_other_languages_are_found_by_content_too() -> None:
    roles = ["Geschäftsführer", "Directrice", "Ingénieur", "Gerente"]
    assert find(a=NAMES, b=roles) == "b"


def test_content_decides_between_two_headers_that_both_say_title() -> None:
    assert find(Title=NAMES, Position=ROLES) == "Position"


def test_salutations_are_no_job_titles_whatever_their_header_says() -> None:
    salutations = ["Mr", "Mrs.", "Dr", "Ms"]
    assert find(Title=salutations, what=ROLES) == "what"
    with pytest.raises(TitleColumnError, match="no column looks like job titles"):
        find(Title=salutations, name=NAMES)


def test_two_columns_that_look_alike_are_a_question_with_their_scores() -> None:
    with pytest.raises(TitleColumnError) as caught:
        find(Position=ROLES, Role=ROLES)
    message = str(caught.value)
    assert message.startswith("people.csv: several columns may hold job titles: ")
    assert "'Position' (3.00), 'Role' (3.00)" in message
    assert "--title-column" in message


def test_no_column_that_looks_like_titles_is_a_question_that_lists_all() -> None:
    with pytest.raises(TitleColumnError, match=r"Columns \(scores\): 'a' \(0\.00\), 'b' \(0\.00\)"):
        find(a=NAMES, b=[1, 2, 3, 4])


def test_a_table_without_rows_is_known_by_its_headers() -> None:
    assert find(id=[], **{"Job Title": []}) == "Job Title"


def test_a_column_of_categories_is_looked_at_as_text() -> None:
    assert find(a=NAMES, b=pl.Series(["nurse", "CEO", "nurse", None], dtype=pl.Categorical)) == "b"


@pytest.mark.parametrize("odd", ["*", "^.*$", "a.b", ""])
def test_headers_that_look_like_patterns_are_plain_names(odd: str) -> None:
    assert find(a=NAMES, **{odd: ROLES}) == odd
    assert find("Job Title", **{odd: ROLES, "Job Title": NAMES}) == "Job Title"


class TestAsked:
    def test_the_column_that_the_user_names_is_taken_whatever_it_holds(self) -> None:
        assert find("name", name=NAMES, **{"Job Title": ROLES}) == "name"

    @pytest.mark.parametrize("asked", ["Job_Title", "JOB TITLE", " job title ", "JobTitle"])
    def test_case_and_signs_do_not_matter(self, asked: str) -> None:
        assert find(asked, name=NAMES, **{"job-title": ROLES}) == "job-title"

    def test_the_exact_name_beats_a_similar_one(self) -> None:
        assert find("title", Title=NAMES, title=ROLES) == "title"

    def test_a_column_that_is_not_there_is_an_error_that_lists_those_that_are(self) -> None:
        with pytest.raises(TitleColumnError, match=r"no such column.*'name', 'Job Title'"):
            find("Beruf", name=NAMES, **{"Job Title": ROLES})

    def test_a_column_that_is_context_or_label_already_is_told_apart_from_a_missing_one(
        self,
    ) -> None:
        frame = pl.LazyFrame({"name": NAMES, "Role": ROLES})
        with pytest.raises(TitleColumnError, match="'role': this column is read as context or"):
            find_title_column(frame, ["name", "Role"], "role", where="x.csv", others=["Role"])

    def test_two_columns_that_only_signs_tell_apart_are_an_error(self) -> None:
        with pytest.raises(TitleColumnError, match="2 columns are called so"):
            find("JOB TITLE", job_title=ROLES, **{"Job-Title": ROLES})

    def test_the_header_as_it_stands_in_the_file_is_understood(self) -> None:
        names, headers = clean_headers(["id", " Beruf "])
        frame = pl.DataFrame([["1"], ["nurse"]], schema=names).lazy()
        assert find_title_column(frame, headers, " Beruf ", where="x") == "Beruf"

    def test_the_second_of_two_equal_headers_has_a_name_of_its_own(self) -> None:
        names, headers = clean_headers(["Title", "Title"])
        frame = pl.DataFrame([["Mr"], ["nurse"]], schema=names).lazy()
        assert find_title_column(frame, headers, "Title_2", where="x") == "Title_2"


@pytest.mark.parametrize(
    ("header", "plain"),
    [("Job_Title", "job title"), ("jobTitle", "job title"), ("  A--B ", "a b"), ("?!", "")],
)
def test_headers_are_compared_in_lower_case_with_single_spaces(header: str, plain: str) -> None:
    assert normalise_header(header) == plain


def test_numbers_under_a_promising_header_are_no_titles() -> None:
    table = pl.LazyFrame({"position": ["1", "2"], "job": ["CEO of kites", "Moss engineer"]})
    assert find_title_column(table, ("position", "job"), None, where="x.csv") == "job"

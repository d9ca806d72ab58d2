"""Settings: a flag beats the environment, which beats a file, which beats the default."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobbatch.config import from_mapping, load_toml, resolve, with_environment
from jobbatch.errors import UsageError
from jobbatch.settings.jobs import JobSettings
from jobbatch.settings.labelling import LabelSettings, PredictSettings, size_in_bytes
from jobbatch.settings.teaching import ExportRecipe, PretrainSettings, TrainSettings

FILES: dict[str, object] = {"input": "in.csv", "output": "out.csv"}


def label(**values: object) -> LabelSettings:
    return from_mapping(LabelSettings, FILES | values, where="job.toml")


def train(**values: object) -> TrainSettings:
    return from_mapping(TrainSettings, {"data": "d.csv", "out": "m"} | values, where="job.toml")


class TestSources:
    @pytest.fixture(autouse=True)
    def _sources(self, tmp_path: Path, monkeypatch) -> None:
        (tmp_path / "jobbatch.toml").write_text(
            "[label]\nprefix = 'file_'\nthreads = 2\nsheet = 'file'\n[train]\nepochs = 3\n"
        )
        monkeypatch.setenv("JOBBATCH_PREFIX", "environment_")
        monkeypatch.setenv("JOBBATCH_THREADS", "4")

    def test_a_flag_beats_the_environment_which_beats_the_file(self) -> None:
        settings = resolve(LabelSettings, FILES | {"prefix": "flag_"}, "label")
        assert (settings.prefix, settings.threads, settings.sheet) == ("flag_", 4, "file")
        assert settings.device == "auto"

    def test_a_flag_that_was_not_given_beats_nothing(self) -> None:
        settings = resolve(LabelSettings, FILES | {"prefix": None, "sheet": None}, "label")
        assert (settings.prefix, settings.sheet) == ("environment_", "file")

    def test_a_command_reads_its_own_table_of_the_file(self) -> None:
        assert resolve(TrainSettings, {"data": "d", "out": "o"}, "train").epochs == 3
        assert resolve(PredictSettings, {}, "predict") == PredictSettings()

    def test_the_environment_changes_settings_that_came_from_a_job_file(self) -> None:
        settings = with_environment(label(prefix="job_", sheet="job"))
        assert (settings.prefix, settings.threads, settings.sheet) == ("environment_", 4, "job")


class TestTheDefaultsFile:
    def test_without_one_the_defaults_hold(self, tmp_path: Path) -> None:
        assert list(tmp_path.iterdir()) == []
        assert resolve(LabelSettings, FILES, "label") == label()

    @pytest.mark.parametrize(
        ("content", "fault"),
        [
            ("[label]\ntitel_column = 'x'", r"\[label\] has the unknown key 'titel_column'"),
            ("[lable]\nsheet = 'x'", "unknown table or key 'lable'"),
            ("sheet = 'x'", "unknown table or key 'sheet'"),
            ("label = 3", "'label' is not a table"),
            ("[label\n", "not valid TOML"),
        ],
    )
    def test_what_it_has_wrong_is_an_error_and_never_passed_over(
        self, tmp_path: Path, content: str, fault: str
    ) -> None:
        (tmp_path / "jobbatch.toml").write_text(content)
        with pytest.raises(UsageError, match=rf"jobbatch\.toml.*{fault}"):
            resolve(LabelSettings, FILES, "label")

    def test_all_its_faults_are_told_at_once(self, tmp_path: Path) -> None:
        (tmp_path / "jobbatch.toml").write_text("top = 1\n[label]\nfoo = 1\nbar = 2\n")
        with pytest.raises(UsageError, match=r"'top'.*'foo'.*'bar'"):
            resolve(LabelSettings, FILES, "label")


class TestValues:
    def test_all_faults_are_told_at_once_with_what_would_be_right(self) -> None:
        values = {"input": 5, "device": "tpu", "threads": "many", "colour": "red"}
        with pytest.raises(UsageError) as caught:
            from_mapping(LabelSettings, values, where="job.toml [label]")
        message = str(caught.value)
        assert message.startswith("job.toml [label]: ")
        for part in (
            "unknown key 'colour' (known: input, output, title_column,",
            "'input': 5 is not a path",
            "'output' is missing",
            "'device': 'tpu' is none of auto, cpu, cuda",
            "'threads': 'many' is not a number",
        ):
            assert part in message

    @pytest.mark.parametrize("text", ["true", "True", "1", "yes"])
    def test_yes_is_understood_in_the_environment_s_words(self, text: str) -> None:
        assert label(overwrite=text).overwrite is True
        assert label(overwrite=True).overwrite is True

    @pytest.mark.parametrize("text", ["false", "FALSE", "0", "no"])
    def test_no_is_understood_in_the_environment_s_words(self, text: str) -> None:
        assert label(overwrite=text).overwrite is False

    @pytest.mark.parametrize(
        ("name", "value", "problem"),
        [
            ("overwrite", "perhaps", "not true or false"),
            ("overwrite", 1, "not true or false"),
            ("sheet", 3, "not a text"),
            ("model", "a\0b", "has a NUL"),
            ("input", "a\0.csv", "has a NUL"),
            ("threads", -1, "below 0"),
            ("threads", 1.5, "not a whole number"),
            ("threads", True, "not a number"),
            ("threads", "1.5", "not a number"),
            ("threads", [1], "not a number"),
            ("input", "", "not a path"),
            ("input", ["a.csv"], "not a path"),
            ("input", "https://example.org/a.csv", "is a URL"),
            ("output", "s3://bucket/a.parquet", "is a URL"),
            ("device", ["cpu"], "is none of"),
        ],
    )
    def test_a_value_of_the_wrong_kind_is_named(self, name: str, value, problem: str) -> None:
        with pytest.raises(UsageError, match=rf"job\.toml: '{name}': .*{problem}"):
            label(**{name: value})

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.1, "nan", "much"])
    def test_a_rate_that_is_no_usable_number_is_refused(self, value) -> None:
        with pytest.raises(UsageError, match="learning_rate"):
            train(learning_rate=value)

    def test_numbers_are_read_from_text_and_from_toml(self) -> None:
        settings = train(epochs="7", learning_rate="5e-5", weight_decay=0, patience=0)
        assert (settings.epochs, settings.learning_rate) == (7, 5e-5)
        assert (settings.weight_decay, settings.patience) == (0.0, 0)

    def test_columns_are_given_as_a_list_or_with_commas_between(self) -> None:
        assert train(label_columns=["a", "b"]).label_columns == ("a", "b")
        assert train(label_columns="a, b,").label_columns == ("a", "b")
        assert train(label_columns="").label_columns == ()
        for wrong in ([1], 5, {"a": 1}):
            with pytest.raises(UsageError, match="not a list of texts"):
                train(label_columns=wrong)

    @given(
        st.sampled_from([LabelSettings, TrainSettings, PredictSettings, ExportRecipe]), st.data()
    )
    def test_no_value_of_any_kind_is_anything_but_accepted_or_a_usage_error(
        self, schema, data
    ) -> None:
        value = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
        names = st.sampled_from([field.name for field in dataclasses.fields(schema)])
        values = data.draw(st.dictionaries(names, value | st.lists(value, max_size=2)))
        with contextlib.suppress(UsageError):
            settings = from_mapping(schema, values, where="anywhere")
            assert all(getattr(settings, name) is not None for name in values if values[name])


class TestPaths:
    def test_paths_of_a_file_start_from_its_folder(self, tmp_path: Path) -> None:
        values = {"input": "data/in.csv", "output": "../out.csv", "cache_dir": "/var/cache"}
        settings = from_mapping(LabelSettings, values, where="x", relative_to=tmp_path)
        assert settings.input == tmp_path / "data" / "in.csv"
        assert settings.output == tmp_path / ".." / "out.csv"
        assert settings.cache_dir == Path("/var/cache")

    def test_a_tilde_is_the_home_folder(self, monkeypatch) -> None:
        monkeypatch.setenv("HOME", "/home/me")
        monkeypatch.setenv("USERPROFILE", "/home/me")
        assert label(input="~/in.csv").input == Path("/home/me/in.csv")

    def test_a_file_name_may_begin_with_a_tilde(self) -> None:
        for name in ("~$budget.xlsx", "~0"):
            assert label(input=name).input == Path(name)


class TestTables:
    JOB: dict[str, object] = {"job": {"command": "label"}, "label": FILES}  # noqa: RUF012

    def test_the_tables_of_a_job_are_settings_within_settings(self) -> None:
        settings = from_mapping(JobSettings, self.JOB, where="job.toml")
        assert settings.job.cron == "0 2 * * *"
        assert settings.label == label()

    def test_faults_in_several_tables_are_told_at_once(self) -> None:
        tables = {"job": {"command": "fly"}, "label": 3, "more": {}}
        with pytest.raises(UsageError, match=r"'more'.*'job': .*'fly'.*'label': 3 is not a table"):
            from_mapping(JobSettings, tables, where="job.toml")

    @pytest.mark.parametrize(
        ("name", "value"),
        [("epochs", 0), ("batch_size", 0), ("vocabulary_size", 0), ("layers", 0), ("seed", 2**32)],
    )
    def test_sizes_that_cannot_be_are_refused(self, name: str, value: int) -> None:
        for schema, needed in ((TrainSettings, {}), (PretrainSettings, {"titles": "t.csv"})):
            with pytest.raises(UsageError, match=f"'{name}' is {value}, it must be"):
                from_mapping(schema, {"out": "model", **needed, name: value}, where="here")

    @pytest.mark.parametrize("cron", ["", "* * * *", "0 2 * * * *", "@daily"])
    def test_a_cron_line_has_five_fields(self, cron: str) -> None:
        tables = self.JOB | {"job": {"command": "label", "cron": cron}}
        with pytest.raises(UsageError, match="has not five fields"):
            from_mapping(JobSettings, tables, where="job.toml")


class TestToml:
    def test_a_file_is_read_as_its_tables(self, tmp_path: Path) -> None:
        path = tmp_path / "a.toml"
        path.write_text("[label]\nsheet = 'Größe'\n", encoding="utf-8")
        assert load_toml(path) == {"label": {"sheet": "Größe"}}

    @pytest.mark.parametrize("content", [b"a = ", b"a = 1\na = 2", b"\xff\xfe"])
    def test_a_file_that_is_no_toml_is_named(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "a.toml"
        path.write_bytes(content)
        with pytest.raises(UsageError, match=r"a\.toml is not valid TOML"):
            load_toml(path)

    def test_a_missing_file_or_a_folder_cannot_be_read(self, tmp_path: Path) -> None:
        for path in (tmp_path / "none.toml", tmp_path):
            with pytest.raises(UsageError, match="cannot be read"):
                load_toml(path)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1000", 1_000),
        ("2k", 2_048),
        ("3 MiB", 3 << 20),
        ("4GiB", 4 << 30),
        ("1TB", 1 << 40),
    ],
)
def test_a_size_has_units_of_1024(text: str, size: int) -> None:
    assert size_in_bytes(text) == size


@pytest.mark.parametrize("text", ["", "GiB", "-1", "1.5G", "4 gigs", "1K1"])
def test_what_is_no_size_is_told(text: str) -> None:
    with pytest.raises(UsageError, match="is not a size such as 4GiB"):
        from_mapping(
            LabelSettings, {"input": "a", "output": "b", "max_unzipped": text}, where="test"
        )


def test_no_time_to_read_is_told() -> None:
    with pytest.raises(UsageError, match="'read_timeout' is 0"):
        from_mapping(LabelSettings, {"input": "a", "output": "b", "read_timeout": 0}, where="test")

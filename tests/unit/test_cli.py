"""The command line as a whole: help, options, exit codes."""

from __future__ import annotations

import dataclasses
import signal
import sys
from collections.abc import Callable

import pytest
import typer.main

import jobbatch
from jobbatch import cli, config, errors, jobs, pipeline, training
from jobbatch.settings.labelling import LabelSettings, PredictSettings
from jobbatch.settings.teaching import AuditSettings, EvaluateSettings

COMMANDS = typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]
Main = Callable[..., int]


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> Main:
    """Return the command line as a function that returns the exit code."""

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["jobbatch", *arguments])
        handlers = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            with pytest.raises(SystemExit) as leaving:
                cli.main()
        finally:
            for signum, handler in handlers.items():
                signal.signal(signum, handler)
        return int(leaving.value.code or 0)

    return run


def every_error(base: type[errors.JobbatchError]) -> list[type[errors.JobbatchError]]:
    return [base, *(e for child in base.__subclasses__() for e in every_error(child))]


@pytest.mark.parametrize("error", every_error(errors.JobbatchError), ids=lambda e: e.__name__)
def test_every_error_is_a_line_on_stderr_and_its_exit_code(
    main: Main,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: type[errors.JobbatchError],
) -> None:
    def fail(*_: object) -> None:
        raise error("what is wrong and what to do")

    monkeypatch.setattr(pipeline, "label_file", fail)
    assert main("label", "a.csv", "b.csv") == error.exit_code
    assert capsys.readouterr() == ("", "jobbatch: what is wrong and what to do\n")


def test_no_two_errors_share_an_exit_code() -> None:
    codes = [error.exit_code for error in every_error(errors.JobbatchError)]
    assert len(set(codes)) == len(codes)
    assert not {0, 130, 143} & set(codes)


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_command_with_its_code(
    main: Main,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    signum: signal.Signals,
    code: int,
) -> None:
    monkeypatch.setattr(pipeline, "label_file", lambda *_: signal.raise_signal(signum))
    assert main("label", "a.csv", "b.csv") == code
    assert "run the same command again" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (("label", "a.csv", "b.csv"), "; run the same command again to go on"),
        (("run", "nightly.toml"), "; run the same command again to go on"),
        (("train", "--out", "model"), "; repeat it with --resume to go on"),
        (("pretrain", "a.csv", "--out", "base"), ""),
        (("audit", "--out", "audit.xlsx"), ""),
        (("evaluate",), ""),
        (("predict", "moss owner"), ""),
    ],
)
def test_an_interrupted_command_says_how_to_go_on_if_it_can(
    main: Main,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    advice: str,
) -> None:
    stop = lambda *_: signal.raise_signal(signal.SIGINT)  # noqa: E731
    monkeypatch.setattr(config, "resolve", stop)
    monkeypatch.setattr(jobs, "load", stop)
    monkeypatch.setattr(training, "require_extra", lambda: None)
    assert main(*arguments) == 130
    assert capsys.readouterr().err == f"jobbatch: interrupted{advice}\n"


def test_a_bug_keeps_its_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pipeline, "label_file", lambda *_: {}["a bug"])
    monkeypatch.setattr(sys, "argv", ["jobbatch", "label", "a.csv", "b.csv"])
    with pytest.raises(KeyError, match="a bug"):
        cli.main()
    assert capsys.readouterr() == ("", "")


def test_the_version_is_the_packages(main: Main, capsys: pytest.CaptureFixture[str]) -> None:
    assert main("--version") == 0
    assert capsys.readouterr().out == f"jobbatch {jobbatch.__version__}\n"


def test_without_a_command_the_commands_are_shown(
    main: Main, capsys: pytest.CaptureFixture[str]
) -> None:
    main()
    shown = "".join(capsys.readouterr())
    assert [name for name in COMMANDS if f"  {name} " not in shown] == []


@pytest.mark.parametrize("flag", ["--help", "-h"])
@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_explains_itself_by_example_before_its_options(
    main: Main, capsys: pytest.CaptureFixture[str], name: str, flag: str
) -> None:
    assert main(name, flag) == 0
    text = capsys.readouterr().out
    assert f"  jobbatch {name} " in text
    assert text.index(f"  jobbatch {name} ") < text.index("--help")


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("label", LabelSettings),
        ("predict", PredictSettings),
        ("evaluate", EvaluateSettings),
        ("audit", AuditSettings),
    ],
)
def test_every_setting_is_an_option_and_every_option_a_setting(name: str, schema: type) -> None:
    settings = {field.name for field in dataclasses.fields(schema)}
    options = {parameter.name for parameter in COMMANDS[name].params}
    assert options - {"json", "quiet", "titles"} == settings


@pytest.mark.parametrize(
    "name", ["label", "run", "doctor", "train", "evaluate", "audit", "export-onnx"]
)
def test_whatever_works_for_long_can_be_quiet_or_answer_in_json(name: str) -> None:
    options = {option for parameter in COMMANDS[name].params for option in parameter.opts}
    assert {"--json", "--quiet", "-q"} <= options


def test_the_package_offers_what_it_names() -> None:
    for name in jobbatch.__all__:
        assert getattr(jobbatch, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'label'"):
        _ = jobbatch.label

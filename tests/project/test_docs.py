"""The documents name what there is, and link to what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main

from jobbatch import cli, errors
from jobbatch.tables import formats

ROOT = Path(__file__).parents[2]
PACKAGE = Path(cli.__file__).parent
README = ROOT / "README.md"
COMMANDS = sorted(typer.main.get_command(cli.app).commands)  # type: ignore[attr-defined]
DOCUMENTS = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not any(part.startswith(".") or part == "shared" for part in path.relative_to(ROOT).parts)
)
LINK = re.compile(r"\]\(<?([^)>\s]+)>?(?:\s+\"[^\"]*\")?\)")


def examples(document: Path) -> str:
    """Return the shell examples of a document."""
    return "\n".join(re.findall(r"```sh\n(.*?)```", document.read_text("utf-8"), re.DOTALL))


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "LICENSE",
        "docs/architecture.md",
        "docs/labelling-guide.md",
    ],
)
def test_the_document_exists_and_says_something(name: str) -> None:
    assert len((ROOT / name).read_text(encoding="utf-8")) > 500


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_in_the_readme(name: str) -> None:
    assert f"jobbatch {name} " in README.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_in_a_readme_example_has_options_that_exist(name: str) -> None:
    command = typer.main.get_command(cli.app).commands[name]  # type: ignore[attr-defined]
    known = {option for p in command.params for option in (*p.opts, *p.secondary_opts)}
    for line in re.findall(rf"jobbatch {name} (.*)", examples(README)):
        used = set(re.findall(r"(?<!\S)(--?[a-z][a-z-]*)", line.split("#")[0].split(") |")[0]))
        assert used <= known


def test_no_command_in_the_documents_is_made_up() -> None:
    for document in DOCUMENTS:
        used = set(re.findall(r"(?:^|\s)jobbatch ([a-z][a-z-]*)", examples(document)))
        assert used <= set(COMMANDS), document


def test_every_exit_code_that_occurs_is_in_the_readme() -> None:
    modules = [path for path in PACKAGE.rglob("*.py") if path.name != "errors.py"]
    package = "\n".join(path.read_text(encoding="utf-8") for path in modules)
    raised = [e for e in errors.JobbatchError.__subclasses__() if f"{e.__name__}(" in package]
    codes = {0, 130, 143} | {error.exit_code for error in raised}
    rows = re.findall(r"^\| ([\d, ]+) \|", README.read_text(encoding="utf-8"), re.MULTILINE)
    named = {int(code) for row in rows for code in row.split(",")}
    assert codes <= named


def test_the_tree_in_the_errors_docstring_has_every_error_with_its_code() -> None:
    for error in errors.JobbatchError.__subclasses__():
        assert re.search(rf"── {error.__name__} +{error.exit_code} ", errors.__doc__ or "")


def test_every_format_is_in_the_readme() -> None:
    text = README.read_text(encoding="utf-8")
    aliases = {".feather", ".ipc", ".ndjson"}
    endings = set(formats.READABLE) | set(formats.WRITABLE)
    assert [ending for ending in sorted(endings - aliases) if ending not in text] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    links = LINK.findall(document.read_text(encoding="utf-8"))
    local = [link for link in links if not re.match(r"[a-z]+:|#", link)]
    broken = [link for link in local if not (document.parent / link.split("#")[0]).exists()]
    assert broken == []


def test_every_folder_of_the_tree_in_the_readme_exists() -> None:
    trees = re.findall(r"^([a-z]+/) {2,}\S", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert {"jobbatch/", "export/", "jobs/", "weights/"} <= set(trees)
    assert [name for name in trees if not (ROOT / name).is_dir()] == []


def test_every_target_of_make_that_is_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for document in DOCUMENTS:
        used = set(re.findall(r"^make ([a-z-]+)", examples(document), re.MULTILINE))
        assert used <= targets, document


def test_the_changelog_names_every_command() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert [name for name in COMMANDS if f"`jobbatch {name}`" not in text] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_left_to_be_filled_in(document: Path) -> None:
    assert re.findall(r"@[A-Z]+@", document.read_text(encoding="utf-8")) == []

"""What the project depends on is pinned, under licences that are allowed, and named in a release."""

from __future__ import annotations

import hashlib
import json
import re
from importlib.metadata import Distribution, PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from jobbatch.weights import default_model
from tools import audit, licences, lock, sbom
from tools.project import PYPROJECT, ROOT, installed

PINS = [line for line in lock.LOCK.read_text("utf-8").splitlines() if not line.startswith("#")]
BUILD_FILES = ("constraints.txt", "pyproject.toml", "Makefile", ".ci/run")


def package(folder: Path, name: str, *lines: str) -> Distribution:
    """Install a package of nothing but metadata."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    header = ("Metadata-Version: 2.4", f"Name: {name}", "Version: 1.0")
    (info / "METADATA").write_text("\n".join((*header, *lines)) + "\n\n")
    return Distribution.at(info)


class TestLock:
    def test_everything_that_the_development_environment_needs_is_pinned_as_installed(self) -> None:
        pins = lock.pinned()
        needed = lock.environment()
        assert {n: v for n, v in needed.items() if pins.get(n) != v} == {}

    def test_the_peers_of_the_benchmarks_are_pinned(self) -> None:
        assert lock.peers() - set(lock.pinned()) == set()

    def test_nothing_else_is_pinned(self) -> None:
        assert set(lock.pinned()) - set(lock.environment()) - lock.peers() == set()

    def test_each_line_is_a_name_and_a_version_and_nothing_else(self) -> None:
        assert [pin for pin in PINS if not re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", pin)] == []

    def test_it_is_sorted_and_names_nothing_twice(self) -> None:
        names = [pin.split("==")[0] for pin in PINS]
        assert names == sorted(set(names))

    @pytest.mark.parametrize("name", BUILD_FILES)
    def test_no_index_and_no_local_path_is_named(self, name: str) -> None:
        text = (ROOT / name).read_text("utf-8")
        assert re.findall(r"index-url|find-links|file:|https?:|/home/|/tmp/|/opt/", text) == []


class TestInstalled:
    @pytest.fixture
    def site(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.syspath_prepend(tmp_path)
        return tmp_path

    def test_what_is_needed_is_followed_all_the_way_down_and_round(self, site: Path) -> None:
        package(site, "lamp", "Requires-Dist: oil_jar>=1")
        package(site, "oil.jar", "Requires-Dist: lamp")
        assert list(installed([Requirement("Lamp")])) == ["lamp", "oil-jar"]

    def test_an_extra_is_followed_where_it_is_asked_for(self, site: Path) -> None:
        package(site, "lamp", "Provides-Extra: lit", "Requires-Dist: oil; extra == 'lit'")
        package(site, "oil")
        assert list(installed([Requirement("lamp")])) == ["lamp"]
        assert list(installed([Requirement("lamp[lit]")])) == ["lamp", "oil"]

    def test_what_another_system_needs_is_left_out(self, site: Path) -> None:
        package(site, "lamp", "Requires-Dist: oil; sys_platform == 'lighthouse'")
        assert list(installed([Requirement("lamp")])) == ["lamp"]

    def test_what_only_some_builds_of_pytorch_bring_is_left_out(self, site: Path) -> None:
        package(site, "torch", "Requires-Dist: lamp; platform_system != 'lighthouse'")
        assert list(installed([Requirement("torch")])) == ["torch"]

    def test_what_is_missing_is_an_error_that_names_it(self, site: Path) -> None:
        package(site, "lamp", "Requires-Dist: oil")
        with pytest.raises(PackageNotFoundError, match="oil"):
            installed([Requirement("lamp")])


class TestLicences:
    @pytest.mark.parametrize(
        ("lines", "refused"),
        [
            (["License-Expression: MIT"], {}),
            (["License-Expression: MIT AND (ISC OR Apache-2.0)"], {"lamp": "ISC"}),
            (["License-Expression: GPL-3.0-only", "License: MIT"], {"lamp": "GPL-3.0-only"}),
            (["Classifier: License :: OSI Approved :: MIT License", "License: long text"], {}),
            (
                [
                    "Classifier: License :: OSI Approved :: MIT License",
                    "Classifier: License :: OSI Approved :: GNU Affero GPL",
                ],
                {"lamp": "GNU Affero GPL"},
            ),
            (["Classifier: License :: OSI Approved", "License: MIT"], {}),
            (["License: MIT", "        Copyright of the lamp's owner"], {}),
            (["License: Beerware"], {"lamp": "Beerware"}),
            ([], {"lamp": "an unknown licence"}),
        ],
        ids=[
            "allowed",
            "one-part-is-new",
            "expression-counts-most",
            "classifier-before-text",
            "one-of-two-classifiers",
            "classifier-that-says-nothing",
            "first-line-of-a-text",
            "new",
            "none",
        ],
    )
    def test_a_package_with_a_new_or_unknown_licence_is_named(
        self, tmp_path: Path, lines: list[str], refused: dict[str, str]
    ) -> None:
        lamp = package(tmp_path, "lamp", *lines)
        allowed = {"MIT", "MIT License", "Apache-2.0"}
        assert licences.refused([lamp], allowed) == refused

    def test_the_check_ends_with_1_and_names_the_package(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        table = PYPROJECT["tool"]["jobbatch"]["licences"]
        rest = [name for name in table["allowed"] if not name.startswith("MIT")]
        monkeypatch.setitem(table, "allowed", rest)
        with pytest.raises(SystemExit, match="1"):
            licences.main()
        assert "onnxruntime is under MIT License, which is not allowed" in capsys.readouterr().out


LAMP = {"name": "lamp", "version": "1.0", "vulns": []}
LEAK = {
    "id": "PYSEC-2026-1",
    "aliases": ["CVE-2026-1"],
    "fix_versions": ["1.1"],
    "description": "It leaks oil.",
}
LEAKING = {"name": "jar", "version": "1.0", "vulns": [LEAK]}
SKIPPED = {"name": "oil", "skip_reason": "Dependency not found on PyPI and could not be audited"}
DECIDED = {"reason": "we hold no oil", "date": "2026-11-26"}


def answer(*packages: dict[str, Any]) -> str:
    """Return what pip-audit prints about some packages."""
    return json.dumps({"dependencies": packages, "fixes": []})


class TestAudit:
    def test_without_a_vulnerability_it_passes(self) -> None:
        assert audit.judge(answer(LAMP), "", {}) == (
            0,
            ["audit: 0 vulnerabilities to mend in 1 packages"],
        )

    def test_a_vulnerability_fails_and_says_what_mends_it(self) -> None:
        code, lines = audit.judge(answer(LAMP, LEAKING), "", {})
        assert code == 1
        assert "jar 1.0: PYSEC-2026-1, mended in 1.1. It leaks oil." in lines

    @pytest.mark.parametrize("name", ["PYSEC-2026-1", "CVE-2026-1"])
    def test_one_that_is_ignored_passes_and_says_why(self, name: str) -> None:
        code, lines = audit.judge(answer(LEAKING), "", {name: DECIDED})
        assert code == 0
        assert "jar 1.0: PYSEC-2026-1, ignored: we hold no oil" in lines

    def test_another_ones_entry_does_not_help(self) -> None:
        assert audit.judge(answer(LEAKING), "", {"CVE-2026-2": DECIDED})[0] == 1

    @pytest.mark.parametrize("missing", ["reason", "date"])
    def test_an_entry_without_reason_or_date_fails(self, missing: str) -> None:
        entry = {name: value for name, value in DECIDED.items() if name != missing}
        code, lines = audit.judge(answer(LEAKING), "", {"CVE-2026-1": entry})
        assert code == 1
        assert lines == ["audit: CVE-2026-1 is ignored without reason and date"]

    def test_what_the_database_does_not_know_is_named(self) -> None:
        code, lines = audit.judge(answer(LAMP, SKIPPED), "", {})
        assert code == 0
        assert "audit: nothing is known about oil" in lines

    @pytest.mark.parametrize(
        ("output", "messages"),
        [
            ("", "ERROR: Could not connect to PyPI's vulnerability feed"),
            ("", "requests.exceptions.ConnectionError: Failed to resolve 'pypi.org'"),
            ("", "requests.exceptions.ReadTimeout: timed out"),
            (answer(SKIPPED, SKIPPED), "No known vulnerabilities found"),
        ],
        ids=["refused", "no-name-server", "slow", "a-mirror-without-advisories"],
    )
    def test_without_the_database_one_line_says_so_and_it_passes(
        self, output: str, messages: str
    ) -> None:
        assert audit.judge(output, messages, {}) == (0, [audit.UNREACHABLE])

    def test_another_failure_of_the_tool_is_a_failure(self) -> None:
        code, lines = audit.judge("", "No module named pip_audit", {})
        assert code == 1
        assert "No module named pip_audit" in lines[0]

    def test_every_entry_of_the_projects_own_list_has_a_reason_and_a_date(self) -> None:
        assert audit.judge(answer(LAMP), "", PYPROJECT["tool"]["jobbatch"]["advisories"])[0] == 0


@pytest.fixture(scope="module")
def bill() -> dict[str, Any]:
    return sbom.bill()


class TestBillOfMaterials:
    def test_it_names_the_package_and_its_version(self, bill: dict[str, Any]) -> None:
        root = bill["metadata"]["component"]
        assert (root["name"], bill["specVersion"]) == ("jobbatch", "1.6")
        assert re.fullmatch(r"\d+\.\d+\.\d+.*", root["version"])

    def test_it_names_the_core_dependencies_as_installed(self, bill: dict[str, Any]) -> None:
        named = {canonicalize_name(one["name"]): one["version"] for one in bill["components"]}
        core = installed(map(Requirement, PYPROJECT["project"]["dependencies"]))
        assert {name: one.version for name, one in core.items()}.items() <= named.items()

    def test_it_names_nothing_that_labelling_does_not_need(self, bill: dict[str, Any]) -> None:
        assert {one["name"] for one in bill["components"]} & {"pip", "pytest", "torch"} == set()

    def test_it_names_the_weights_files_with_their_sha256(self, bill: dict[str, Any]) -> None:
        model = next(c for c in bill["components"] if c["type"] == "machine-learning-model")
        hashes = {one["name"]: one["hashes"][0]["content"] for one in model["components"]}
        for name in ("model.safetensors", "onnx/model_int8.onnx", "tokenizer.json"):
            content = (default_model() / name).read_bytes()
            assert hashes[f"weights/joblevel/{name}"] == hashlib.sha256(content).hexdigest()

    def test_the_package_depends_on_the_model(self, bill: dict[str, Any]) -> None:
        edges = {one["ref"]: one["dependsOn"] for one in bill["dependencies"]}
        assert "weights/joblevel" in edges[bill["metadata"]["component"]["bom-ref"]]

    def test_it_tells_nothing_of_the_machine_it_was_made_on(self, bill: dict[str, Any]) -> None:
        text = json.dumps(bill)
        assert "file:" not in text
        assert str(ROOT) not in text

"""Writes the bill of materials of a release: the packages that it needs, and the model inside it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.utils import canonicalize_name

import jobbatch
from jobbatch.weights import DEFAULT_MODEL, ModelFolder
from tools.project import PYPROJECT, ROOT, installed, runtime


def bill() -> dict[str, Any]:
    """Return the CycloneDX document of the package with the extra 'cpu', as it is installed here."""
    command = [sys.executable, "-m", "cyclonedx_py", "environment", sys.executable]
    options = ["--pyproject", str(ROOT / "pyproject.toml"), "--sv=1.6", "--output-reproducible"]
    done = subprocess.run(
        [*command, *options, "--no-validate"], capture_output=True, text=True, check=True
    )
    document: dict[str, Any] = json.loads(done.stdout)
    needed = installed(runtime("cpu"))
    packages = [c for c in document["components"] if canonicalize_name(c["name"]) in needed]
    root, weights = document["metadata"]["component"], model()
    root["version"] = jobbatch.__version__
    refs = {one["bom-ref"] for one in (root, *packages)}
    edges = {d["ref"]: refs & {*d.get("dependsOn", ())} for d in document["dependencies"]}
    edges[root["bom-ref"]].add(weights["bom-ref"])
    document["components"] = [*packages, weights]
    document["dependencies"] = [
        {"ref": ref, "dependsOn": sorted(edges[ref])} for ref in sorted(refs)
    ]
    return document


def model() -> dict[str, Any]:
    """Return the shipped model as a component, its files within; each is verified first.

    Raises:
        ModelError: if a file is not what the manifest says.
    """
    folder = ModelFolder(ROOT / "weights" / DEFAULT_MODEL)
    folder.verify()
    files = [
        {
            "type": "file",
            "bom-ref": f"weights/{DEFAULT_MODEL}/{name}",
            "name": f"weights/{DEFAULT_MODEL}/{name}",
            "hashes": [{"alg": "SHA-256", "content": record.sha256}],
        }
        for name, record in sorted(folder.manifest.files.items())
    ]
    return {
        "type": "machine-learning-model",
        "bom-ref": f"weights/{DEFAULT_MODEL}",
        "name": DEFAULT_MODEL,
        "version": jobbatch.__version__,
        "licenses": [{"license": {"id": PYPROJECT["project"]["license"]}}],
        "components": files,
    }


def main() -> None:
    """Write dist/jobbatch-<version>.cdx.json, if it is valid."""
    text = json.dumps(bill(), indent=2, ensure_ascii=False) + "\n"
    fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if fault is not None:
        sys.exit(f"the bill of materials is not CycloneDX 1.6: {fault}")
    target = Path("dist") / f"jobbatch-{jobbatch.__version__}.cdx.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(text, encoding="utf-8")
    print(target)


if __name__ == "__main__":
    main()

"""Asks pip-audit about known vulnerabilities of the versions in constraints.txt.

Without the advisory database nothing is known, which is said and is no failure.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from tools.lock import LOCK
from tools.project import PYPROJECT

UNREACHABLE = "audit: skipped, the advisory database could not be reached"
NO_NETWORK = re.compile(
    r"Could not connect|not redirecting|ServiceError|ConnectionError|ProxyError|SSLError|Timeout"
)


def judge(
    output: str, messages: str, ignored: Mapping[str, Mapping[str, Any]]
) -> tuple[int, list[str]]:
    """Return the exit code, and what to print.

    Args:
        output: pip-audit's JSON; empty where it failed.
        messages: what it wrote to standard error.
        ignored: by id or alias, the vulnerabilities that do not concern us, with reason and date.
    """
    careless = [name for name, entry in ignored.items() if not {"reason", "date"} <= {*entry}]
    if careless:
        return 1, [f"audit: {', '.join(careless)} is ignored without reason and date"]
    if not output.strip():
        if NO_NETWORK.search(messages):
            return 0, [UNREACHABLE]
        return 1, [f"audit: pip-audit failed\n{messages}"]
    packages = json.loads(output)["dependencies"]
    known = [package for package in packages if "vulns" in package]
    if not known:  # a mirror of the index that has no advisories answers so
        return 0, [UNREACHABLE]
    lines, faults = [], 0
    for package in known:
        for found in package["vulns"]:
            name = f"{package['name']} {package['version']}: {found['id']}"
            reason = next(
                (ignored[i]["reason"] for i in (found["id"], *found["aliases"]) if i in ignored),
                None,
            )
            if reason is None:
                faults += 1
                fixed = ", ".join(found["fix_versions"]) or "no version yet"
                lines.append(f"{name}, mended in {fixed}. {found['description']}")
            else:
                lines.append(f"{name}, ignored: {reason}")
    unknown = [package["name"] for package in packages if "vulns" not in package]
    if unknown:
        lines.append(f"audit: nothing is known about {', '.join(unknown)}")
    lines.append(f"audit: {faults} vulnerabilities to mend in {len(known)} packages")
    return min(faults, 1), lines


def main() -> None:
    """Print what is found, and exit with 1 if something must be done."""
    options = ("--no-deps", "--disable-pip", "--format=json", "--progress-spinner=off")
    done = subprocess.run(
        [sys.executable, "-m", "pip_audit", "--requirement", LOCK, *options],
        capture_output=True,
        text=True,
        check=False,
    )
    ignored = PYPROJECT["tool"]["jobbatch"]["advisories"]
    code, lines = judge(done.stdout, done.stderr, ignored)
    print("\n".join(lines))
    sys.exit(code)


if __name__ == "__main__":
    main()

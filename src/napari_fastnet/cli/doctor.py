"""``napari-fastnet doctor``: what is installed, what is missing, how to get it."""

from __future__ import annotations

from dataclasses import asdict

from napari_fastnet.cli.options import AsJson
from napari_fastnet.cli.output import print_json
from napari_fastnet.errors import DependencyError


def doctor(as_json: AsJson = False) -> None:
    """Say what is installed, missing, and how to get it."""
    from napari_fastnet.engine.doctor import PROBES, examine

    width = max(len(probe.name) for probe in PROBES)
    findings = []
    for finding in examine():
        findings.append(finding)
        if not as_json:
            state = "ok" if finding.ok else "MISSING" if finding.needed else "without"
            print(f"{state:<9}{finding.name:<{width}}  {finding.text}", flush=True)
            if finding.mend:
                print(f"{'':<{9 + width}}  {finding.mend}")
    if as_json:
        print_json([asdict(finding) for finding in findings])
    lacking = [f.name for f in findings if f.needed and not f.ok]
    if lacking:
        raise DependencyError(
            f"{', '.join(lacking)} cannot be used; detection needs it: see what doctor "
            "printed beside it"
        )

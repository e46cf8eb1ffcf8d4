"""Java itself, which reads and writes data files of QuPath by classes of the same form.

The sources in ``java/`` have the names, versions and fields that QuPath's data files state,
and nothing else of QuPath. They show that a stream is one of Java's, not that QuPath opens
it.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

SOURCES = Path(__file__).parent / "java"


@pytest.fixture(scope="session")
def data_file(tmp_path_factory):
    """Return a function that runs ``DataFile`` with words, and returns what it prints."""
    if not (shutil.which("javac") and shutil.which("java")):
        pytest.skip("needs a JDK")
    classes = tmp_path_factory.mktemp("java")
    sources = sorted(map(str, SOURCES.rglob("*.java")))
    quick = ("-J-XX:TieredStopAtLevel=1", "-J-Xshare:auto", "-proc:none", "-nowarn")
    words = ["javac", *quick, "-encoding", "UTF-8", "-d", str(classes), *sources]
    subprocess.run(words, check=True)

    def run(*given):
        begin = ["java", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-cp", str(classes)]
        words = [*begin, "qupath.lib.objects.DataFile", *map(str, given)]
        return subprocess.run(words, check=True, capture_output=True).stdout.decode()

    return run

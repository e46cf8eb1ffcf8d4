"""What assistants read says what the program does, to the option and the key."""

from __future__ import annotations

import importlib.util
import json
import re
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from napari_fastnet.cli.app import main
from napari_fastnet.machine.doctor import Finding
from napari_fastnet.store.cache import CachedRun

ROOT = Path(__file__).parents[2]
WORDS = re.compile(r"`+([^`]+)`+")
PAGE = "reference/file-formats.md"
OPTION = re.compile("--?[a-z][a-z-]*")
#: After `napari-fastnet`, no command: what a usage begins with, and a name of a format.
ANY = {"[OPTIONS]", "decisions"}
#: Options of napari.
FOREIGN = {"--plugin"}

pytestmark = pytest.mark.skipif(
    not (ROOT / "llms.txt").exists(), reason="nothing for assistants beside the tests"
)


@pytest.fixture(scope="module")
def script():
    path = ROOT / "scripts" / "assistants.py"
    spec = importlib.util.spec_from_file_location("assistants", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def options(script):
    """Return the options of each command by its words, `--help` among them."""
    return {
        name: {
            "--help",
            *(one for part in context.command.params for one in every(part)),
        }
        for name, _, context in script.hooks.commands()
    }


@pytest.fixture(scope="module")
def keys(script):
    """Return the keys of each command's JSON, as the page on files has them."""
    found = {}
    for line in script.table(PAGE, "## Keys of JSON output").splitlines()[2:]:
        _, commands, has, _ = line.split("|")
        outside = re.sub(r"\([^()]*\)", "", has)
        for command in WORDS.findall(commands):
            found[command + " many" * ("several" in commands)] = WORDS.findall(outside)
    return found


def every(part):
    """Return an option's names."""
    return (
        [*part.opts, *part.secondary_opts] if part.param_type_name == "option" else []
    )


def test_they_are_as_the_script_writes_them(script):
    for path, text in script.files().items():
        assert path.read_text("utf-8") == text, "run `python scripts/assistants.py`"


def test_every_command_and_option_in_them_exists(script, options):
    known = {*FOREIGN, *set().union(*options.values())}
    for path in script.files():
        text = path.read_text("utf-8")
        for line in re.findall(r"(?:`|^ *)(napari-fastnet [^`\n]+)", text, re.M):
            words = line.split()
            named = [" ".join(words[:length]) for length in (3, 2)]
            name = next((name for name in named if name in options), words[0])
            assert name != words[0] or words[1] in ANY, f"{path.name}: {line}"
            given = {word for word in words if OPTION.fullmatch(word)}
            assert given <= options[name], f"{path.name}: {line}"
        for code in WORDS.findall(text):
            given = {word for word in code.split() if OPTION.fullmatch(word)}
            assert given <= known, f"{path.name}: {code}"


def test_the_skill_is_one(script):
    text = script.SKILL.read_text("utf-8")
    _, head, body = text.split("---\n", 2)
    facts = yaml.safe_load(head)
    assert facts["name"] == script.SKILL.parent.name
    assert re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", facts["name"])
    assert len(facts["description"]) <= 1024
    assert "Research use only" in facts["description"]
    assert len(body.splitlines()) < 500


def test_commands_without_json_are_those_that_the_skill_names(script, options):
    without = {
        name.partition(" ")[2]
        for name, _, context in script.hooks.commands()
        if not hasattr(context.command, "commands") and "--json" not in options[name]
    }
    assert without == {"train", "demo", "models add", "models remove"}
    for page in (script.SKILL, ROOT / "docs/howto/command-line.md"):
        text = " ".join(page.read_text("utf-8").split())
        assert (
            "All but `train`, `demo`, `models add` and `models remove` take `--json`"
            in text
        )


RUNS = {
    "info": "info slide.svs",
    "tissue": "tissue slide.svs -o tissue",
    "detect": "detect slide.svs -o out",
    "detect many": "detect slides my_slides/testing/images/test_003.svs -o many",
    "export": "export out/slide -f csv -o elsewhere",
    "report": "report out/slide -o report.html",
    "replay": "replay out/slide/run.json",
    "evaluate patches": "evaluate patches my_patches --mpp 0.972 --bootstrap 0",
    "evaluate slides": "evaluate slides many --truth truth -o evaluation --bootstrap 0",
    "evaluate cases": "evaluate cases many --truth stages.csv --bootstrap 0",
    "models": "models",
    "models list": "models list",
    "models show": "models show fastnet-pcam",
    "models verify": "models verify fastnet-pcam",
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Matplotlib is currently using agg")
def test_json_has_the_keys_that_are_written(script, keys, scene, capsys):
    Path("stages.csv").write_text("patient,stage\ntest.zip,pN0\n")
    annotations = scene / "my_slides/testing/lesion_annotations"
    (scene / "truth").mkdir()
    (scene / "truth/c.xml").write_bytes((annotations / "test_001.xml").read_bytes())
    record = WORDS.findall(
        re.sub(r"(?<=` \|).*", "", script.table(PAGE, "## `run.json`"))
    )
    record += ["format", "format_version", "created", "notice", "calibration", "files"]
    before = [key for key in record if key != "evidence"]
    written = {**keys, "tissue": before, "detect": record}
    written["models show"] = [*keys["models"], "card"]
    found = {}
    for name, words in RUNS.items():
        capsys.readouterr()
        assert main([*words.split(), "--json"]) == 0, (words, capsys.readouterr().err)
        found[name] = json.loads(capsys.readouterr().out)
        first = found[name][0] if isinstance(found[name], list) else found[name]
        assert set(first) == set(written[name]), name
    assert keys.keys() - found.keys() == {
        *("adapt", "bench", "patches", "doctor", "cache list", "cache clear"),
    }
    columns = (scene / "many/summary.csv").read_text("utf-8").splitlines()[0].split(",")
    assert list(found["detect many"]["slides"][0]) == columns
    named = WORDS.findall(script.table(*script.TABLES["summary"]))
    assert set(columns) <= set(named)
    lesions = (scene / "many/regions.csv").read_text("utf-8").splitlines()[0].split(",")
    assert {"name", *WORDS.findall(script.table(*script.TABLES["lesions"]))} >= set(
        lesions
    )
    (case,) = found["report"]["cases"]
    assert case.keys() <= set(
        WORDS.findall(script.section(PAGE, "## Keys of JSON output"))
    )


def test_lists_have_the_keys_that_are_written(keys):
    assert set(keys["doctor"]) == {field.name for field in fields(Finding)}
    for command in ("cache list", "cache clear"):
        assert set(keys[command]) == {field.name for field in fields(CachedRun)}

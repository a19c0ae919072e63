"""The README's code runs, its tree names every file, its commands exist."""

import re
from pathlib import Path

import pytest

from qfm_jax.cli import COMMANDS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def code_of(text):
    return "\n".join(re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL))


def test_code_runs_and_learns(capsys):
    code = code_of(README)
    # Small and without network; everything else is as printed.
    code = code.replace('"fashion-mnist", train_size=10_000', '"digits"')
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
    accuracy = float(capsys.readouterr().out.splitlines()[-1])
    assert accuracy > 0.6  # ten epochs of 1,318 images; chance is 0.1


def test_tree_names_every_file():
    tree = README.split("```\nqfm_jax/\n")[1].split("experiments/")[0]
    named = {line.split()[0].rstrip("/") for line in tree.splitlines() if line}
    package = ROOT / "qfm_jax"
    present = {
        path.name
        for path in package.iterdir()
        if not path.name.startswith(("_", ".")) and path.suffix != ".typed"
    }
    assert named == present


def test_commands_exist():
    commands = set(re.findall(r"^qfm ([a-z]+)", README, flags=re.MULTILINE))
    assert commands
    assert commands <= set(COMMANDS)
    targets = set(re.findall(r"make ([a-z-]+)", README))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert all(f"\n{target}:" in makefile for target in targets)


@pytest.mark.parametrize("number", range(3))
def test_tables_are_those_of_the_results(number, experiment):
    writing, sentences = experiment("write_results"), []
    text = writing.PAGES[number].read_text(encoding="utf-8")
    new = writing.rewritten(text, writing.RESULTS, sentences.append)
    assert new == text, "`make results` writes the tables from the files"
    # What was not run yet has no table.
    missing = [
        re.search(r"'(\S+)' stays .* is not there", said)[1] for said in sentences
    ]
    blocks = {name: body for _, name, body, _ in writing.BLOCK.findall(text)}
    assert len(blocks) > len(missing)
    assert not any("|" in blocks[name] for name in missing)

"""The command `qfm`: finds the subcommand, and turns errors into sentences.

Everything heavy is imported behind the choice of a subcommand, so that `qfm --help`
answers at once.
"""

import difflib
import sys
import warnings
from collections.abc import Sequence

COMMANDS = {
    "data": "find, verify and describe a data set",
    "models": "list the models and comparisons that have a name",
    "train": "train one model and score it on the test images",
    "compare": "train several models alike and write a report: the main job",
    "audit": "retrain a model and its twins: what does the circuit contribute?",
    "evaluate": "score a finished run again, on any device",
    "cost": "what a run's circuit would cost on quantum computers",
    "predict": "classify image files of your own",
    "report": "write one report of finished runs and audits",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `qfm` with the arguments `argv`; returns the exit status.

    0 for success, 2 for bad input (with a sentence on standard error), 130 for Ctrl-C.

    Example:
        >>> main(["--version"])
        qfm 0.1.0
        0
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    files = []
    while arguments and arguments[0] == "--load":
        if len(arguments) < 3:
            return _fail("--load needs a Python file, and a command behind it.")
        files.append(arguments[1])
        arguments = arguments[2:]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_overview())
        return 0
    if arguments[0] == "--version":
        from . import __version__

        print(f"qfm {__version__}")
        return 0
    name, *rest = arguments
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return _fail(f"There is no command {name!r}.{hint} `qfm --help` lists them.")
    return _run(name, rest, files)


def _run(name: str, arguments: list[str], files: list[str]) -> int:
    from ._checks import InputError
    from .commands import load_file, run_command
    from .training import TrainingInterrupted

    warnings.showwarning = _show_warning
    try:
        for file in files:
            load_file(file)
        run_command(name, arguments)
    except InputError as error:
        return _fail(str(error))
    except TrainingInterrupted as error:
        return _fail(str(error), status=130)
    except KeyboardInterrupt:
        return _fail("Interrupted.", status=130)
    except BrokenPipeError:  # the reader of our output, such as `head`, has gone
        sys.stderr.close()
    return 0


def _overview() -> str:
    lines = [f"  {name:<10} {summary}" for name, summary in COMMANDS.items()]
    return "\n".join(
        [
            "usage: qfm [--load FILE] COMMAND [OPTIONS]",
            "",
            "Quantum, hybrid and classical image classifiers, trained and compared.",
            "",
            *lines,
            "",
            "`--load FILE` first runs a Python file of your own, which may add models.",
            "`qfm COMMAND --help` describes its options; `qfm --version` the version.",
        ]
    )


def _fail(sentence: str, status: int = 2) -> int:
    print(f"qfm: {sentence}", file=sys.stderr)
    return status


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    """A warning as a sentence, without the line of code that raised it."""
    print(f"qfm: warning: {message}", file=sys.stderr)

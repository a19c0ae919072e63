"""The command `qfm`: finds the subcommand, and turns errors into sentences.

Everything heavy is imported behind the choice of a subcommand, so that `qfm --help`
answers at once.
"""

import difflib
import functools
import re
import shlex
import sys
import warnings
from collections.abc import Callable, Sequence

COMMANDS = {
    "data": "find, verify and describe a data set",
    "models": "list the models and comparisons that have a name",
    "train": "train one model and score it on the test images",
    "compare": "train several models alike and write a report: the main job",
    "audit": "retrain a model and its controls: what does the circuit contribute?",
    "evaluate": "score a finished run again, on any device",
    "cost": "what a run's circuit would cost on quantum computers",
    "predict": "classify image files of your own",
    "report": "write one report of finished runs and audits",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `qfm` with the arguments `argv`; returns the exit status.

    0 for success, 2 for bad input, 1 where disk or memory gave out or units of a
    cluster failed, 3 where another process of the same training was lost (each with a
    sentence on standard error), 130 for Ctrl-C.

    Example:
        >>> main(["--version"])
        qfm 0.1.0
        0
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    trust = "--trust-run" in arguments
    arguments = [argument for argument in arguments if argument != "--trust-run"]
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
    return _run(name, rest, files, trust)


def _run(name: str, arguments: list[str], files: list[str], trust: bool) -> int:
    from ._checks import InputError
    from .commands import run_command
    from .parallel.loading import load_file
    from .runs.origin import NotLoadedError, trusting_runs

    def run() -> None:
        for file in files:
            load_file(file)
        try:
            with trusting_runs(trust):
                run_command(name, arguments)
        except NotLoadedError as error:
            command = shlex.join(["qfm", "--trust-run", name, *arguments])
            raise InputError(
                f"{error} If you trust it, type `{command}`, which executes the copy "
                "with all your rights."
            ) from error

    return in_sentences(run)


def in_sentences(command: Callable[[], object]) -> int:
    """Runs a command, and says in a sentence what ends it early; for scripts too.

    Returns:
        The exit status, as `main` does.

    Example:
        >>> in_sentences(lambda: print("done"))
        done
        0
    """
    from ._checks import InputError
    from .devices import error_of_callback
    from .parallel import UnitsFailedError
    from .parallel.processes import LOST, ProcessLost, leave
    from .training import TrainingInterrupted

    warnings.showwarning = functools.partial(_show_warning, shown=set())
    status = 0
    try:
        command()
    except ProcessLost as error:
        status = _fail(str(error), status=LOST)
    except InputError as error:
        status = _fail(str(error))
    except UnitsFailedError as error:
        status = _fail(str(error), status=1)
    except TrainingInterrupted as error:
        status = _fail(str(error), status=130)
    except KeyboardInterrupt:
        status = _fail("Interrupted.", status=130)
    except BrokenPipeError:  # the reader of our output, such as `head`, has gone
        sys.stderr.close()
    except OSError as error:
        what = f"{error.filename}: {error.strerror}." if error.filename else str(error)
        status = _fail(f"{what} {_SAVED}", status=1)
    except (MemoryError, RuntimeError) as error:  # JAX's are RuntimeErrors
        if isinstance(said := error_of_callback(error), InputError):
            status = _fail(str(said))
        elif _is_of_memory(error):
            status = _fail(f"{_needed(str(error))} {_LESS} {_SAVED}", status=1)
        else:
            raise
    if status:
        leave(status)
    return status


_SAVED = (
    "What was saved before is whole: see to the cause, then repeat the command, or "
    "continue with --resume where it was begun."
)
_LESS = (
    "Choose fewer qubits, a smaller --batch-size or network, or in an audit fewer "
    "seeds --together."
)


def _is_of_memory(error: Exception) -> bool:
    words = ("Out of memory", "out of memory", "RESOURCE_EXHAUSTED")
    return isinstance(error, MemoryError) or any(word in str(error) for word in words)


def _needed(message: str) -> str:
    """What was asked of a memory that did not have it, where JAX says so."""
    found = re.search(r"allocat\w+ (\d+) bytes", message)
    asked = f" for {int(found[1]) / 2**30:.3g} GiB more" if found else ""
    return f"There is not enough memory{asked}."


def _overview() -> str:
    lines = [f"  {name:<10} {summary}" for name, summary in COMMANDS.items()]
    return "\n".join(
        [
            "usage: qfm [--load FILE] [--trust-run] COMMAND [OPTIONS]",
            "",
            "Quantum, hybrid and classical image classifiers, trained and compared.",
            "",
            *lines,
            "",
            "`--load FILE` first runs a Python file of your own, which may add models",
            "and circuits; `--trust-run` the copies of such files that a run keeps.",
            "`qfm COMMAND --help` describes its options; `qfm --version` the version.",
        ]
    )


def _fail(sentence: str, status: int = 2) -> int:
    print(f"qfm: {sentence}", file=sys.stderr)
    return status


def _show_warning(
    message: Warning | str, *_: object, shown: set[str], **__: object
) -> None:
    """A warning as a sentence, once, without the line of code that raised it."""
    if str(message) not in shown:
        shown.add(str(message))
        print(f"qfm: warning: {message}", file=sys.stderr)

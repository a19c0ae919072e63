"""The jobs of a person's IBM account: found again, waited for, and why one is lost.

What Qiskit says of a failure is not repeated: it may quote what an account holds.
"""

import re
from typing import Any, Protocol

from .._checks import InputError
from ..hardware.backends import refused


class JobLostError(InputError):
    """A job that ended without a result; all others are kept."""


class Lookup(Protocol):
    """Finds jobs that an earlier process sent."""

    def by_id(self, job_id: str) -> Any:
        """The job; None where it ended with the process that sent it."""

    def by_tag(self, tag: str) -> Any:
        """The job with this tag; None where it never arrived."""


class LocalLookup:
    """Qiskit's local mode, whose jobs end with their process and cost nothing."""

    def by_id(self, job_id: str) -> Any:
        """Finds nothing."""

    def by_tag(self, tag: str) -> Any:
        """Finds nothing."""


class AccountLookup:
    """The jobs of an IBM account.

    Args:
        service: A QiskitRuntimeService, which knows the account.
    """

    def __init__(self, service: Any):
        self.service = service

    def by_id(self, job_id: str) -> Any:
        """The job.

        Raises:
            InputError: For a job of another account, or no answer.
        """
        from qiskit_ibm_runtime.exceptions import RuntimeJobNotFound

        try:
            return self.service.job(job_id)
        except RuntimeJobNotFound:
            raise InputError(
                f"Job {job_id} is not found in your IBM Quantum account. Use the "
                "account and the instance that sent it, with QISKIT_IBM_INSTANCE for "
                "example."
            ) from None
        except Exception as error:
            raise refused(error) from None

    def by_tag(self, tag: str) -> Any:
        """The job with this tag.

        Raises:
            InputError: For no answer.
        """
        try:
            return next(iter(self.service.jobs(limit=1, job_tags=[tag])), None)
        except Exception as error:
            raise refused(error) from None


def lookup_of(backend: Any) -> Lookup:
    """How the jobs of a backend are found again.

    Example:
        >>> from qfm_jax.hardware.backends import get_backend
        >>> lookup_of(get_backend("fake_manila")).by_id("any") is None
        True
    """
    return LocalLookup() if is_local(backend) else AccountLookup(backend.service)


def is_local(backend: Any) -> bool:
    """Whether Qiskit's local mode runs it, for nothing.

    Example:
        >>> from qfm_jax.hardware.backends import get_backend
        >>> is_local(get_backend("fake_manila"))
        True
    """
    from qiskit_ibm_runtime import IBMBackend

    return not isinstance(backend, IBMBackend)


def result_of(job: Any, job_id: str, limit: int) -> Any:
    """Waits for a job, for as long as it takes.

    Args:
        job: From a SamplerV2, or from a `Lookup`.
        job_id: Its id.
        limit: Seconds of QPU that it may take.

    Raises:
        JobLostError: For a job that failed, was cancelled, or took too long.
        InputError: For no answer; the job goes on.
    """
    from qiskit_ibm_runtime import exceptions

    try:
        result = job.result()
    except exceptions.RuntimeJobMaxTimeoutError:
        why = f"took longer than its limit of {limit} s of QPU, and was cancelled"
        raise JobLostError(f"Job {job_id} {why}: give more --max-seconds.") from None
    except exceptions.RuntimeJobFailureError as error:
        code = re.search(r"[Ee]rror code (\d+)", str(error))
        why = f" with error code {code[1]}" if code else ""
        raise JobLostError(f"Job {job_id} failed{why}.") from None
    except exceptions.RuntimeInvalidStateError:
        raise JobLostError(f"Job {job_id} was cancelled.") from None
    except Exception as error:
        raise InputError(
            f"Job {job_id} gave no answer ({type(error).__name__}). It goes on: the "
            "same command fetches it by its id, and sends nothing twice."
        ) from None
    if result is None:
        raise JobLostError(f"Job {job_id} ended without a result.")
    return result

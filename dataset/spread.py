"""Work of many clips, spread over this machine's processes or a Dask cluster's; joblib hands it out."""

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from .schema import DatasetError

WAIT_S = 10  # for a scheduler to answer, and for its first worker
Task = TypeVar("Task")
Made = TypeVar("Made")


def run_tasks(
    work: Callable[[Task], Made], tasks: Sequence[Task], jobs: int = 1, dask: str | None = None
) -> Iterator[Made]:
    """What the work makes of each task, as they are done, in any order.

    Args:
        work: a module's function: other processes find it by its name.
        jobs: processes of this machine; -1 for one a core.
        dask: address of a Dask scheduler, such as tcp://10.0.0.5:8786; its workers do the work instead.

    Raises:
        DatasetError: no such number of processes, no joblib or Dask here, no scheduler or no worker there.
    """
    if jobs == 0 or jobs < -1:
        raise DatasetError(f"jobs is {jobs}; give 1 or more, or -1 for one a core")
    if dask is None and (jobs == 1 or len(tasks) < 2):
        yield from map(work, tasks)
        return
    import joblib

    with _workers(dask) if dask else joblib.parallel_config("loky"):
        count = -1 if dask else min(jobs, len(tasks))
        parallel = joblib.Parallel(n_jobs=count, return_as="generator_unordered")
        results: Any = parallel(joblib.delayed(work)(task) for task in tasks)  # a generator; the stub says a list
        try:
            yield from results
        except ModuleNotFoundError as error:
            raise DatasetError(f"the workers lack {error.name}; install this version of lrt on each") from error
        except TimeoutError as error:
            raise DatasetError(
                f"no Dask worker came to {dask} within {WAIT_S} s; start `dask worker {dask}`"
            ) from error
        except _deaths(dask) as error:
            raise DatasetError("a worker was killed, for want of memory perhaps; give fewer --jobs") from error
        finally:
            results.close()


@contextmanager
def _workers(address: str) -> Iterator[None]:
    """joblib sends its work to the scheduler at the address."""
    if importlib.util.find_spec("distributed") is None:
        raise DatasetError("a cluster needs Dask: pip install 'lrt[cluster]'")
    import joblib
    from distributed import Client

    try:
        client = Client(address, timeout=WAIT_S, set_as_default=False)
    except (OSError, ValueError) as error:  # nobody answers; not an address
        raise DatasetError(f"no Dask scheduler answers at {address}; start one with `dask scheduler`") from error
    with client, joblib.parallel_config("dask", client=client, wait_for_workers_timeout=WAIT_S):
        yield


def _deaths(dask: str | None) -> type[Exception]:
    """What is raised when a worker process is gone."""
    if dask:
        from distributed import KilledWorker

        return KilledWorker
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    return TerminatedWorkerError

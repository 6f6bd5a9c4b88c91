"""Work of many clips, spread over this machine's processes (joblib) or a Dask cluster's."""

import importlib.util
from collections.abc import Callable, Iterator, Sequence
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
    if dask is not None:
        yield from _run_on_cluster(work, tasks, dask)
        return
    if jobs == 1 or len(tasks) < 2:
        yield from map(work, tasks)
        return
    import joblib
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    with joblib.parallel_config("loky"):
        parallel = joblib.Parallel(n_jobs=min(jobs, len(tasks)), return_as="generator_unordered")
        results: Any = parallel(joblib.delayed(work)(task) for task in tasks)  # a generator; the stub says a list
        try:
            yield from results
        except TerminatedWorkerError as error:
            raise DatasetError("a worker was killed, for want of memory perhaps; give fewer --jobs") from error
        finally:
            results.close()


def _run_on_cluster(work: Callable[[Task], Made], tasks: Sequence[Task], address: str) -> Iterator[Made]:
    """The same by a Dask cluster. Dask's own futures: joblib's backend waits for ever once the last worker is gone."""
    if importlib.util.find_spec("distributed") is None:
        raise DatasetError("a cluster needs Dask: pip install 'lrt[cluster]'")
    from distributed import Client, KilledWorker, wait

    try:
        client = Client(address, timeout=WAIT_S, set_as_default=False)
    except (OSError, ValueError) as error:  # nobody answers; not an address
        raise DatasetError(f"no Dask scheduler answers at {address}; start one with `dask scheduler`") from error
    with client:
        pending = client.map(work, tasks, pure=False)
        try:
            while pending:
                try:
                    with client.as_current():
                        ended: Any = wait(pending, timeout=WAIT_S, return_when="FIRST_COMPLETED")
                except TimeoutError as error:
                    if client.scheduler_info()["workers"]:
                        continue  # a long clip
                    raise DatasetError(
                        f"no Dask worker came to {address} within {WAIT_S} s, or the last one went; "
                        f"start `dask worker {address}`"
                    ) from error
                pending = list(ended.not_done)
                for future in ended.done:
                    yield future.result()
        except ModuleNotFoundError as error:
            raise DatasetError(f"the workers lack {error.name}; install this version of lrt on each") from error
        except KilledWorker as error:
            raise DatasetError("a worker was killed, for want of memory perhaps; give it fewer threads") from error
        finally:
            client.cancel(pending)

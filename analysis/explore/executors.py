"""Who evaluates: this process, processes of this machine, or a dask.distributed cluster.

Each gives a task's result once, in any order, and holds a bounded number of them at a time. When a
worker dies, its unfinished tasks are given to another.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import tempfile
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from pact_hw.errors import InputError, ToolError

from .extras import extra
from .tasks import Result, Task, work

MOST_DEATHS = 5
"""Times in a row that workers may die without a single result."""

CONNECT_SECONDS = 10.0
"""How long a scheduler may take to answer."""


class Executor(Protocol):
    """Evaluates tasks."""

    def run(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Result]]:
        """Every task with its result, once each, in any order."""
        ...


class Here:
    """This process, one task after the other."""

    def run(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Result]]:
        """See ``Executor``."""
        for task in tasks:
            yield task, work(task)


def _follow_parent() -> None:
    """In a worker process: leave when the parent is gone, also if it was killed; Ctrl-C is the parent's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _work_into_file(task: Task, folder: str) -> tuple[str, str]:
    """``work``, its columns in a file: digest and path are a message that a killed worker never half sends.

    Half a message would leave the parent reading for ever.
    """
    digest, columns = work(task)
    path = Path(folder) / f"{task.key}-{os.getpid()}.npz"
    np.savez(path, allow_pickle=False, **columns)  # type: ignore[arg-type, unused-ignore]
    return digest, str(path)


def _from_file(message: tuple[str, str]) -> Result:
    digest, path = message
    with np.load(path, allow_pickle=False) as archive:
        columns = {name: archive[name] for name in archive.files}
    Path(path).unlink()
    return digest, columns


class Processes:
    """``workers`` processes of this machine."""

    def __init__(self, workers: int) -> None:
        self._workers = workers

    def run(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Result]]:
        """See ``Executor``.

        Raises:
            ToolError: workers die again and again.
        """
        with tempfile.TemporaryDirectory(prefix="pact-hw-explore-") as folder:
            yield from self._run(iter(tasks), folder)

    def _run(self, waiting: Iterator[Task], folder: str) -> Iterator[tuple[Task, Result]]:
        lost: list[Task] = []
        deaths = 0
        while deaths < MOST_DEATHS:
            pool = ProcessPoolExecutor(
                self._workers,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_follow_parent,
            )
            running: dict[Future[tuple[str, str]], Task] = {}
            try:
                while True:
                    while len(running) < 2 * self._workers and (task := _next(lost, waiting)):
                        running[_submit(pool, task, folder, lost)] = task
                    if not running:
                        return
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        result = _from_file(future.result())
                        deaths = 0
                        yield running.pop(future), result
            except BrokenProcessPool:
                deaths += 1
                lost += running.values()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
        raise ToolError(f"worker processes died {deaths} times in a row: out of memory? try fewer --workers")


def _submit(pool: ProcessPoolExecutor, task: Task, folder: str, lost: list[Task]) -> Future[tuple[str, str]]:
    try:
        return pool.submit(_work_into_file, task, folder)
    except BrokenProcessPool:
        lost.append(task)
        raise


def _next(lost: list[Task], waiting: Iterator[Task]) -> Task | None:
    return lost.pop() if lost else next(waiting, None)


class Cluster:
    """The workers of the dask.distributed scheduler at ``address`` (such as tcp://host:8786)."""

    def __init__(self, address: str) -> None:
        self._address = address

    def run(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Result]]:
        """See ``Executor``.

        Raises:
            InputError: there is no scheduler.
            ToolError: a task killed every worker that tried it.
        """
        distributed = extra("distributed")
        try:
            client = distributed.Client(self._address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError, ImportError) as error:
            raise InputError(
                f"--scheduler {self._address}: no dask scheduler answers: {_line(error)}"
            ) from None
        with closing(client):
            try:
                yield from self._run(client, iter(tasks))
            except distributed.scheduler.KilledWorker as error:
                raise ToolError(f"--scheduler {self._address}: {_line(error)}") from None
            except (CancelledError, OSError):
                lost = f"--scheduler {self._address}: the scheduler is gone"
                raise ToolError(f"{lost}; what it gave is kept, run again to go on") from None

    @staticmethod
    def _run(client: Any, waiting: Iterator[Task]) -> Iterator[tuple[Task, Result]]:
        running: dict[str, Task] = {}

        def submit() -> list[Any]:
            """More work, up to two tasks a thread: that bounds our memory. Workers may come and go."""
            window = 4 + 2 * sum(client.nthreads().values())
            futures = []
            for task in islice(waiting, max(0, window - len(running))):
                running[f"pact-hw-{task.key}"] = task
                futures.append(client.submit(work, task, key=f"pact-hw-{task.key}", pure=False, retries=2))
            return futures

        completed = extra("distributed").as_completed(submit(), loop=client.loop)
        for future in completed:
            result = future.result()
            task = running.pop(future.key)
            future.release()
            completed.update(submit())
            yield task, result


def _line(error: Exception) -> str:
    return " ".join(str(error).split())

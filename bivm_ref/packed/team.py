"""Several processor cores for one frame: a team of processes that share the maps.

Threads would do if a frame were a few long NumPy calls. It is some thousands of short ones, and between any two of
them Python's lock changes hands, which takes as long as the call: two threads were slower than one. So a team is
made of processes, by `fork`. Every member runs the same frame from the same program: each computes its own strips
of every layer (`Workers.run`), all of them then wait for the last, and what is not done in strips every member does
for itself. Nothing is ever sent but "begin": the maps lie in memory that all members see, and since all of them ask
for it in the same order, they find the same map at the same place.

A team is formed at the second frame of a clip and dismissed at its end. Where there is no fork, there is no team.
"""

from __future__ import annotations

import contextlib
import gc
import mmap
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable

import numpy as np

from bivm_ref.errors import UserError

CACHE_LINE = 8  # of int64: two members' counters never share one
PATIENCE = 5000  # looks between two questions whether everybody is still alive


def possible() -> bool:
    """Linux alone: elsewhere fork is missing, or breaks what runs beneath NumPy."""
    return sys.platform == "linux"


class Arena:
    """Memory that the members of a team share. Pages that nobody writes to are never there."""

    def __init__(self, size: int) -> None:
        self._map = np.frombuffer(mmap.mmap(-1, size), np.uint8)
        self._used = 0

    def allocate(self, size: int) -> np.ndarray:
        """(size,) uint8, the same for every member that asks at the same point of the program."""
        first = -(-self._used // 64) * 64
        if first + size > self._map.size:
            raise MemoryError(f"a team's memory of {self._map.size:,} bytes is too small")
        self._used = first + size
        return self._map[first:self._used]


class Team:
    """`size` processes, this one included. Made by `form`; this one's rank is 0 and leads."""

    def __init__(self, size: int) -> None:
        self.size, self.rank, self.members = size, 0, []
        self._done = np.frombuffer(mmap.mmap(-1, 8 * CACHE_LINE * size), np.int64)[::CACHE_LINE]
        self._fence = threading.Lock()
        self._begin: list[int] = []  # pipes, one for each member but the leader

    @classmethod
    def form(cls, size: int, frame: Callable[[], object], prepare: Callable[[Team], None]) -> Team:
        """Fork size - 1 members, each of which runs `frame` whenever the leader says `begin`.

        prepare  is called with the team before the fork, to lay hands on memory that all members are to see
        """
        team, leader = cls(size), os.getpid()
        try:
            prepare(team)
            for rank in range(1, size):
                team._add(rank, frame)
        except BaseException as error:
            if os.getpid() != leader:  # a member that Ctrl-C met before it could ignore it
                os._exit(1)
            team.dismiss()
            if isinstance(error, OSError):
                raise UserError(f"no {size} processes could be started ({error.strerror}); close other programs, or "
                                "use fewer threads") from error
            raise
        return team

    def _add(self, rank: int, frame: Callable[[], object]) -> None:
        read, write = os.pipe()
        with warnings.catch_warnings():  # Python >= 3.12 warns of forking where other threads run, a video
            warnings.simplefilter("ignore", DeprecationWarning)  # decoder's say; members never touch what those do
            member = os.fork()
        if member == 0:
            self.rank = rank
            for end in (write, *self._begin):  # else it would not notice that the leader is gone
                os.close(end)
            self._follow(read, frame)
        os.close(read)
        self.members.append(member)
        self._begin.append(write)

    def begin(self) -> None:
        """The leader's word to the others, who then run the frame as the leader does."""
        try:
            for pipe in self._begin:
                os.write(pipe, b".")
        except BrokenPipeError as error:
            raise _ended() from error

    def wait(self) -> None:
        """Until every member has come to this point of the program."""
        # A lock let go and taken again keeps the processor from showing others the count before the numbers.
        with self._fence:
            pass
        with self._fence:
            self._done[self.rank] += 1
        mine, looks = self._done[self.rank], 0
        while (self._done < mine).any():
            looks += 1
            if looks % PATIENCE == 0:
                self._check()
            os.sched_yield()
        with self._fence:
            pass

    def dismiss(self) -> None:
        """End the other members, whatever they are doing."""
        for pipe in self._begin:
            os.close(pipe)
        for member in self.members:
            with contextlib.suppress(ProcessLookupError):
                os.kill(member, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(member, 0)
        self.members, self._begin = [], []

    def _check(self) -> None:
        """Raises UserError when a member is gone; a member whose leader is gone ends."""
        if self.rank:
            if os.getppid() != self._leader:
                os._exit(0)
            return
        for member in self.members:
            if os.waitpid(member, os.WNOHANG)[0]:
                raise _ended()

    def _follow(self, begin: int, frame: Callable[[], object]) -> None:
        """A member's whole life. It never returns into the program that it was forked from."""
        try:
            gc.freeze()  # what the leader left as garbage (a decoder, say) has threads that do not exist here
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the leader's business
            self._leader = os.getppid()
            while os.read(begin, 1):
                frame()
        except BaseException as error:  # the leader sees that this member is gone, and says so
            if not isinstance(error, MemoryError):
                sys.stderr.write(f"bivm_ref: a part of a frame failed: {type(error).__name__}: {error}\n")
            os._exit(1)
        os._exit(0)


def _ended() -> UserError:
    return UserError("a process that computed a part of the frame was ended, perhaps for want of memory; "
                     "close other programs, or use one thread")


__all__ = ["Arena", "Team", "possible"]

"""A camera does not wait: of the frames that came while the engine worked, the newest alone."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np


def newest(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The newest frame each time one is asked for; those that came and went meanwhile are dropped.

    A camera does not wait for a slow engine, and its driver keeps many frames: read one by one, the picture would lag
    behind by seconds. So a thread reads as fast as frames come. It begins with the second frame, because an engine may
    fork at its first. Waits where nothing new has come; ends, or raises, when `frames` does.
    """
    source, turn = iter(frames), threading.Condition()
    waiting: deque[np.ndarray] = deque(maxlen=1)  # the newest alone
    end: list[BaseException | None] = []

    def read() -> None:
        error: BaseException | None = None
        try:
            for frame in source:
                with turn:
                    waiting.append(frame)
                    turn.notify()
                    if end:  # nobody listens any more
                        return
        except BaseException as raised:  # whoever asks for frames is told
            error = raised
        with turn:
            end.append(error)
            turn.notify()

    for first in source:
        yield first
        break
    else:
        return
    threading.Thread(target=read, name="camera", daemon=True).start()
    try:
        while True:
            with turn:
                turn.wait_for(lambda: waiting or end)
                if not waiting:
                    if end[0] is not None:
                        raise end[0]
                    return
                frame = waiting.pop()
            yield frame
    finally:
        with turn:
            end.append(None)

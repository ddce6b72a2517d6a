"""The bar that shows what runs and how long it will take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

_LAYOUT = "{desc:32.32} {percentage:3.0f} % |{bar:24}| {elapsed} gone, {remaining} left"


@contextmanager
def progress_bar(seconds: float, *, shown: bool) -> Iterator[Callable[[str, float], None]]:
    """Show a bar in the terminal while the block runs.

    Parameters
    ----------
    seconds : float
        That all of it should take.
    shown : bool

    Yields
    ------
    callable
        To be told what runs, and how many of the seconds are done with it.
    """
    from tqdm import tqdm

    with tqdm(
        total=seconds, bar_format=_LAYOUT, smoothing=0.05, disable=not shown or seconds == 0.0
    ) as bar:
        text_shown = ""

        def report(text: str, seconds_done: float) -> None:
            nonlocal text_shown
            bar.set_description_str(text, refresh=text != text_shown)
            text_shown = text
            bar.total = max(bar.total, bar.n + seconds_done)
            bar.update(seconds_done)

        yield report
        bar.set_description_str("done", refresh=False)

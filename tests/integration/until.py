"""Waiting for something to become true: the one place where tests poll."""
import time


def until(what, probe, timeout=60, every=0.05):
    """What probe() gives once that is true. The deadline is a failure that says what was waited for; what may be a
    function, which is asked then. probe raises where there is nothing to wait for any more."""
    end = time.monotonic() + timeout
    while True:
        got = probe()
        if got:
            return got
        if time.monotonic() > end:
            raise AssertionError(f"{what() if callable(what) else what}: not within {timeout} s")
        time.sleep(every)

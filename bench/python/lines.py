"""The peers' half of the bench's protocol: one JSON object a line, a question in, an answer out.

The first line out is a greeting with the peer's name and version. A question names its operation in
`op`; a failure is answered with `error` and the process goes on.
"""

import json
import os
import sys
import time


def memory(field):
    """A field of this process's memory, in bytes: `VmRSS` now, `VmHWM` at its peak."""
    with open("/proc/self/status", encoding="ascii") as status:
        (line,) = [line for line in status if line.startswith(field + ":")]
    return int(line.split()[1]) * 1024


def costs(work):
    """Does something; how long it took, and how far the process grew at its peak."""
    before = memory("VmRSS")
    start = time.perf_counter()
    work()
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "growth_bytes": memory("VmHWM") - before, "peak_bytes": memory("VmHWM")}


def parts(rows, dimension):
    """First row and count of the parts in which vectors are handed over, so that they are not all held twice."""
    most = max(1_000, 2**21 // (4 * dimension))
    return [(first, min(most, rows - first)) for first in range(0, rows, most)]


def serve(name, operations):
    # Whatever a library prints goes to stderr; the lines have stdout to themselves.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(answer):
        out.write(json.dumps(answer) + "\n")
        out.flush()

    say({"name": name})
    for line in sys.stdin:
        question = json.loads(line)
        try:
            say(operations[question.pop("op")](**question))
        except Exception as error:
            say({"error": f"{type(error).__name__}: {error}"})

# SPDX-License-Identifier: Apache-2.0
#
# loop.py SECONDS FILE…: the median time, in nanoseconds, that open, read to the
# end and close of each file take, as an object of JSON. The files take turns.

import json
import os
import statistics
import sys
import time


def once(path):
    begin = time.perf_counter_ns()
    fd = os.open(path, os.O_RDONLY)
    while os.read(fd, 65536):
        pass
    os.close(fd)
    return time.perf_counter_ns() - begin


paths = sys.argv[2:]
times = {path: [] for path in paths}
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    for path in paths:
        once(path)
        times[path] += [once(path) for _ in range(50)]
json.dump({"loop": {path: statistics.median(t) for path, t in times.items()}}, sys.stdout)
print()

"""The exit codes of `pairwright`, all of them: what a script, a timer or a CI job may rely on."""

from __future__ import annotations

import signal

SIGNAL_BASE = 128  # as a shell tells a command that a signal ended

DONE = 0
FAILED = 1
USAGE = 2  # argparse's own
STOPPED_BY_GATE = 3
INTERRUPTED = SIGNAL_BASE + signal.SIGINT
NOBODY_READS = SIGNAL_BASE + signal.SIGPIPE

MEANING = {
    DONE: "done, or there was nothing to do; `check` found no error",
    FAILED: "a mistake in parameters, input or environment, or a stage that failed: one line on stderr says why; `check` found an error",
    USAGE: "the command line is wrong, or no command was named",
    STOPPED_BY_GATE: "every stage ran, and a gate held the new dataset back",
    INTERRUPTED: "interrupted by Ctrl-C or SIGTERM; earlier outputs are as they were",
    NOBODY_READS: "whoever read the output closed it, as `| head` does",
}

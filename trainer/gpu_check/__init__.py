"""gpu-check: whether training works on the GPU of this machine, and what it costs there.

In: nothing but the machine. A small model, one of more than 100 million parameters, and a release with a planted preference are made
on the spot, in a folder that is gone at the end; then the project's own stages train them, as `python -m trainer` does. Out: one table,
and an exit code: 0 where every check passed or could not be tried, 1 where one failed, 2 where nothing could be tried at all.

    make gpu-check
    python -m trainer.gpu_check --device cpu          the same on a processor with tiny models, to try the check itself

`settings` holds every parameter and every limit, `project` runs stages, `bare` is what they are held against, `checks` the list.
"""

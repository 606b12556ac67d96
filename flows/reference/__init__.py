"""The reference pages under `docs/reference`, made from the code: what a page says stands where the thing is defined, and nowhere else.

    python -m flows.reference

writes all pages. One module a page; each has `render(root)`, which returns the page as Markdown. It lives in `flows`, since a page may
tell of stages, of training and of the command line, and no other room may import all three; nothing imports it.
"""

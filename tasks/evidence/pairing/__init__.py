"""The steps of the stage `pair`: counting votes, holding proposals against each other, laying them out as rows."""

"""The examples in ``docs/examples``: calls of a gateway, recorded from a run."""

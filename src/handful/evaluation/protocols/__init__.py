"""One file per protocol: which episodes are drawn, and which metrics are read from the scores."""

"""Speed side by side: `make bench`, or `python -m benchmarks`.  Not part of what is installed, and no test of the engine."""

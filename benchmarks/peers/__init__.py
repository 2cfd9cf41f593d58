"""The test files of HIPS autograd, run on this engine: `make peers-tests`."""

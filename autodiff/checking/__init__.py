"""Readers that judge: rounding told from mistakes (ulps.py), derivatives against differences (grads.py)."""

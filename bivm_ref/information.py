"""Entropy and mutual information of discrete variables, in bits, from tables of counts."""

from __future__ import annotations

import numpy as np


def entropy(counts: np.ndarray) -> np.ndarray:
    """H = -sum p log2 p over the last axis of counts (..., K) >= 0; 0 where a row is empty."""
    counts = np.asarray(counts, np.float64)
    total = counts.sum(-1, keepdims=True)
    p = np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)
    return -(p * np.log2(p, out=np.zeros_like(p), where=p > 0)).sum(-1)


def mutual_information(table: np.ndarray) -> np.ndarray:
    """I(A; B) = H(A) + H(B) - H(A, B) of joint counts (..., a, b) -> (...), the plug-in estimate."""
    table = np.asarray(table, np.float64)
    joint = table.reshape(*table.shape[:-2], -1)
    return entropy(table.sum(-1)) + entropy(table.sum(-2)) - entropy(joint)

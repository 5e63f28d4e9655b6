"""Weights drawn from Beta(alpha, alpha) as whole 256ths, by thresholds that are computed once and rounded."""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_DRAW_BITS = 24


def beta_cdf(alpha: float, x: float) -> float:
    """The share of Beta(alpha, alpha) below x: the regularised incomplete beta function as a continued fraction."""
    if x > 0.5:
        return 1.0 - beta_cdf(alpha, 1.0 - x)
    if x <= 0.0:
        return 0.0
    front = alpha * math.log(x * (1.0 - x)) - 2.0 * math.lgamma(alpha) + math.lgamma(2.0 * alpha)
    return math.exp(front) / alpha * _fraction(alpha, x)


def _fraction(alpha: float, x: float) -> float:
    """DLMF 8.17.22, from front to back by the modified method of Lentz."""
    upper, lower = 1.0, 1.0 / (1.0 - 2.0 * alpha * x / (alpha + 1.0))
    value = lower
    for term in range(1, 500):
        place = alpha + 2.0 * term
        even = term * (alpha - term) * x / ((place - 1.0) * place)
        odd = -(alpha + term) * (2.0 * alpha + term) * x / (place * (place + 1.0))
        for step in (even, odd):
            lower = 1.0 / (1.0 + step * lower)
            upper = 1.0 + step / upper
            value *= lower * upper
        if abs(lower * upper - 1.0) < 1e-15:
            break
    return value


@lru_cache(maxsize=16)
def thresholds(alpha: float) -> NDArray[np.int64]:
    """Of a draw of 24 bits: from which value on the weight is above 0, 1, ... 255, `[256]`."""
    shares = [beta_cdf(alpha, (2 * weight + 1) / 512) for weight in range(256)]
    return np.array([round(share * (1 << _DRAW_BITS)) for share in shares], np.int64)


def draw_weights(bits: NDArray[np.uint64], alpha: float) -> NDArray[np.int64]:
    """Whole numbers 0 to 256: 256 times a draw of Beta(alpha, alpha), rounded."""
    drawn = (bits >> np.uint64(64 - _DRAW_BITS)).astype(np.int64)
    return np.searchsorted(thresholds(alpha), drawn, side="right").astype(np.int64)

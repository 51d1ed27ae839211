"""Formats of matrix elements: `enum SimFormat` of runtime/sim_lanes.h."""

from __future__ import annotations

F16, BF16, TF32, F32, F64, S8, U8, E4M3, E5M2, E4M3FNUZ, E5M2FNUZ, S32, S32_SATURATED = range(13)

"""Measuring on the device, without torch: the parent is plain Python, the measuring child numpy and ONNX Runtime."""

import os

# ONNX Runtime's Linux wheels report home by default from 1.29 on; this must be set before it is loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

"""Measuring on the device, without torch: the parent is plain Python, the measuring child numpy and ONNX Runtime."""

"""From a trained network to an ONNX file that is proven to compute the same."""

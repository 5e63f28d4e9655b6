"""Cached teacher logits: shards of rows addressed by (view, index). The format: docs/formats.md."""

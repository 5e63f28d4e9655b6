"""Reports: facts as JSON first, then pages and plots made from that JSON alone."""

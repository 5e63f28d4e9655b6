"""How and where tensors are computed: number formats, threads, processes, fast layers, evaluation."""

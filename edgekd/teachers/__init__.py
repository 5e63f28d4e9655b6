"""Who is asked: names resolved to teachers, live and cached answers, the pass that fills a cache."""

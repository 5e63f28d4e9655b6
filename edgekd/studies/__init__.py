"""Several runs as one piece of work: studies, the search for a student, and the whole way from images to a model."""

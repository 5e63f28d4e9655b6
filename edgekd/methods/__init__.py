"""The table of distillation methods: name -> what it is. The file of the same name holds it."""

METHODS = {
    "kd": "match softened class probabilities (Hinton, Vinyals, Dean 2015)",
    "fitnet": "bring a map to a map of the teacher's by a learned regressor (Romero et al. 2015)",
}

"""Several states: the Aalen-Johansen estimator and models of the transitions."""

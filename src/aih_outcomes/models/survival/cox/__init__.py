"""Cox's model: the kernel, the fit, and what follows from a fit."""

"""Events seen only between two looks: curves, regression, and death that comes in between."""

"""The engine of the mixed models: y ~ N(X β, V(θ)), patient by patient; arrays in, arrays out."""

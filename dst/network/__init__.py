"""The sparse multilayer perceptron: layers, and how connections are shared out among them."""

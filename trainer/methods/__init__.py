"""Methods of training, one module each, readable alone. Each takes a model and encoded pairs, trains the model, returns figures."""

"""What training will take, known from the parameters and a model's configuration before anything is loaded."""

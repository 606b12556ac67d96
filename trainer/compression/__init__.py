"""Making a trained model smaller or faster: recipes, ways to store weights, measures, the Pareto front and the pick."""

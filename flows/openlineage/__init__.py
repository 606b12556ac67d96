"""OpenLineage: what a run read and made, as events that catalogues such as Marquez and DataHub take in."""

"""Stage `rebalance`: strata of the training split evened out."""

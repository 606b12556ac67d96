"""Methods of training, one module each, readable alone. Each takes a model and encoded rows, trains the model, returns figures.

What each makes of the row weights that a release carries (`rebalance` gives rare groups more): no method of TRL's takes them, so
they are honoured by how often a row is drawn (`trainer.data.batches`), which has the same effect on the expected gradient.

    method      learns from      row weights
    supervised  chosen answers   honoured: drawn by weight
    reward      pairs            honoured: drawn by weight
    dpo         pairs            honoured: drawn by weight
    kto         single answers   honoured: drawn by weight; the weights of both labels are counted over the rows drawn
    ppo         prompts          none to honour: released prompts carry no weight
"""

"""Methods of training, one module each, readable alone. Each takes a model and encoded rows, trains the model, returns figures.

What each makes of the row weights that a release carries (`rebalance` gives rare groups more): no method of TRL's takes them, so
they are honoured by how often a row is drawn (`trainer.data.batches`), which has the same effect on the expected gradient.

    method      learns from      row weights
    sft         chosen answers   honoured: drawn by weight (as the supervised start: module `supervised`)
    reward      pairs            honoured: drawn by weight
    dpo         pairs            honoured: drawn by weight
    tr_dpo      pairs            honoured: drawn by weight
    orpo        pairs            honoured: drawn by weight
    cpo         pairs            honoured: drawn by weight
    simpo       pairs            honoured: drawn by weight
    kto         single answers   honoured: drawn by weight; the weights of both labels are counted over the rows drawn
    ppo         prompts          none to honour: released prompts carry no weight
    grpo        prompts          none to honour
    rloo        prompts          none to honour
    online      prompts          none to honour
    best_of_n   prompts          none to honour
"""

"""What an honest evaluation counts: accuracy with intervals, length, calibration, generations, baselines, a control, and their page."""

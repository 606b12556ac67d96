"""What every training loop needs: the run, its monitor, its metrics, early stopping, and transformers' own trainer."""

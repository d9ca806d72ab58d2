"""What runs on a GPU, against PyTorch and the transformers pipeline on the same card."""

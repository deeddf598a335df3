"""What speaks HTTP: one module per way of answering."""

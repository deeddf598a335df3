"""The images as they are published: what is in them, and how they behave where they run."""

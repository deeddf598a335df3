"""One module per verb of `ai`; each is imported only when its verb is called."""

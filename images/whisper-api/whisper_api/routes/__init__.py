"""HTTP: these modules read requests and shape answers; they decide nothing."""

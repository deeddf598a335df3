"""Makes an existing Whisper host ours, in place: looks, plans, does, and can take it all back."""

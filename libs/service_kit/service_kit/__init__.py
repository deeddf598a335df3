"""What the ai-services share: settings, API keys, error shapes, logs, metrics, health, serving."""

"""Ollama's dialect in terms of OpenAI's, as pure functions and small state machines: no HTTP in here."""

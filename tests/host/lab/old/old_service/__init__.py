"""A stand-in for other people's Whisper services: one program, four APIs, real speech recognition.

What each answers, errors included, is written down in `../shapes`, with the source it was read in; tests hold this
program and our own whisper-api to the same tables. Runs inside the images of old hosts, so it imports nothing of ours.
"""

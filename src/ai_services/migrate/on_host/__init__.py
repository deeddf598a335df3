"""What runs on the host to look at it: standard library only, Python 3.9 and newer, nothing written, nothing changed.

It is sent over and imported from memory (`ai_services.migrate.look`); it uses the doctor's eyes.
"""

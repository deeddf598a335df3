"""The part of backups that is sent to hosts as one file: standard library only, any Python from 3.9 on."""

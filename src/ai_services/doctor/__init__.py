"""The doctor: looks at a host, says in plain words what is wrong with it and how to mend it.

Standard library only, Python 3.9 or newer, because it is sent to hosts as one file (`bundle.build`) and runs there
before anything of ours is installed. `facts` are what the preflight sees; `checks` judge what was observed.
"""

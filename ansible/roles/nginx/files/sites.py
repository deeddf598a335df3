"""Print, as one JSON object, what the role has to know about this host's nginx: `sites.py [FILE…]`.

The files named are about to give way and do not count.

`version_text`: `nginx -V` ('' without nginx); `broken`: why nginx does not accept its configuration ('' when it does);
`others`: port -> files of the sites of others that listen there; `default_pristine`: whether the packaged default site
is enabled and as it was packaged; `ipv6`: whether this kernel speaks IPv6.
"""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

OURS = ("/etc/nginx/ai/", "/etc/nginx/sites-available/ai-services.conf", "/etc/nginx/sites-enabled/zz-ai-services.conf")
DEFAULT = Path("/etc/nginx/sites-enabled/default")


def main():
    """Print the object."""
    pristine = default_pristine()
    version, text, broken = "", "", ""
    if Path("/usr/sbin/nginx").exists():
        version = run("/usr/sbin/nginx", "-V").stderr
        tested = run("/usr/sbin/nginx", "-T")
        text = tested.stdout
        if tested.returncode != 0:
            broken = next((line for line in tested.stderr.splitlines() if "[emerg]" in line), tested.stderr.strip())
    # What is broken in a file of ours is about to be replaced.
    if any(name in broken for name in OURS):
        broken, text = "", unaccepted(Path("/etc/nginx"))
    told = {
        "version_text": version,
        "broken": broken,
        "others": listeners(text, skip_default=pristine),
        "default_pristine": pristine,
        "ipv6": Path("/proc/net/if_inet6").exists(),
    }
    sys.stdout.write(json.dumps(told))


def listeners(text, skip_default):
    """Port -> names of servers that listen there, from `nginx -T`, without our own files."""
    found = {}
    for path, body in re.findall(
        r"^# configuration file (\S+):\n(.*?)(?=^# configuration file |\Z)", text, re.DOTALL | re.MULTILINE
    ):
        if path.startswith(OURS) or path in sys.argv[1:] or (skip_default and path == str(DEFAULT)):
            continue
        # Also where a whole server stands in one line.
        for listen in re.findall(r"(?<![^\s;{}])listen\s+([^;]+);", re.sub("#.*", "", body)):
            address = listen.split()[0]
            if address.startswith("unix:"):
                continue
            port = re.search(r"(?:^|[:\]])(\d+)$", address)
            found.setdefault(port[1] if port else "80", set()).add(path)
    return {port: sorted(paths) for port, paths in found.items()}


def unaccepted(top):
    """What `nginx -T` would print of Debian's places; it prints nothing of a configuration that it does not accept."""
    paths = [top / "nginx.conf", *sorted(top.glob("conf.d/*.conf")), *sorted(top.glob("sites-enabled/[!.]*"))]
    return "".join(
        f"# configuration file {path}:\n{path.read_text(errors='replace')}\n" for path in paths if path.is_file()
    )


def default_pristine():
    """Whether the default site is the package's own, unchanged and enabled."""
    available = Path("/etc/nginx/sites-available/default")
    if not (DEFAULT.is_symlink() and DEFAULT.resolve() == available and available.is_file()):
        return False
    packaged = run("dpkg-query", "--show", "--showformat", "${Conffiles}\n", "nginx-common", "nginx").stdout
    return f"{available} {hashlib.md5(available.read_bytes(), usedforsecurity=False).hexdigest()}" in packaged


def run(*command):
    """The finished command."""
    return subprocess.run(command, capture_output=True, text=True, check=False)


main()

"""The files that owners of old hosts wrote, as the documentation of each service tells them to."""

from __future__ import annotations

SEED_COMPOSE = """services:
  whisper-api:
    image: ghcr.io/lab/whisper-api:latest
    container_name: whisper-api
    restart: unless-stopped
    ports:
      - "127.0.0.1:8000:8000"
    environment:
      - WHISPER_MODEL=${WHISPER_MODEL}
    volumes:
      - models:/root/.cache/huggingface

volumes:
  models:
"""

SPEACHES_COMPOSE = """services:
  speaches:
    container_name: speaches
    image: ghcr.io/speaches-ai/speaches:latest-cpu
    restart: unless-stopped
    ports:
      - 8000:8000
    volumes:
      - hf-hub-cache:/home/ubuntu/.cache/huggingface/hub
    healthcheck:
      test: ["CMD", "python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health')"]
      interval: 30s
      timeout: 10s
      retries: 3
      start_period: 5s

volumes:
  hf-hub-cache:
"""

DOCKER_LIST = (
    "deb [arch=amd64 signed-by=/etc/apt/keyrings/docker.asc] https://download.docker.com/linux/debian bookworm stable\n"
)

V1_COMPOSE = """version: "2.4"
services:
  whisper-api:
    image: ghcr.io/mayniklas/whisper_api:main
    restart: always
    ports:
      - "127.0.0.1:3001:3001"
    environment:
      PORT: 3001
      LOAD_MODEL_ON_STARTUP: 1
    volumes:
      - models:/root/.cache/huggingface
    mem_limit: 3g
volumes:
  models: {}
"""

VENV_COMMAND = """#!/opt/whisper_api/venv/bin/python
import runpy
import sys

sys.argv = ["whisper_api", "whisper_api"]
runpy.run_module("old_service", run_name="__main__")
"""

VENV_SETTINGS = """PORT=3001
LISTEN=127.0.0.1
LOAD_MODEL_ON_STARTUP=1
HF_HUB_OFFLINE=1
OLD_THREADS=2
"""

VENV_UNIT = """[Unit]
Description=Whisper API
After=network.target

[Service]
User=whisper_api
Group=whisper_api
WorkingDirectory=/var/lib/whisper_api
EnvironmentFile=/etc/default/whisper_api
ExecStart=/opt/whisper_api/venv/bin/whisper_api
Restart=on-failure

[Install]
WantedBy=multi-user.target
"""

NOTES_UNIT = """[Unit]
Description=The owner's notes

[Service]
DynamicUser=yes
ExecStart=/usr/bin/python3 -m http.server --directory /srv/notes --bind 127.0.0.1 7000

[Install]
WantedBy=multi-user.target
"""

_PROXY = """    location / {{
        proxy_pass http://127.0.0.1:{port};
        proxy_set_header Host $host;
        proxy_set_header X-Real-IP $remote_addr;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_read_timeout 600s;
    }}
"""


def site_plain(name: str, port: int) -> str:
    """A site on port 80 that hands all to `port`; ACME's challenges come out of /var/www/html."""
    return (
        f"server {{\n    listen 80;\n    server_name {name};\n    client_max_body_size 200m;\n"
        "    location /.well-known/acme-challenge/ { root /var/www/html; }\n" + _PROXY.format(port=port) + "}\n"
    )


def site_tls(name: str, certificate: str, key: str, port: int) -> str:
    """A site on port 443 that hands all to `port`, and one on 80 that leads there."""
    return (
        f"server {{\n    listen 80;\n    server_name {name};\n"
        "    location /.well-known/acme-challenge/ { root /var/www/html; }\n"
        "    location / { return 301 https://$host$request_uri; }\n}\n\n"
        f"server {{\n    listen 443 ssl;\n    server_name {name};\n\n    ssl_certificate {certificate};\n"
        f"    ssl_certificate_key {key};\n    client_max_body_size 500M;\n\n" + _PROXY.format(port=port) + "}\n"
    )


def site_static(name: str, root: str) -> str:
    """A site of plain files."""
    return f"server {{\n    listen 80;\n    server_name {name};\n    root {root};\n    index index.html;\n}}\n"

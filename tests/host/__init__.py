"""The host story on real ground: machines with systemd and Docker, and a small internet around them."""

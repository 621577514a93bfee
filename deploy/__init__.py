"""How the platform is started: servers, roles, streams, processes, image."""

"""The apps that ``flwr run .`` starts: the same as the command line's, configured by Flower."""

from fedseed.federation.client_app import client_app as make_client_app
from fedseed.federation.engines import server_app as make_server_app
from fedseed.runs.deployment import serve

client_app = make_client_app()
server_app = make_server_app(serve)

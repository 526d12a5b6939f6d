from colonnade.client.clients import AsyncClient as AsyncClient
from colonnade.client.clients import Client as Client
from colonnade.client.models import GatewayError as GatewayError
from colonnade.client.models import RemoteJob as RemoteJob
from colonnade.client.models import RemoteResult as RemoteResult
from colonnade.client.models import RemoteService as RemoteService
from colonnade.client.models import RemoteWorkflow as RemoteWorkflow

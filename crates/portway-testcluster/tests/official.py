"""The official Python client against a test cluster: list, watch, forward, delete.

usage: official.py KUBECONFIG
"""

import select
import sys
import time

from kubernetes import client, config, watch
from kubernetes.client.rest import ApiException
from kubernetes.stream import portforward

config.load_kube_config(sys.argv[1])
core = client.CoreV1Api()

version = client.VersionApi().get_code()
assert version.major == "1", version

pods = core.list_namespaced_pod("default", label_selector="app=web")
assert [pod.metadata.name for pod in pods.items] == ["web-0", "web-1"], pods
assert pods.items[0].status.phase == "Running"
assert pods.items[0].status.container_statuses[0].ready
service = core.read_namespaced_service("web", "default")
assert service.spec.ports[0].target_port == "echo", service
deployments = client.AppsV1Api().list_deployment_for_all_namespaces()
assert deployments.items[0].status.ready_replicas == 2, deployments
slices = client.DiscoveryV1Api().list_namespaced_endpoint_slice("default")
assert len(slices.items[0].endpoints) == 2, slices
groups = [group.name for group in client.ApisApi().get_api_versions().groups]
assert "apps" in groups, groups

try:
    core.read_namespaced_pod("gone", "default")
    sys.exit("there is no such pod")
except ApiException as error:
    assert error.status == 404 and 'pods \\"gone\\" not found' in error.body, error

forward = portforward(core.connect_get_namespaced_pod_portforward, "web-0", "default", ports="7,8")
echo = forward.socket(7)
echo.settimeout(30)
sent = bytes(range(256)) * 400
echo.sendall(sent)
back = b""
while len(back) < len(sent):
    piece = echo.recv(65536)
    assert piece, "it ended early"
    back += piece
assert back == sent
refused = forward.socket(8)
select.select([refused], [], [], 30)
deadline = time.monotonic() + 30
while forward.error(8) is None and time.monotonic() < deadline:
    time.sleep(0.01)
assert "connection refused" in forward.error(8), forward.error(8)
assert forward.error(7) is None
echo.close()

told = []
for event in watch.Watch().stream(
    core.list_namespaced_pod, "default", resource_version=pods.metadata.resource_version, timeout_seconds=30
):
    name = event["object"].metadata.name
    told.append((event["type"], name))
    if len(told) == 1:
        assert told == [("ADDED", "web-2")], told
        core.delete_namespaced_pod("web-1", "default")
    elif event["type"] == "DELETED":
        break
assert told == [("ADDED", "web-2"), ("MODIFIED", "web-1"), ("DELETED", "web-1")], told
print("all is well")

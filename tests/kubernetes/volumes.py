"""Volumes for the test cluster: a folder of the node for each claim whose storage class is ours."""

from __future__ import annotations

import json
import shutil
import sys
import threading

from control_plane import ControlPlane

NODE_NAME = "node-1"
PROVISIONER = "cluster.invalid/local"


def provision(cp: ControlPlane) -> None:
    """Give each claim of a storage class of ours a folder, as a volume of type "local".

    (The controller manager's own --enable-hostpath-provisioner will not do:
    a Pod's fsGroup does not apply to hostPath volumes, so only root could write.)
    """
    base = "/api/v1/persistentvolumes"
    volumes = {v["metadata"]["name"]: v for v in json.loads(cp.get(base))["items"]}
    classes = json.loads(cp.get("/apis/storage.k8s.io/v1/storageclasses"))["items"]
    ours = {each["metadata"]["name"] for each in classes if each["provisioner"] == PROVISIONER}
    for claim in json.loads(cp.get("/api/v1/persistentvolumeclaims"))["items"]:
        meta, spec = claim["metadata"], claim["spec"]
        name = f"pvc-{meta['uid']}"
        wanted = spec.get("storageClassName") in ours and not spec.get("volumeName")
        if not wanted or claim["status"]["phase"] != "Pending" or name in volumes:
            continue
        folder = cp.state / "volumes" / name
        folder.mkdir(parents=True, exist_ok=True)
        node = {"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE_NAME]}
        volume = {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": name, "annotations": {"pv.kubernetes.io/provisioned-by": PROVISIONER}},
            "spec": {
                "capacity": spec["resources"]["requests"],
                "accessModes": spec["accessModes"],
                "persistentVolumeReclaimPolicy": "Delete",
                "storageClassName": spec["storageClassName"],
                "local": {"path": str(folder)},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [node]}]}},
                "claimRef": {
                    "kind": "PersistentVolumeClaim", "apiVersion": "v1",
                    "namespace": meta["namespace"], "name": meta["name"], "uid": meta["uid"],
                },
            },
        }  # fmt: skip
        cp.call("POST", base, volume)
    for name, volume in volumes.items():
        annotations = volume["metadata"].get("annotations", {})
        if (
            volume["status"].get("phase") == "Released"
            and annotations.get("pv.kubernetes.io/provisioned-by") == PROVISIONER
        ):
            cp.call("DELETE", f"{base}/{name}")
            shutil.rmtree(volume["spec"]["local"]["path"], ignore_errors=True)


def keep_provisioning(cp: ControlPlane, stopping: threading.Event) -> None:
    while not stopping.wait(0.5):
        try:
            provision(cp)
        except OSError as error:  # urllib's errors are OSErrors; the next round tries again
            if not stopping.is_set():
                print(f"provisioning: {error}", file=sys.stderr)

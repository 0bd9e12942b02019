"""What the measurements compare with: the same three calls as an ordinary FastAPI server would serve them.

One process, uvicorn with uvloop and httptools, SQLite with a connection per thread, the key looked up by its
hash, replies through a response model. Nothing is made slow on purpose and nothing is cached.
"""

import argparse
import hashlib
import json
import sqlite3
import threading
import uuid
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI, Header, HTTPException, Query
from pydantic import BaseModel

PODS = 100
local = threading.local()
arguments = argparse.Namespace()


class Pod(BaseModel):
    id: str
    userId: str
    teamId: str | None
    walletId: str | None
    name: str
    type: str
    providerType: str
    status: str
    installationStatus: str
    installationFailure: str | None
    installationProgress: int | None
    createdAt: str
    updatedAt: str
    terminatedAt: str | None
    gpuName: str
    gpuCount: int
    socket: str
    priceHr: float
    stoppedPriceHr: float | None
    provisioningPriceHr: float | None
    environmentType: str
    customTemplateId: str | None
    clusterId: str | None
    primePortMapping: list[dict[str, Any]]
    sshConnection: str | None
    ip: str | None
    resources: dict[str, int | None]
    attachedResources: list[dict[str, Any]]
    isSpot: bool | None
    autoRestart: bool | None


class PodPage(BaseModel):
    total_count: int
    offset: int
    limit: int
    data: list[Pod]
    status: str | None


class PodStatus(BaseModel):
    podId: str
    providerType: str
    status: str
    sshConnection: str | None
    ip: str | None
    priceHr: float
    costPerHr: float
    primePortMapping: list[dict[str, Any]]
    installationStatus: str | None
    installationFailure: str | None
    installationProgress: int | None


class PodStatuses(BaseModel):
    data: list[PodStatus]
    status: str | None


def database() -> sqlite3.Connection:
    if not hasattr(local, "connection"):
        local.connection = sqlite3.connect(arguments.database)
        local.connection.row_factory = sqlite3.Row
    return local.connection


def user(authorization: Annotated[str, Header()] = "") -> str:
    digest = hashlib.sha256(authorization.removeprefix("Bearer ").encode()).hexdigest()
    row = database().execute("SELECT user_id FROM api_key WHERE digest = ?", (digest,)).fetchone()
    if row is None:
        raise HTTPException(401, "Invalid token")
    return row["user_id"]


def pod_of(row: sqlite3.Row) -> Pod:
    port = row["port"]
    mapping = {"internal": "22", "external": str(port), "protocol": "TCP", "usedBy": "SSH", "description": None}
    return Pod(
        id=row["id"],
        userId=row["user_id"],
        teamId=None,
        walletId=None,
        name=row["name"],
        type="HOSTED",
        providerType="primecompute",
        status=row["status"],
        installationStatus="FINISHED",
        installationFailure=None,
        installationProgress=100,
        createdAt=row["created_at"],
        updatedAt=row["created_at"],
        terminatedAt=None,
        gpuName=row["gpu"],
        gpuCount=1,
        socket="PCIe",
        priceHr=row["price"],
        stoppedPriceHr=None,
        provisioningPriceHr=0.0,
        environmentType="ubuntu_22_cuda_12",
        customTemplateId=None,
        clusterId=None,
        primePortMapping=[mapping],
        sshConnection=f"root@127.0.0.1 -p {port}",
        ip="127.0.0.1",
        resources=json.loads(row["resources"]),
        attachedResources=[],
        isSpot=False,
        autoRestart=False,
    )


app = FastAPI()
User = Annotated[str, Depends(user)]


@app.get("/api/v1/pods/status")
def pod_statuses(owner: User, pod_ids: Annotated[list[str], Query()] = []) -> PodStatuses:
    marks = ",".join("?" * len(pod_ids))
    sql = f"SELECT * FROM pod WHERE user_id = ? AND id IN ({marks})"
    pods = [pod_of(row) for row in database().execute(sql, (owner, *pod_ids))]
    rows = [
        PodStatus(
            podId=pod.id,
            providerType=pod.providerType,
            status=pod.status,
            sshConnection=pod.sshConnection,
            ip=pod.ip,
            priceHr=pod.priceHr,
            costPerHr=pod.priceHr,
            primePortMapping=pod.primePortMapping,
            installationStatus=pod.installationStatus,
            installationFailure=pod.installationFailure,
            installationProgress=pod.installationProgress,
        )
        for pod in pods
    ]
    return PodStatuses(data=rows, status=None)


@app.get("/api/v1/pods/{pod_id}")
def pod_get(owner: User, pod_id: str) -> Pod:
    row = database().execute("SELECT * FROM pod WHERE user_id = ? AND id = ?", (owner, pod_id)).fetchone()
    if row is None:
        raise HTTPException(404, "Not found")
    return pod_of(row)


@app.get("/api/v1/pods/")
def pod_list(owner: User, offset: int = 0, limit: int = 100) -> PodPage:
    total = database().execute("SELECT count(*) FROM pod WHERE user_id = ?", (owner,)).fetchone()[0]
    sql = "SELECT * FROM pod WHERE user_id = ? ORDER BY created_at DESC LIMIT ? OFFSET ?"
    pods = [pod_of(row) for row in database().execute(sql, (owner, limit, offset))]
    return PodPage(total_count=total, offset=offset, limit=limit, data=pods, status=None)


def fill() -> None:
    connection = sqlite3.connect(arguments.database)
    connection.executescript(
        """
        PRAGMA journal_mode = WAL;
        CREATE TABLE api_key (digest TEXT PRIMARY KEY, user_id TEXT NOT NULL);
        CREATE TABLE pod (
            id TEXT PRIMARY KEY, user_id TEXT NOT NULL, name TEXT NOT NULL, status TEXT NOT NULL,
            gpu TEXT NOT NULL, price REAL NOT NULL, port INTEGER NOT NULL, resources TEXT NOT NULL,
            created_at TEXT NOT NULL
        );
        CREATE INDEX pod_user ON pod (user_id, created_at);
        """
    )
    digest = hashlib.sha256(arguments.key.encode()).hexdigest()
    connection.execute("INSERT INTO api_key VALUES (?, 'u1')", (digest,))
    resources = json.dumps({"memory": 64, "disk": 100, "vcpus": 8, "shared_disk": None})
    for number in range(PODS):
        created_at = f"2026-08-20T10:00:{number % 60:02}.{number:06}Z"
        row = (uuid.uuid4().hex, "u1", f"pod-{number}", "ACTIVE", "A100_80GB", 1.5, 20000 + number)
        connection.execute("INSERT INTO pod VALUES (?,?,?,?,?,?,?,?,?)", (*row, resources, created_at))
    connection.commit()
    connection.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--database", required=True)
    arguments = parser.parse_args()
    fill()
    uvicorn.run(app, host="127.0.0.1", port=arguments.port, log_level="warning", access_log=False)

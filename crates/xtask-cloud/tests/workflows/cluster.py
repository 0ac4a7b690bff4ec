"""A cluster of one namespace that runs the real job: `python cluster.py`, the port is the first line it prints.

A Job that is created becomes a pod at once; its container is the job's binary of this build ($JOB), with the arguments
of the manifest, the scripts in $MIGRATIONS_DIR and the POSTGRES_… of this process. When it began, in seconds, is a line
of the file $STARTED.
"""

import datetime
import http.server
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

changed = threading.Condition()
changes = []  # (version, kind, type, object), in order
objects = {"jobs": {}, "pods": {}, "events": {}}
logs = {}
KINDS = {"jobs": "Job", "pods": "Pod", "events": "Event"}


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def put(kind, thing, what="MODIFIED"):
    with changed:
        thing["metadata"]["resourceVersion"] = str(len(changes) + 1)
        copy = json.loads(json.dumps(thing))
        if what == "DELETED":
            objects[kind].pop(thing["metadata"]["name"], None)
        else:
            objects[kind][thing["metadata"]["name"]] = copy
        changes.append((len(changes) + 1, kind, what, copy))
        changed.notify_all()


def run(job, pod):
    container = job["spec"]["template"]["spec"]["containers"][0]
    name, started = pod["metadata"]["name"], now()
    status = {"name": container["name"], "image": container["image"], "imageID": "", "ready": False, "restartCount": 0}
    state = {"running": {"startedAt": started}}
    pod["status"] = {"phase": "Running", "containerStatuses": [status | {"state": state}]}
    put("pods", pod)
    with tempfile.NamedTemporaryFile() as message:
        environment = {key: value for key, value in os.environ.items() if key.startswith(("POSTGRES_", "MIGRATIONS_"))}
        environment |= {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "TERMINATION_MESSAGE_PATH": message.name}
        with open(os.environ["STARTED"], "a") as begun:
            begun.write(f"{time.time()}\n")
        command = [os.environ["JOB"], *container.get("args", [])]
        ended = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        said = pathlib.Path(message.name).read_text()
    logs[name] = "".join(f"{now()[:-1]}.{number:09}Z {line}\n" for number, line in enumerate(ended.stdout.splitlines()))
    code = ended.returncode
    end = {"exitCode": code, "reason": "Completed" if code == 0 else "Error", "message": said}
    state = {"terminated": end | {"startedAt": started, "finishedAt": now()}}
    pod["status"] = {
        "phase": "Failed" if code else "Succeeded",
        "containerStatuses": [status | {"state": state}],
    }
    put("pods", pod)
    condition = {"status": "True", "lastTransitionTime": now(), "lastProbeTime": now()}
    if code:
        condition |= {"type": "Failed", "reason": "PodFailurePolicy", "message": f"exit code {code}"}
    else:
        condition |= {"type": "Complete", "reason": "CompletionsReached", "message": ""}
    job["status"] = {"conditions": [condition], "startTime": started, ("failed" if code else "succeeded"): 1}
    put("jobs", job)


class Api(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self, thing, status=200):
        body = thing.encode() if isinstance(thing, str) else json.dumps(thing).encode()
        self.send_response(status)
        self.send_header("content-type", "text/plain" if isinstance(thing, str) else "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def missing(self):
        self.answer({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}, 404)

    def place(self):
        url = urllib.parse.urlparse(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        return [*url.path.partition("/namespaces/")[2].split("/")[1:], None, None, None][:3], query

    def do_GET(self):
        (kind, name, part), query = self.place()
        if part == "log":
            return self.answer(logs.get(name, ""))
        if kind not in objects:
            return self.missing()
        if name:
            found = objects[kind].get(name)
            return self.answer(found) if found else self.missing()
        if query.get("watch") in ("1", "true"):
            return self.watch(kind, int(query.get("resourceVersion") or 0))
        with changed:
            version, items = str(len(changes)), list(objects[kind].values())
        version_of = "batch/v1" if kind == "jobs" else "v1"
        self.answer(
            {"kind": f"{KINDS[kind]}List", "apiVersion": version_of, "metadata": {"resourceVersion": version}, "items": items}
        )

    def watch(self, kind, seen):
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("connection", "close")
        self.end_headers()
        while True:
            with changed:
                changed.wait_for(lambda: len(changes) > seen, timeout=30)
                new, seen = changes[seen:], len(changes)
            for _, of, what, thing in new:
                if of == kind:
                    self.wfile.write(json.dumps({"type": what, "object": thing}).encode() + b"\n")
            self.wfile.flush()

    def do_POST(self):
        (kind, _, _), query = self.place()
        job = json.loads(self.rfile.read(int(self.headers["content-length"])))
        uid = f"00000000-0000-0000-0000-{len(changes):012}"
        job["metadata"] |= {"uid": uid, "creationTimestamp": now(), "namespace": "default"}
        written = {"manager": query.get("fieldManager", "unknown"), "operation": "Update", "apiVersion": "batch/v1"}
        written |= {"fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:template": {}}}}
        job["metadata"]["managedFields"] = [written]
        if "dryRun" in query:
            return self.answer(job, 201)
        job["status"] = {"active": 1, "startTime": now()}
        put(kind, job, "ADDED")
        name = f"{job['metadata']['name']}-{len(changes):05}"
        labels = {"batch.kubernetes.io/controller-uid": uid, "controller-uid": uid, "job-name": job["metadata"]["name"]}
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": job["metadata"]["name"], "uid": uid, "controller": True}
        metadata = {"name": name, "namespace": "default", "uid": f"{uid}-pod", "creationTimestamp": now()}
        annotations = job["spec"]["template"]["metadata"].get("annotations", {})
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": metadata | {"labels": labels, "annotations": annotations, "ownerReferences": [owner]},
            "spec": job["spec"]["template"]["spec"],
            "status": {"phase": "Pending"},
        }
        put("pods", pod, "ADDED")
        self.answer(job, 201)
        threading.Thread(target=run, args=(job, pod), daemon=True).start()

    def do_DELETE(self):
        (kind, name, _), _ = self.place()
        found = objects[kind].get(name)
        if not found:
            return self.missing()
        for pod in list(objects["pods"].values()):
            if pod["metadata"]["labels"]["job-name"] == name:
                put("pods", pod, "DELETED")
        put(kind, found, "DELETED")
        self.answer({"kind": "Status", "apiVersion": "v1", "status": "Success"})


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        # Whoever watched has seen enough and gone.
        if not isinstance(sys.exc_info()[1], BrokenPipeError):
            super().handle_error(request, client_address)


server = Server(("127.0.0.1", 0), Api)
print(server.server_address[1], flush=True)
server.serve_forever()

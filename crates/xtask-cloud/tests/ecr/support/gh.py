#!/usr/bin/env python3
"""Stands in for the GitHub CLI: what GitHub would know is in files below $GH_STATE.

api/PATH.json      what the API answers to `gh api PATH` (the query is ignored, but for attestations)
../origin.git      what the API says of tags
attestations.json  one line for each: digest, workflow, ref, commit of the run, sbom; without an sbom, a provenance
releases/TAG/      title, notes and assets of a release
dispatches         the workflow that was started last
calls              one line for each call
"""

import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import urllib.parse

state = pathlib.Path(os.environ["GH_STATE"])
words = sys.argv[1:]
with open(state / "calls", "a") as calls:
    calls.write(json.dumps(words) + "\n")


def option(name):
    return words[words.index(name) + 1] if name in words else None


def fail(message):
    sys.exit(f"gh: {message}")


def attestations(digest, predicate):
    path = state / "attestations.json"
    lines = path.read_text().splitlines() if path.exists() else []
    told = [one for one in map(json.loads, lines) if one["digest"] == digest]
    return [one for one in told if predicate in (None, "sbom" if one.get("sbom") else "provenance")]


def api(path):
    path, _, query = path.partition("?")
    if "/attestations/" in path:
        predicate = dict(urllib.parse.parse_qsl(query)).get("predicate_type")
        return json.dumps({"attestations": attestations(path.rpartition("/")[2], predicate)})
    if "/git/ref/tags/" in path:
        return json.dumps({"object": git_object("refs/tags/" + path.partition("/git/ref/tags/")[2])})
    if "/git/tags/" in path:
        return json.dumps({"object": git_object(path.rpartition("/")[2] + "^{}")})
    file = state / "api" / f"{path}.json"
    return file.read_text() if file.exists() else fail("Not Found (HTTP 404)")


def pages(path):
    """What is listed, in documents of as many elements as the query asks for."""
    answer = json.loads(api(path))
    member = None if isinstance(answer, list) else next(name for name, value in answer.items() if isinstance(value, list))
    elements = answer if member is None else answer[member]
    size = int(dict(urllib.parse.parse_qsl(path.partition("?")[2])).get("per_page", 30))
    parts = [elements[start : start + size] for start in range(0, max(len(elements), 1), size)]
    return [json.dumps(part if member is None else answer | {member: part}) for part in parts]


def git_object(name):
    """What a name means at the origin: a tag of its own, or a commit."""

    def git(*words):
        done = subprocess.run(["git", f"--git-dir={state.parent}/origin.git", *words], capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else fail("Not Found (HTTP 404)")

    sha = git("rev-parse", "--verify", "--quiet", name)
    return {"sha": sha, "type": git("cat-file", "-t", sha)}


def set_environment(path):
    """Like GitHub's, a PUT knows nothing of what was there."""
    body = json.load(sys.stdin)
    rules = [{"type": "branch_policy"}]
    if body.get("wait_timer"):
        rules.append({"type": "wait_timer", "wait_timer": body["wait_timer"]})
    if body.get("reviewers"):
        reviewers = [{"type": one["type"], "reviewer": {"id": one["id"]}} for one in body["reviewers"]]
        rule = {"type": "required_reviewers", "reviewers": reviewers}
        rules.append(rule | {"prevent_self_review": body.get("prevent_self_review", False)})
    file = state / "api" / f"{path}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    policy = body["deployment_branch_policy"]
    file.write_text(json.dumps({"protection_rules": rules, "deployment_branch_policy": policy}))


def set_ruleset(path, number=None):
    """The list names each; its rules are elsewhere."""
    place = state / "api" / path
    place.mkdir(parents=True, exist_ok=True)
    number = number or str(len(list(place.iterdir())) + 1)
    (place / f"{number}.json").write_text(json.dumps(json.load(sys.stdin) | {"id": int(number)}))
    listed = [{"id": int(one.stem)} for one in sorted(place.iterdir())]
    place.with_suffix(".json").write_text(json.dumps(listed))


def change_policies(path, change):
    file = state / "api" / f"{path}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    policies = json.loads(file.read_text())["branch_policies"] if file.exists() else []
    file.write_text(json.dumps({"branch_policies": change(policies)}))


def allow(path, name, kind):
    def add(policies):
        if any(one["name"] == name and one["type"] == kind for one in policies):
            fail("See Other (HTTP 303)")
        return policies + [{"id": len(policies) + 1, "name": name, "type": kind}]

    change_policies(path, add)


def forbid(path, number):
    change_policies(path, lambda policies: [one for one in policies if one["id"] != int(number)])


def verify(file):
    digest = "sha256:" + hashlib.sha256(pathlib.Path(file).read_bytes()).hexdigest()
    identity = option("--cert-identity-regex")
    # Of another kind than provenance only where --predicate-type says so.
    source = option("--source-digest")
    told = [one for one in attestations(digest, "provenance") if one.get("commit", source) == source]
    signed = [f"https://github.com/{one['workflow']}@{one['ref']}" for one in told]
    if not any(re.search(identity, one) for one in signed):
        fail(f"no attestation of {digest} by {identity}")


def release(what, tag):
    place = state / "releases" / tag
    if what == "view":
        return json.dumps({"tagName": tag}) if place.is_dir() else fail("release not found")
    if what == "download":
        return (place / option("--pattern")).read_text().strip()
    if what == "create":
        if place.exists():
            fail("a release with the same tag name already exists")
        place.mkdir(parents=True)
    if option("--notes-file"):
        shutil.copy(option("--notes-file"), place / "notes.md")
    if what in ("create", "upload"):
        for asset in [word for word in words[3:] if os.path.exists(word) and word != option("--notes-file")]:
            shutil.copy(asset, place / os.path.basename(asset))


def variable(what, name=None):
    file = state / "variables.json"
    known = json.loads(file.read_text()) if file.exists() else {}
    if what == "list":
        return json.dumps([{"name": name, "value": value} for name, value in known.items()])
    if what == "delete":
        known.pop(name)
    file.write_text(json.dumps(known if what == "delete" else known | {name: option("--body")}))


match words:
    case ["api", path]:
        print(api(path))
    case ["api", "--paginate", path]:
        print(*pages(path), sep="")
    case ["api", "--silent", "--method", "POST", path, "--input", "-"] if path.endswith("/rulesets"):
        set_ruleset(path)
    case ["api", "--silent", "--method", "PUT", path, "--input", "-"] if "/rulesets/" in path:
        set_ruleset(*path.rsplit("/", 1))
    case ["api", "--silent", "--method", "DELETE", path] if "/actions/runners/" in path:
        (state / "api" / f"{path.rpartition('/')[0]}.json").unlink()
    case ["api", "--silent", "--method", "PUT", path, "--input", "-"]:
        set_environment(path)
    case ["api", "--silent", "--method", "POST", path, "-f", name, "-f", kind] if path.endswith("/deployment-branch-policies"):
        allow(path, name.removeprefix("name="), kind.removeprefix("type="))
    case ["api", "--silent", "--method", "DELETE", path] if "/deployment-branch-policies/" in path:
        forbid(*path.rsplit("/", 1))
    case ["workflow", "run", workflow, "--repo", _, "--ref", ref, "-f", given]:
        name, _, value = given.partition("=")
        line = json.dumps({"workflow": workflow, "ref": ref, "inputs": {name: value}})
        (state / "dispatches").write_text(line)
    case ["variable", "list", *_]:
        print(variable("list"))
    case ["variable", ("set" | "delete") as what, name, *_]:
        variable(what, name)
    case ["attestation", "verify", file, *_]:
        verify(file)
    case ["release", what, tag, *_]:
        print(release(what, tag) or "")
    case _:
        fail(f"this is not GitHub: {words}")

"""Checks of rendered manifests and of the compose file; `validate` (bash) installs the tools, renders and calls this.

    validate.py manifests NAME RENDERED.yaml SECRETS.yaml    one rendered overlay
    validate.py compose ROOT                                 docker-compose.yml, with ROOT/.env and tenants file made by setup

Each problem is a line on standard error that begins with the name of what was checked; the exit code is 1 if there is any.
"""

import functools
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import kubernetes_validate.utils
import yaml

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
# The oldest version that the manifests are written for (the preStop pause needs it), and the newest with shipped schemas.
KUBERNETES = ("1.30", "1.37")
# The telemetry's FLUSH_TIMEOUT in crates/runtime.
LAST_TRACES_SECONDS = 3
# Made by an operator, so that no Secret of ours has it.
OPERATORS_SECRETS = {"assent-postgres-app": {"uri": "postgresql://assent:x@127.0.0.1:1/assent"}}

# The library would read all definitions of a version anew for each manifest.
kubernetes_validate.utils.schema_contents = functools.cache(kubernetes_validate.utils.schema_contents)

problems = []


def problem(subject, text):
    problems.append(f"{subject}: {text}")


def say(text):
    print(f"  {text}")


def name_of(document):
    return f"{document['kind']}/{document['metadata']['name']}"


# --- schemas ----------------------------------------------------------------------------------------------------------


def check_schemas(documents):
    """Core kinds and their versions; custom resources are counted out."""
    custom = []
    for document in documents:
        for version in KUBERNETES:
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except kubernetes_validate.SchemaNotFoundError:
                group = document["apiVersion"].rpartition("/")[0]
                # Custom resources are left to crds.mjs; in a group of Kubernetes itself, the kind is misspelt.
                if "." not in group or (group.endswith(".k8s.io") and group != "gateway.networking.k8s.io"):
                    problem(name_of(document), f"Kubernetes {version} has no {document['apiVersion']} {document['kind']}")
                if document not in custom:
                    custom.append(document)
            except kubernetes_validate.ValidationError as error:
                where = "/".join(str(part) for part in error.path)
                problem(name_of(document), f"{where}: {error.message} (Kubernetes {version})")
    say(f"{len(documents) - len(custom)} manifests against the strict schemas of Kubernetes {' and '.join(KUBERNETES)}")


# --- rules that no schema knows ---------------------------------------------------------------------------------------


def pods(documents):
    """Every pod template with the document that it stands in."""
    kinds = ("Deployment", "StatefulSet", "Job")
    return [(document, document["spec"]["template"]) for document in documents if document["kind"] in kinds]


def matches(selector, labels):
    return all(labels.get(key) == value for key, value in selector.items())


def check_pod(document, template, documents):
    subject, spec = name_of(document), template["spec"]
    accounts = {d["metadata"]["name"]: d for d in documents if d["kind"] == "ServiceAccount"}
    account = accounts.get(spec.get("serviceAccountName"))
    if account is None or account.get("automountServiceAccountToken") is not False:
        problem(subject, "has no ServiceAccount of its own without a token")
    if spec.get("automountServiceAccountToken") is not False:
        problem(subject, "mounts a token")
    security = spec.get("securityContext", {})
    if not security.get("runAsNonRoot") or security.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        problem(subject, "is not restricted: runAsNonRoot, seccompProfile")
    for container in spec["containers"]:
        security = container.get("securityContext", {})
        if security.get("allowPrivilegeEscalation") is not False or security.get("capabilities") != {"drop": ["ALL"]}:
            problem(subject, "is not restricted: allowPrivilegeEscalation, capabilities")
        if security.get("readOnlyRootFilesystem") is not True:
            problem(subject, "the root file system is writable")
        resources = container.get("resources", {})
        if not {"cpu", "memory"} <= resources.get("requests", {}).keys() or "memory" not in resources.get("limits", {}):
            problem(subject, "has no requests of cpu and memory, or no limit of memory")
        if "@sha256:" not in container["image"] and not re.search(r":[^/:]*\d[^/:]*$", container["image"]):
            problem(subject, f"image {container['image']} has no version")


def check_service_deployment(document, template, documents, grace_seconds):
    subject, spec, labels = name_of(document), template["spec"], template["metadata"]["labels"]
    container = spec["containers"][0]
    for probe, path in (("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
        if container.get(probe, {}).get("httpGet", {}).get("path") != path:
            problem(subject, f"its {probe} does not ask {path}")
    pause = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    if spec.get("terminationGracePeriodSeconds", 30) <= pause + grace_seconds + LAST_TRACES_SECONDS:
        problem(subject, "killed before its grace has passed")
    if len(spec.get("topologySpreadConstraints", [])) < 2:
        problem(subject, "is not spread over nodes and zones")
    budgets = [d for d in documents if d["kind"] == "PodDisruptionBudget"]
    if sum(matches(d["spec"]["selector"]["matchLabels"], labels) for d in budgets) != 1:
        problem(subject, "has not exactly one PodDisruptionBudget")


def check_links(documents):
    """Whatever names something names something that is there."""
    templates = pods(documents)
    services = {d["metadata"]["name"]: d for d in documents if d["kind"] == "Service"}
    for service in services.values():
        chosen = [t for _, t in templates if matches(service["spec"]["selector"], t["metadata"]["labels"])]
        if not chosen:
            problem(name_of(service), "selects no pod")
        for template in chosen:
            ports = {p["name"] for c in template["spec"]["containers"] for p in c.get("ports", [])}
            for port in service["spec"]["ports"]:
                if port["targetPort"] not in ports:
                    problem(name_of(service), f"a pod has no port {port['targetPort']}")
    gateways = [d for d in documents if d["kind"] == "Gateway"]
    hosts = {listener["name"]: listener["hostname"] for d in gateways for listener in d["spec"]["listeners"]}
    for route in (d for d in documents if d["kind"] in ("GRPCRoute", "HTTPRoute")):
        if route["spec"]["hostnames"] != [hosts.get(parent["sectionName"]) for parent in route["spec"]["parentRefs"]]:
            problem(name_of(route), f"its host names are not those of its listener: {hosts}")
        for backend in (b for rule in route["spec"]["rules"] for b in rule["backendRefs"]):
            service = services.get(backend["name"])
            if service is None:
                problem(name_of(route), f"no Service {backend['name']}")
            elif backend["port"] not in [port["port"] for port in service["spec"]["ports"]]:
                problem(name_of(route), f"Service {backend['name']} has no port {backend['port']}")
    maps = {d["metadata"]["name"] for d in documents if d["kind"] == "ConfigMap"}
    for document, template in templates:
        for container in template["spec"]["containers"]:
            for source in container.get("envFrom", []):
                if source["configMapRef"]["name"] not in maps:
                    problem(name_of(document), f"no ConfigMap {source['configMapRef']['name']}")
    denials = [d for d in documents if d["kind"] == "NetworkPolicy" and d["spec"]["podSelector"] == {}]
    if not any(set(d["spec"]["policyTypes"]) == {"Ingress", "Egress"} and len(d["spec"]) == 2 for d in denials):
        problem("NetworkPolicy", "none denies everything")
    for document in documents:
        if document["kind"] == "Secret":
            problem(name_of(document), "a Secret stands in the manifests")


def check_routes_cover_the_contract(documents):
    served = re.findall(r"^service (\w+)", "".join(p.read_text() for p in (REPOSITORY / "proto").rglob("*.proto")), re.M)
    routes = [d for d in documents if d["kind"] == "GRPCRoute"]
    if not routes:
        return
    found = [m["method"]["service"] for d in routes for r in d["spec"]["rules"] for m in r["matches"]]
    if sorted(found) != sorted(f"assent.v1.{service}" for service in served):
        problem("GRPCRoute", f"routes {sorted(found)} are not the services of proto/: {sorted(served)}")
    say(f"{len(found)} gRPC services of proto/, each with one route")


# --- the binary's own word --------------------------------------------------------------------------------------------


def lay_out(template, documents, secrets, root):
    """Writes what the pod would find at its mounts below `root`."""
    maps = {d["metadata"]["name"]: d["data"] for d in documents if d["kind"] == "ConfigMap"}
    volumes = {volume["name"]: volume for volume in template["spec"]["volumes"]}
    for mount in template["spec"]["containers"][0]["volumeMounts"]:
        volume, files = volumes[mount["name"]], {}
        if "configMap" in volume:
            files = maps[volume["configMap"]["name"]]
        elif "secret" in volume:
            files = secrets[volume["secret"]["secretName"]]
        for source in volume.get("projected", {}).get("sources", []):
            given = secrets[source["secret"]["name"]]
            files = files | {item["path"]: given[item["key"]] for item in source["secret"]["items"]}
        directory = root / mount["mountPath"].lstrip("/")
        directory.mkdir(parents=True)
        for name, text in files.items():
            # The binary would look for its files at the pod's paths; databases and brokers are not to be reached.
            text = re.sub(r"@assent-\w+:\d+", "@127.0.0.1:1", text)
            (directory / name).write_text(text.replace("/etc/assent/", f"{root}/etc/assent/"))


def run(arguments, environment, seconds=30):
    binary = os.environ["ASSENT_BINARY"]
    return subprocess.run([binary, *arguments], env=environment, capture_output=True, text=True, timeout=seconds)


def starts(arguments):
    """Whether a simulator says that it is ready."""
    command = [os.environ["ASSENT_BINARY"], *arguments]
    process = subprocess.Popen(command, env={}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        line = process.stdout.readline()
    finally:
        process.terminate()
        process.wait(30)
    return line


def check_binary_accepts(documents, secrets):
    if not os.environ.get("ASSENT_BINARY"):
        return
    maps = {d["metadata"]["name"]: d["data"] for d in documents if d["kind"] == "ConfigMap"}
    checked = []
    for document, template in pods(documents):
        container = template["spec"]["containers"][0]
        if "assent" not in container["image"].split("/")[-1]:
            continue
        role = container["args"][0]
        with tempfile.TemporaryDirectory() as root:
            lay_out(template, documents, secrets, pathlib.Path(root))
            local = lambda text: text.replace("/etc/", f"{root}/etc/")
            environment = {e["name"]: local(e["value"]) for e in container.get("env", [])}
            for source in container.get("envFrom", []):
                environment |= maps[source["configMapRef"]["name"]]
            if role == "simulator":
                line = starts([local(argument) for argument in container["args"]] + ["--listen=127.0.0.1:0"])
                refused = None if line.startswith("ready ") else line
            elif role == "migrate":
                # There is no database: it has to fail on that, and not on its configuration (64) or its arguments (2).
                result = run([local(argument) for argument in container["args"]], environment)
                refused = None if result.returncode == 1 else result.stderr
            else:
                result = run(["check-config"], environment)
                refused = None if result.returncode == 0 else result.stderr
        if refused is not None:
            problem(name_of(document), f"the binary refuses its configuration: {refused.strip()}")
        checked.append(role)
    say(f"the binary takes what the pods would find: {', '.join(checked)}")


def check_manifests(rendered, secrets_file):
    documents = [d for d in yaml.safe_load_all(pathlib.Path(rendered).read_text()) if d]
    made = [d for d in yaml.safe_load_all(pathlib.Path(secrets_file).read_text()) if d]
    check_schemas(made)
    secrets = {d["metadata"]["name"]: d["stringData"] for d in made if d["kind"] == "Secret"} | OPERATORS_SECRETS
    check_schemas(documents)
    configuration = next(d["data"]["assent.toml"] for d in documents if "assent.toml" in d.get("data", {}))
    grace_seconds = int(re.search(r"^grace_ms = (\d+)$", configuration, re.M).group(1)) / 1000
    for document, template in pods(documents):
        check_pod(document, template, documents)
        if template["metadata"]["labels"].get("assent.dev/service"):
            check_service_deployment(document, template, documents, grace_seconds)
    check_links(documents)
    check_routes_cover_the_contract(documents)
    say(f"security, probes, budgets, spread, grace and names of {len(pods(documents))} workloads")
    # A wrong manifest may be too wrong to lay its files out.
    if not problems:
        check_binary_accepts(documents, secrets)


# --- compose ----------------------------------------------------------------------------------------------------------


def interpolate(node, variables):
    """Compose's ${NAME}, ${NAME:-default} and ${NAME:?message}."""

    def value(match):
        name, operator, rest = match.groups()
        found = variables.get(name, "")
        if not found and operator == ":?":
            problem("docker-compose.yml", f"{name} is not in .env")
        return found or (rest if operator == ":-" else "")

    if isinstance(node, dict):
        return {key: interpolate(child, variables) for key, child in node.items()}
    if isinstance(node, list):
        return [interpolate(child, variables) for child in node]
    return re.sub(r"\$\{(\w+)(?:(:-|:\?)([^}]*))?\}", value, node) if isinstance(node, str) else node


def check_compose_service(name, service):
    for port in service.get("ports", []):
        if not port.startswith("127.0.0.1:"):
            problem(name, f"port {port} is open to the network")
    if not re.search(r":[^/:]*(\d|local)[^/:]*$", service["image"]):
        problem(name, f"image {service['image']} has no version")
    for volume in service.get("volumes", []):
        source = volume["source"] if isinstance(volume, dict) else volume.split(":")[0]
        if source.startswith("./") and not (REPOSITORY / source).exists():
            problem(name, f"{source} does not exist")


def check_compose(root):
    root = pathlib.Path(root)
    lines = (root / ".env").read_text().splitlines()
    variables = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    empty = [name for name, value in variables.items() if not value]
    if empty:
        problem(".env", f"setup left {empty} empty")
    text = (REPOSITORY / "docker-compose.yml").read_text()
    compose = interpolate(yaml.safe_load(text), variables)
    services = compose["services"]
    for name, service in services.items():
        check_compose_service(name, service)
        needed = service.get("depends_on", {})
        for other in needed:
            if other not in services:
                problem(name, f"depends on {other}, which is not there")
            elif isinstance(needed, dict) and needed[other]["condition"] == "service_healthy":
                if "healthcheck" not in services[other]:
                    problem(name, f"waits for the health of {other}, which has no health check")
    say(f"{len(services)} services of docker-compose.yml: loopback ports, versions of images, mounts, order of start")
    if not os.environ.get("ASSENT_BINARY"):
        return
    configuration = root / "deploy/compose/assent/assent.toml"
    configuration.write_text((REPOSITORY / "deploy/compose/assent/assent.toml").read_text())
    for role in ("ingress", "consent", "dispatcher", "status-tracker"):
        environment = {key: value for key, value in services[role]["environment"].items() if value is not None}
        result = run(["check-config"], environment | {"ASSENT_CONFIG": str(configuration)})
        if result.returncode != 0:
            problem(role, f"the binary refuses its configuration: {result.stderr.strip()}")
    environment = {key: value for key, value in services["migrate"]["environment"].items() if value is not None}
    environment["ASSENT_DATABASE_URL"] = "postgres://assent:x@127.0.0.1:1/assent"
    result = run(["migrate", "--config", str(configuration)], environment)
    if result.returncode != 1:
        problem("migrate", f"the binary refuses its configuration: {result.stderr.strip()}")
    arguments = [a.replace("0.0.0.0:8090", "127.0.0.1:0") for a in services["simulator"]["command"]]
    line = starts(arguments)
    if not line.startswith("ready "):
        problem("simulator", f"does not start: {line.strip()}")
    say("the binary takes what setup and docker-compose.yml give it: ingress, consent, dispatcher, status-tracker, migrate, simulator")


if __name__ == "__main__":
    if sys.argv[1] == "manifests":
        check_manifests(*sys.argv[3:])
        subject = sys.argv[2]
    else:
        check_compose(sys.argv[2])
        subject = "compose"
    for line in problems:
        print(f"{subject}: {line}", file=sys.stderr)
    sys.exit(1 if problems else 0)

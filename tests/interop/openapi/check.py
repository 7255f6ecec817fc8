"""Validates requests, one JSON object a line, against an OpenAPI description: path, method and body.

Where the description and the platform differ, an exception below says so, by name and with its reason. Each has to be
needed: one without which everything would validate as well is an error, so the list cannot grow old.
"""

import copy
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass

import jsonschema
import yaml

BODY = "application/json"


@dataclass
class Exception_:
    """A difference between the description and the platform: what it is, and how the description is put right."""

    name: str
    reason: str
    amend: Callable[[dict], None]


def schemas(description):
    return description["components"]["schemas"]


def resolve(description, schema):
    while "$ref" in schema:
        node = description
        for part in schema["$ref"].removeprefix("#/").split("/"):
            node = node[part]
        schema = node
    return schema


def join_closed_parts(description):
    """Replaces an `allOf` of which a part is closed by one closed object with the members of all parts."""
    for schema in schemas(description).values():
        parts = [resolve(description, part) for part in schema.get("allOf", [])]
        if any(part.get("additionalProperties") is False for part in parts):
            del schema["allOf"]
            schema["type"] = "object"
            schema["additionalProperties"] = False
            schema["properties"] = {name: value for part in parts for name, value in part.get("properties", {}).items()}
            schema["required"] = sorted({name for part in parts for name in part.get("required", [])})


def add_envelope_members(description):
    common = schemas(description)["BaseMessageProperties"]["properties"]
    marketing = schemas(description)["MarketingMessageRequestPayload"]["properties"]
    for properties in (common, marketing):
        properties["biz_opaque_callback_data"] = {"type": "string", "maxLength": 512}
    common["recipient_identity_key_hash"] = {"type": "string"}


def allow_recipient(description):
    common = schemas(description)["BaseMessageProperties"]
    common["properties"]["recipient"] = {"type": "string"}
    common["required"].remove("to")
    common["anyOf"] = [{"required": ["to"]}, {"required": ["recipient"]}]


def allow_numeric_coordinates(description):
    for part in schemas(description)["LocationMessage"]["allOf"]:
        location = part.get("properties", {}).get("location", {})
        for name in ("latitude", "longitude"):
            if name in location.get("properties", {}):
                location["properties"][name] = {"type": ["string", "number"]}


def repair_index(description):
    schemas(description)["TemplateComponent"]["properties"]["index"]["pattern"] = "^[0-9]$"


def add_button_kinds(description):
    kinds = schemas(description)["TemplateComponent"]["properties"]["sub_type"]["enum"]
    kinds.extend(["copy_code", "flow", "mpm", "order_details", "voice_call"])


def add_component_kinds(description):
    schemas(description)["TemplateComponent"]["properties"]["type"]["enum"].extend(["carousel", "limited_time_offer"])


def add_interactive_kind(kind, action):
    def amend(description):
        schemas(description)["InteractiveObject"]["properties"]["type"]["enum"].append(kind)
        schemas(description)["ActionObject"]["oneOf"].append(action)

    return amend


def make_thumbnail_optional(description):
    for action in schemas(description)["ActionObject"]["oneOf"]:
        if action.get("properties", {}).get("name", {}).get("enum") == ["catalog_message"]:
            action["required"].remove("parameters")


CTA_URL = {
    "required": ["name", "parameters"],
    "properties": {
        "name": {"const": "cta_url"},
        "parameters": {
            "required": ["display_text", "url"],
            "additionalProperties": False,
            "properties": {"display_text": {"type": "string", "maxLength": 20}, "url": {"type": "string"}},
        },
    },
}
SEND_LOCATION = {"required": ["name"], "properties": {"name": {"const": "send_location"}}, "additionalProperties": False}

EXCEPTIONS = [
    Exception_("members beside recipient and type", "Meta's guides and every client use them; the shapes of messages that "
               "are closed leave them out", add_envelope_members),
    Exception_("recipient", "business-scoped user ids are addressed by it since May 2026; the description is of 2025", allow_recipient),
    Exception_("numeric coordinates", "Meta's guide and callbacks have numbers, the description texts; both are taken",
               allow_numeric_coordinates),
    Exception_("index of a button", "the pattern takes single characters out of \"2-6, 1-14\", so that not even its own "
               "example \"0\" passes; positions are 0 to 9", repair_index),
    Exception_("kinds of template buttons", "copy-code, flow and others came after the list was written", add_button_kinds),
    Exception_("kinds of template components", "carousels and limited-time offers came after the list was written",
               add_component_kinds),
    Exception_("call-to-action URL", "described in Meta's guide, missing in the list of kinds",
               add_interactive_kind("cta_url", CTA_URL)),
    Exception_("location request", "described in Meta's guide, missing in the list of kinds",
               add_interactive_kind("location_request_message", SEND_LOCATION)),
    Exception_("catalog without a thumbnail", "Meta's guide calls the parameters optional", make_thumbnail_optional),
    # Last: it makes copies of what the others have amended.
    Exception_("closed parts", "each part of an allOf forbids the members of the others, so that no body at all would pass",
               join_closed_parts),
]

# Calls that the description leaves out, by method and the end of the path, with where Meta tells of them.
NOT_DESCRIBED = {
    "POST {}/unpause": "ends the pause of a template (Business Management API, message templates)",
}


# Of all the nodes of the description, those our client calls; every other id looks the same.
NODES = {"{Phone-Number-ID}", "{WABA-ID}", "{WhatsApp-Account-Number-ID}", "{Media-ID}", "{TEMPLATE_ID}"}


def find_operation(description, method, path):
    """The described operation of a request, and the pattern of its path; more literal paths go first."""
    given = path.strip("/").split("/")
    found = []
    for pattern, operations in description["paths"].items():
        parts = pattern.strip("/").split("/")
        if len(parts) != len(given) or method.lower() not in operations or parts[1] not in NODES:
            continue
        if all(part.startswith("{") or part == segment for part, segment in zip(parts, given)):
            found.append((sum(part.startswith("{") for part in parts), pattern, operations[method.lower()]))
    found.sort(key=lambda entry: entry[:2])
    return found[0][1:] if found else None


def body_schema(description, request, operation):
    """The schema of a request's body; a message is told by its type, a read receipt by its status."""
    schema = operation["requestBody"]["content"][BODY]["schema"]
    if schema.get("$ref") != "#/components/schemas/Message":
        return schema
    if "status" in request["body"]:
        return {"$ref": "#/components/schemas/MarkMessageRequestPayload"}
    kinds = schemas(description)["Message"]["discriminator"]["mapping"]
    return {"$ref": kinds.get(request["body"].get("type"), "#/components/schemas/Message")}


def deepest(error):
    """The error that says most: of alternatives, that of the one which fits best."""
    while error.context:
        error = min(error.context, key=lambda inner: (-len(inner.absolute_path), str(inner.validator)))
    return error


def problems_of(description, request, unused):
    """What is wrong with a request, in words; also strikes what it uses off the list of calls that are not described."""
    operation = find_operation(description, request["method"], request["path"])
    if operation is None:
        depth = request["path"].strip("/").split("/")[2:]
        key = f"{request['method']} {'/'.join(['{}', *depth])}"
        unused.discard(key)
        return [] if key in NOT_DESCRIBED else [f"{key} is not in the description"]
    _, operation = operation
    if "form" in request:
        described = operation["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
        missing = sorted(set(described) - set(request["form"]))
        return [f"the form has no {name}" for name in missing]
    if "body" not in request:
        return []
    if "requestBody" not in operation:
        return ["has a body, and the description has none"]
    schema = {**body_schema(description, request, operation), "components": description["components"]}
    errors = jsonschema.Draft202012Validator(schema).iter_errors(request["body"])
    return [f"{error.json_path}: {error.message[:200]}" for error in map(deepest, errors)]


def amended(description, leave_out=None):
    description = copy.deepcopy(description)
    for exception in EXCEPTIONS:
        if exception is not leave_out:
            exception.amend(description)
    return description


def main(description_file, requests_file):
    with open(description_file, encoding="utf-8") as file:
        whole = yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    description = {"paths": whole["paths"], "components": {"schemas": whole["components"]["schemas"]}}
    with open(requests_file, encoding="utf-8") as file:
        requests = [json.loads(line) for line in file]
    unused, failed, with_body = set(NOT_DESCRIBED), 0, 0
    right = amended(description)
    for request in requests:
        problems = problems_of(right, request, unused)
        failed += bool(problems)
        with_body += "body" in request
        print(f"{'FAILED' if problems else 'ok':6}  {request['name']}")
        for problem in problems:
            print(f"          {problem}")
    for exception in EXCEPTIONS:
        without = amended(description, leave_out=exception)
        if not any(problems_of(without, request, set()) for request in requests):
            print(f"FAILED  the exception \"{exception.name}\" is not needed any more")
            failed += 1
    for key in sorted(unused):
        print(f"FAILED  no request is a {key} any more")
        failed += 1
    if not requests:
        print("FAILED  there are no requests")
        failed += 1
    print(f"{len(requests)} requests, {with_body} of them with a body; {len(EXCEPTIONS)} exceptions; {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))

"""What asks the client something before it answers: by a request on its stream until 2025-11-25, since then by a result
that says what is needed, after which the client calls again with it (multi-round requests)."""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from typing import Any

from cdesk.surface.http.conformance.asked import Asked, Result, Tool, text
from cdesk.surface.mcp import protocol
from cdesk.surface.mcp.protocol import Refused

_KEY = secrets.token_bytes(32)


def form(message: str, **fields: Result) -> Result:
    """A question to a person, all of whose fields are to be filled in."""
    schema = {"type": "object", "properties": fields, "required": list(fields)}
    return {"method": "elicitation/create", "params": {"message": message, "requestedSchema": schema}}


def name_form(message: str = "What is your name?") -> Result:
    return form(message, name={"type": "string"})


def _sampling(prompt: str, tokens_max: int = 100) -> Result:
    messages = [{"role": "user", "content": {"type": "text", "text": prompt}}]
    return {"method": "sampling/createMessage", "params": {"messages": messages, "maxTokens": tokens_max}}


_ROOTS: Result = {"method": "roots/list", "params": {}}

# -- a request on the stream ---------------------------------------------------------------------------------------


async def _sampled(asked: Asked) -> Result:
    got = await asked.ask("sampling/createMessage", _sampling(str(asked.arguments.get("prompt")))["params"])
    return text(f"LLM response: {got.get('content', {}).get('text')}")


async def _elicited(asked: Asked) -> Result:
    fields = {"username": {"type": "string", "description": "User's response"},
              "email": {"type": "string", "description": "User's email address"}}  # fmt: skip
    got = await asked.ask("elicitation/create", form(str(asked.arguments.get("message")), **fields)["params"])
    return text(f"User response: {got}")


def _choices(names: list[str]) -> list[Result]:
    return [{"const": f"value{number}", "title": name} for number, name in enumerate(names, 1)]


_OPTIONS = ["option1", "option2", "option3"]
_FORMS: dict[str, Result] = {
    "test_elicitation_sep1034_defaults": form(
        "Please look at the defaults.",
        name={"type": "string", "default": "John Doe"},
        age={"type": "integer", "default": 30},
        score={"type": "number", "default": 95.5},
        status={"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        verified={"type": "boolean", "default": True},
    ),
    "test_elicitation_sep1330_enums": form(
        "Please choose.",
        untitledSingle={"type": "string", "enum": _OPTIONS},
        titledSingle={"type": "string", "oneOf": _choices(["First Option", "Second Option", "Third Option"])},
        legacyEnum={
            "type": "string", "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        untitledMulti={"type": "array", "items": {"type": "string", "enum": _OPTIONS}},
        titledMulti={"type": "array", "items": {"anyOf": _choices(["First Choice", "Second Choice", "Third Choice"])}},
    ),
}  # fmt: skip


async def _formed(asked: Asked) -> Result:
    got = await asked.ask("elicitation/create", _FORMS[str(asked.request.tool)]["params"])
    return text(f"Elicitation completed: action={got.get('action')}, content={got.get('content')}")


# -- a result that asks ----------------------------------------------------------------------------------------------


def responses(asked: Asked) -> dict[str, Result]:
    """What the client answered. Raises Refused for what answers nothing."""
    given = asked.request.params.get("inputResponses", {})
    if not isinstance(given, dict) or not all(isinstance(one, dict) for one in given.values()):
        raise Refused(protocol.INVALID_PARAMS, "inputResponses must be an object of objects")
    return given


def required(requests: dict[str, Result], state: str | None = None) -> Result:
    signed = {} if state is None else {"requestState": _signed(state)}
    return {"resultType": "input_required", "inputRequests": requests, **signed}


def _signed(state: str) -> str:
    sealed = urlsafe_b64encode(state.encode()).decode()
    return f"{sealed}.{hmac.new(_KEY, sealed.encode(), sha256).hexdigest()}"


def _state(asked: Asked) -> str | None:
    """What we remembered by handing it to the client. Raises Refused when somebody changed it."""
    given = asked.request.params.get("requestState")
    if given is None:
        return None
    sealed, _, seal = str(given).partition(".")
    if not hmac.compare_digest(seal, hmac.new(_KEY, sealed.encode(), sha256).hexdigest()):
        raise Refused(protocol.INVALID_PARAMS, "requestState is not what this server gave")
    return urlsafe_b64decode(sealed).decode()


_CONFIRM = form("Please confirm", ok={"type": "boolean"})
_ASKS: dict[str, tuple[dict[str, Result], str | None]] = {
    "test_input_required_result_elicitation": ({"user_name": name_form()}, None),
    "test_input_required_result_sampling": ({"capital_question": _sampling("What is the capital of France?")}, None),
    "test_input_required_result_list_roots": ({"client_roots": _ROOTS}, None),
    "test_input_required_result_request_state": ({"confirm": _CONFIRM}, "asked"),
    "test_input_required_result_tampered_state": ({"confirm": _CONFIRM}, "asked"),
    "test_input_required_result_multiple_inputs": (
        {"user_name": name_form(), "greeting": _sampling("Generate a greeting", 50), "client_roots": _ROOTS}, "asked",
    ),
    "test_streaming_elicitation": ({"user_name": name_form()}, None),
}  # fmt: skip


async def _asked_once(asked: Asked) -> Result:
    """Until everything is answered that was asked; what nobody asked for is passed over."""
    requests, state = _ASKS[str(asked.request.tool)]
    given = responses(asked)
    if not requests.keys() <= given.keys() or _state(asked) != state:
        return required(requests, state)
    return text(f"state-ok: {[_said(given[name]) for name in requests]}")


async def _asked_twice(asked: Asked) -> Result:
    state, given = _state(asked), responses(asked)
    if state == "2" and "step2" in given:
        return text(f"Your colour: {_said(given['step2'])}")
    if state == "1" and "step1" in given:
        return required({"step2": form("Step 2: What is your favorite color?", color={"type": "string"})}, "2")
    return required({"step1": name_form("Step 1: What is your name?")}, "1")


async def _asked_what_it_can(asked: Asked) -> Result:
    can = {"sampling": ("greeting", _sampling("Generate a greeting")), "elicitation": ("user_name", name_form())}
    requests = dict(asking for capability, asking in can.items() if capability in asked.capabilities)
    given = responses(asked)
    return text(f"{sorted(given)}") if requests.keys() <= given.keys() else required(requests)


def prompted(asked: Asked) -> Result:
    given = responses(asked).get("user_context")
    if given is None:
        question = form("What context should the prompt use?", context={"type": "string"})
        return required({"user_context": question})
    return {"messages": [{"role": "user", "content": {"type": "text", "text": f"Context: {_said(given)}"}}]}


def _said(response: Result) -> Any:
    return response.get("content", response.get("roots"))


TOOLS = (
    Tool(
        "test_sampling", "Lets the client's model speak.", _sampled, {"prompt": {"type": "string"}}, ("prompt",), True
    ),
    Tool("test_elicitation", "Asks the person.", _elicited, {"message": {"type": "string"}}, ("message",), True),
    *(Tool(name, "Asks the person to fill in a form.", _formed, is_streamed=True) for name in _FORMS),
    *(Tool(name, "Asks before it answers.", _asked_once) for name in _ASKS),
    Tool("test_input_required_result_multi_round", "Asks twice.", _asked_twice),
    Tool("test_input_required_result_capabilities", "Asks what the client can answer.", _asked_what_it_can),
)

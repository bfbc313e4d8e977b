"""Conversations and their rendering; the same text as chat-template.jinja gives."""

import json
from dataclasses import dataclass, field

EFFORTS = ("low", "medium", "high")
TOOL_HINT = (
    'To call a tool, return JSON {"name": ..., "arguments": {...}} '
    "within <tool_call></tool_call>."
)


@dataclass
class Turn:
    """A user prompt with the answer to learn, a thought per effort, and what a check expects."""

    user: str
    answer: str
    think: tuple = ()
    key: str = ""
    skill: str = ""


@dataclass
class Conversation:
    """Messages in the OpenAI form, or raw text without any chat."""

    messages: list
    tools: list = field(default_factory=list)
    effort: str = ""
    thought: str = ""
    raw: str = ""


def compact(value):
    """JSON as the template's tojson filter writes it."""
    return json.dumps(value, ensure_ascii=False)


def signature(tool):
    """A tool as one short JSON line: name, description, and a type for each parameter."""
    f = tool.get("function", tool)
    line = '{"name": ' + compact(f["name"])
    if f.get("description"):
        line += ', "description": ' + compact(f["description"])
    schema = f.get("parameters") or {}
    parts = []
    for name, prop in (schema.get("properties") or {}).items():
        kind = prop.get("type") if isinstance(prop.get("type"), str) else "any"
        optional = "required" in schema and name not in schema["required"]
        parts.append(compact(name) + ': "' + kind + ("?" if optional else "") + '"')
    return line + ', "parameters": {' + ", ".join(parts) + "}}"


def call_text(call):
    """An assistant's tool call as the model writes it."""
    f = call.get("function", call)
    args = f["arguments"]
    args = args if isinstance(args, str) else compact(args)
    return '<tool_call>\n{"name": ' + compact(f["name"]) + ', "arguments": ' + args + "}\n</tool_call>"


def system_text(system, tools, effort):
    """The system turn's content: the caller's text, the tools, the reasoning switch."""
    parts = [system] if system else []
    if tools:
        lines = "\n".join(signature(t) for t in tools)
        parts.append("# Tools\n<tools>\n" + lines + "\n</tools>\n" + TOOL_HINT)
    if effort:
        parts.append("Reasoning effort: " + effort)
    return "\n\n".join(parts)


def render(messages, tools=(), effort="", prompt=True):
    """The prompt as pieces of (text, is_template, message index or -1)."""
    out = []
    first = messages[0] if messages and messages[0]["role"] == "system" else None
    rest = messages[1:] if first else messages
    system = system_text(first["content"] if first else "", tools, effort)
    if system:
        out.append(("<|im_start|>system\n" + system + "<|im_end|>\n", -1))
    offset = 1 if first else 0
    for i, m in enumerate(rest):
        role = m["role"]
        if role == "tool":
            if i == 0 or rest[i - 1]["role"] != "tool":
                out.append(("<|im_start|>user", -1))
            out.append(("\n<tool_response>\n" + m["content"] + "\n</tool_response>", -1))
            if i + 1 == len(rest) or rest[i + 1]["role"] != "tool":
                out.append(("<|im_end|>\n", -1))
            continue
        out.append(("<|im_start|>" + role + "\n", -1))
        body = m.get("content") or ""
        for j, call in enumerate(m.get("tool_calls") or ()):
            body += ("\n" if body else "") + call_text(call)
        if role == "assistant":
            out.append((body + "<|im_end|>", i + offset))
            out.append(("\n", -1))
        else:
            out.append((body + "<|im_end|>\n", -1))
    if prompt:
        out.append(("<|im_start|>assistant\n", -1))
    return out


def training_pieces(conv):
    """Pieces of (text, carries loss): all of the conversation, its last answer thinking if asked."""
    if conv.raw:
        return [(conv.raw + "<|im_end|>", True)]
    pieces = []
    last = len(conv.messages) - 1
    for text, index in render(conv.messages, conv.tools, conv.effort, prompt=False):
        learn = index >= 0
        if conv.effort:
            learn = index == last
            if learn:
                text = "<think>\n" + conv.thought + "\n</think>\n\n" + text
        pieces.append((text, learn))
    return pieces

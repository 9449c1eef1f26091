"""The chat with the assistant: asking, reading what was said, forgetting it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Query
from starlette.responses import Response, StreamingResponse

from api.bodies import Id
from api.chatting import stream_chat
from api.deps import Actor, DatasetId, Db, Limit, Parts, answer
from api.limits import chats
from api.routes import resource
from schemas.guidance import ChatAsk, ChatHistory

router = resource("guidance", "/v1/datasets")

ItemQuery = Annotated[Id | None, Query(description="The item that it is about; the dataset as a whole without one.")]
EVENT = {
    "type": "object",
    "properties": {
        "event": {"type": "string", "enum": ["start", "token", "tool", "notice", "proposal", "error", "done"]},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
}
EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-sent events. `start`; then `token` {text}, `tool` {name, summary}, `notice` {text} and "
        "`proposal` (a `Proposal`) as they come; then `done` with the `ChatMessage` that is kept, after an `error` "
        "{code, detail, hint} if there was one.",
        "content": {"text/event-stream": {"schema": EVENT}},
    }
}


@router.post(
    "/{dataset_id}/chat",
    response_class=StreamingResponse,
    responses=EVENTS,
    dependencies=[Depends(chats)],
    summary="Ask the assistant",
)
async def ask_assistant(parts: Parts, actor: Actor, dataset_id: DatasetId, body: ChatAsk) -> StreamingResponse:
    """Ask about labels or the work, with an item open or not. The assistant looks things up with your rights and answers
    as it writes; it may propose an action, which is carried out only if you send its `request` yourself. Closing the
    connection ends the answer, and what it costs. Without a language model it looks things up and says so."""
    from jobs.chat import open_chat  # brings the models' libraries

    conversation = await open_chat(parts.rpc, parts.settings, actor, dataset_id, body)
    return stream_chat(parts, conversation.events())


@router.get("/{dataset_id}/chat", response_model=ChatHistory, summary="Read the chat")
async def list_chat(
    db: Db,
    actor: Actor,
    dataset_id: DatasetId,
    item: ItemQuery = None,
    before: Annotated[int | None, Query(ge=1, description="`next` of the page that comes after.")] = None,
    limit: Limit = 50,
) -> Response:
    """Your own history about an item, or about the dataset; nobody else reads it. Oldest first."""
    page = await db.call("list_chat_messages", actor=actor, dataset=dataset_id, item=item, before=before, limit=limit)
    return answer(page)


@router.delete("/{dataset_id}/chat", status_code=204, summary="Forget the chat")
async def delete_chat(db: Db, actor: Actor, dataset_id: DatasetId, item: ItemQuery = None) -> Response:
    """Forget your history about an item, or about the dataset."""
    await db.call("delete_chat_messages", actor=actor, dataset=dataset_id, item=item)
    return Response(status_code=204)

"use client";

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { MessageCircle, Square, Trash2, X } from "lucide-react";
import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import { Markdown } from "@/components/markdown";
import { ProblemNotice } from "@/components/shell/problem";
import { Button } from "@/components/ui/button";
import { Input } from "@/components/ui/input";
import { ask, begin, carryOut, forget, type Live } from "@/lib/annotate/chat";
import { asApiError, type ApiError } from "@/lib/api/errors";
import { chatQuery, keys } from "@/lib/api/queries";
import type { Dataset, Payload, Proposal } from "@/lib/api/types";

interface ChatPanelProps {
  dataset: Dataset;
  itemId: string | null;
  /** Answers the item on screen; false when the proposal is for another. */
  onTake: (itemId: string, payload: Payload) => boolean;
  onClose: () => void;
}

/** The assistant beside the item: asks, reads along as it writes, and carries out what it proposes with one click. */
export function ChatPanel({ dataset, itemId, onTake, onClose }: ChatPanelProps) {
  const history = useQuery({ ...chatQuery(dataset.id, itemId), refetchOnWindowFocus: false });
  const [live, setLive] = useState<Live | null>(null);
  const [busy, setBusy] = useState(false);
  const [question, setQuestion] = useState("");
  const aborter = useRef<AbortController | null>(null);
  const field = useRef<HTMLInputElement>(null);
  const log = useRef<HTMLDivElement>(null);
  const queries = useQueryClient();

  useEffect(() => {
    field.current?.focus();
    return () => aborter.current?.abort();
  }, []);
  useEffect(() => {
    // The log alone is scrolled: the item stays where the eye is.
    if (log.current) log.current.scrollTop = log.current.scrollHeight;
  }, [live, history.data]);

  const send = async () => {
    const asked = question.trim();
    if (!asked || busy) return;
    const controller = new AbortController();
    aborter.current = controller;
    let latest = begin(asked);
    setQuestion("");
    setLive(latest);
    setBusy(true);
    try {
      for await (const grown of ask(dataset.id, asked, itemId, controller.signal)) {
        latest = grown;
        setLive(grown);
      }
    } catch (error) {
      if (!controller.signal.aborted) setLive({ ...latest, problem: asApiError(error) });
    } finally {
      setBusy(false);
      aborter.current = null;
    }
    if (latest.kept) {
      await queries.invalidateQueries({ queryKey: chatQuery(dataset.id, itemId).queryKey });
      // What is kept is shown from the history; notices and problems were for this moment.
      setLive(latest.notices.length > 0 || latest.problem ? { ...latest, question: "", text: "", proposals: [] } : null);
    }
  };

  const clear = async () => {
    await forget(dataset.id, itemId);
    setLive(null);
    await queries.invalidateQueries({ queryKey: chatQuery(dataset.id, itemId).queryKey });
  };

  const onKeyDown = (event: KeyboardEvent<HTMLInputElement>) => {
    if (event.key === "Enter" && !event.nativeEvent.isComposing) {
      event.preventDefault();
      void send();
    } else if (event.key === "Escape") {
      event.preventDefault();
      if (busy) aborter.current?.abort();
      else field.current?.blur();
    }
  };

  const messages = history.data?.messages ?? [];
  return (
    <section
      aria-label="Assistant"
      data-testid="chat"
      className="panel mx-auto grid w-full max-w-[44rem] gap-3 px-4 py-4 sm:px-5"
    >
      <h2 className="eyebrow flex items-center gap-2">
        <MessageCircle aria-hidden className="size-3.5" />
        <span className="flex-1">Assistant</span>
        {messages.length > 0 && (
          <Button
            variant="ghost"
            size="icon-sm"
            aria-label="Forget this chat"
            className="-my-2"
            onClick={() => void clear()}
          >
            <Trash2 />
          </Button>
        )}
        <Button variant="ghost" size="icon-sm" aria-label="Close the chat" className="-my-2 -mr-2" onClick={onClose}>
          <X />
        </Button>
      </h2>
      <div
        ref={log}
        role="log"
        aria-live="polite"
        aria-busy={busy}
        className="grid max-h-96 gap-3 overflow-y-auto empty:hidden"
        data-testid="chat-log"
      >
        {messages.map((message) =>
          message.role === "user" ? (
            <Question key={message.id} text={message.content} />
          ) : (
            <div key={message.id} className="grid gap-2">
              {message.content && <Markdown source={message.content} />}
              {message.data?.ended === "cancelled" && <Aside>Stopped.</Aside>}
              {message.data?.proposals.map((proposal) => (
                <Offer key={proposal.id} proposal={proposal} dataset={dataset} onTake={onTake} />
              ))}
            </div>
          ),
        )}
        {live && (
          <div className="grid gap-2" data-testid="chat-live">
            {live.question && <Question text={live.question} />}
            {live.tools.length > 0 && live.question && <Aside>{live.tools.join(", ")}</Aside>}
            {live.text && <Markdown source={live.text} />}
            {live.proposals.map((proposal) => (
              <Offer key={proposal.id} proposal={proposal} dataset={dataset} onTake={onTake} />
            ))}
            {live.notices.map((notice) => (
              <p key={notice} className="rounded-md bg-warning-soft px-3 py-2 text-sm">
                {notice}
              </p>
            ))}
            {live.problem && <ProblemNotice error={live.problem} />}
          </div>
        )}
      </div>
      {history.error && <ProblemNotice error={history.error} onRetry={() => void history.refetch()} />}
      <div className="flex gap-2">
        <Input
          ref={field}
          aria-label="Question"
          placeholder={itemId ? "Ask about this item or the work" : "Ask about the work"}
          maxLength={8000}
          value={question}
          onChange={(event) => setQuestion(event.target.value)}
          onKeyDown={onKeyDown}
        />
        {busy ? (
          <Button variant="outline" onClick={() => aborter.current?.abort()}>
            <Square /> Stop
          </Button>
        ) : (
          <Button onClick={() => void send()} disabled={!question.trim()}>
            Ask
          </Button>
        )}
      </div>
    </section>
  );
}

const Question = ({ text }: { text: string }) => (
  <p className="justify-self-end rounded-lg bg-muted px-3 py-1.5 text-sm break-words whitespace-pre-wrap">{text}</p>
);

const Aside = ({ children }: { children: string }) => (
  <p className="text-[0.8125rem] text-muted-foreground">{children}</p>
);

/** One proposal: nothing happens until it is clicked. */
function Offer({
  proposal,
  dataset,
  onTake,
}: {
  proposal: Proposal;
  dataset: Dataset;
  onTake: ChatPanelProps["onTake"];
}) {
  const [state, setState] = useState<"open" | "busy" | "done">("open");
  const [problem, setProblem] = useState<ApiError | null>(null);
  const queries = useQueryClient();

  const accept = async () => {
    if (proposal.kind === "set_label" && proposal.item_id && proposal.payload) {
      if (onTake(proposal.item_id, proposal.payload)) {
        setState("done");
        return;
      }
    }
    setState("busy");
    setProblem(null);
    try {
      await carryOut(dataset.id, proposal);
      setState("done");
      void queries.invalidateQueries({ queryKey: keys.dataset(dataset.id), exact: true });
      void queries.invalidateQueries({ queryKey: keys.jobs(dataset.id) });
    } catch (error) {
      setState("open");
      setProblem(asApiError(error));
    }
  };

  return (
    <div className="grid justify-items-start gap-1.5" data-testid="proposal">
      <Button
        variant="outline"
        size="sm"
        className="h-auto max-w-full py-1.5 text-left whitespace-normal"
        disabled={state !== "open"}
        onClick={() => void accept()}
      >
        {state === "done" ? `Done: ${proposal.title}` : proposal.title}
      </Button>
      {proposal.why && <Aside>{proposal.why}</Aside>}
      {problem && <ProblemNotice error={problem} />}
    </div>
  );
}

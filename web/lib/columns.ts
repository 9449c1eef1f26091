const HEAD_BYTES = 256 * 1024;

/** The columns that a file seems to have, for choosing among them. Empty when only the server can tell. */
export async function peekColumns(file: File): Promise<string[]> {
  const name = file.name.toLowerCase();
  if (!/\.(csv|tsv|jsonl|ndjson)$/.test(name)) return [];
  const head = (await file.slice(0, HEAD_BYTES).text()).replace(/^\uFEFF/, "");
  try {
    if (name.endsWith("sv")) return firstRecord(head, name.endsWith(".tsv") ? "\t" : separatorOf(head));
    const row: unknown = JSON.parse(head.split("\n", 1)[0] ?? "");
    return row !== null && typeof row === "object" && !Array.isArray(row) ? Object.keys(row) : [];
  } catch {
    return [];
  }
}

function separatorOf(head: string): string {
  const line = head.split("\n", 1)[0] ?? "";
  const found = [",", ";", "\t", "|"].map((sign) => ({ sign, times: line.split(sign).length }));
  return found.reduce((best, next) => (next.times > best.times ? next : best)).sign;
}

/** The first record of a delimited file (RFC 4180: quotes double inside quotes, and may hold line breaks). */
function firstRecord(text: string, separator: string): string[] {
  const fields: string[] = [];
  let field = "";
  let quoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const sign = text[at];
    if (quoted) {
      if (sign !== '"') field += sign;
      else if (text[at + 1] === '"') {
        field += '"';
        at += 1;
      } else quoted = false;
    } else if (sign === '"' && field === "") quoted = true;
    else if (sign === separator) {
      fields.push(field.trim());
      field = "";
    } else if (sign === "\n" || sign === "\r") break;
    else field += sign;
  }
  fields.push(field.trim());
  return fields.filter((name) => name !== "");
}

const GUESSES = {
  text: /^(text|body|content|message|sentence|review|utterance|comment|document)$/i,
  id: /^(id|external_id|uid|uuid|key|message_id)$/i,
};

/** The column that most likely holds the text, or the id; "" when none stands out. */
export function guessColumn(columns: readonly string[], what: keyof typeof GUESSES): string {
  return columns.find((column) => GUESSES[what].test(column)) ?? "";
}

import { createHash } from "node:crypto";
import { hostname } from "node:os";
import MimeNode from "nodemailer/lib/mime-node";
import SMTPConnection from "nodemailer/lib/smtp-connection";
import type { NotifySettings } from "../core/notify.ts";
import type { Message } from "./message.ts";
import { codeOf, later, type Outcome, refused, sent } from "./outcome.ts";

type Mail = Omit<NonNullable<NotifySettings["email"]>, "passwordFile"> & { readonly password: string | null };

/**
 * One message by SMTP. The two parts of nodemailer that speak it and write it, and not its front door, which brings six other ways to send: 0.4
 * MB that every start would read. A server without the protection that is wanted gets neither password nor message.
 */
export async function sendEmail(mail: Mail, message: Message, signal: AbortSignal): Promise<Outcome> {
  const { node, envelope } = compose(mail, message);
  const connection = new SMTPConnection({
    host: mail.host,
    port: mail.port,
    secure: mail.security === "tls",
    requireTLS: mail.security === "starttls",
    ignoreTLS: mail.security === "none",
    socketCloseTimeout: 0,
  });
  const end = () => connection.close();
  signal.addEventListener("abort", end, { once: true });
  try {
    await new Promise<void>((resolve, reject) => {
      const step = (next: () => void) => (error?: Error | null) => (error ? reject(error) : next());
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      if (signal.aborted) reject(signal.reason);
      connection.once("error", reject);
      connection.once("end", () => reject(new Error("closed")));
      const send = () => connection.send(envelope, node.createReadStream(), step(resolve));
      const { user, password } = mail;
      const login = () =>
        user === null ? send() : connection.login({ credentials: { user, pass: password ?? "" } }, step(send));
      connection.connect(step(login));
    });
    connection.quit();
    return sent;
  } catch (error) {
    if (signal.aborted) return later("no answer in time");
    return judge(error);
  } finally {
    signal.removeEventListener("abort", end);
    connection.on("error", () => {}); // what comes after the end is of no interest
    connection.close();
  }
}

function compose(mail: Mail, message: Message) {
  const text = [message.title, message.body].filter((part) => part !== "").join("\n\n");
  // Of the message, so that it is one message to a mail program however often it is sent.
  const id = createHash("sha256").update(message.id).digest("hex").slice(0, 32);
  const node = new MimeNode("text/plain; charset=utf-8");
  node.setHeader({
    From: mail.from,
    To: mail.to.join(", "),
    Subject: `[orchestrator-merge] ${message.title}`,
    Date: new Date(message.at),
    "Message-ID": `<${id}@${hostname().replace(/[^A-Za-z0-9.-]/g, "") || "localhost"}>`,
    "Auto-Submitted": "auto-generated",
    "X-Orchestrator-Merge-Id": message.id,
  });
  node.setContent(`${text}\n`);
  return { node, envelope: node.getEnvelope() };
}

/** RFC 5321, 4.2.1: 4yz may pass, 5yz will not. A refused login is told as such: the code of the library says it. */
function judge(error: unknown): Outcome {
  const code = codeOf(error);
  const status = error instanceof Error && "responseCode" in error ? Number(error.responseCode) : 0;
  const shown = [code, status > 0 ? status : null].filter((part) => part !== null).join(" ") || "closed";
  if (code === "EAUTH") return refused(`the server refused the login (${shown})`);
  if (code === "ETLS") return refused(`the server does not offer the protection that is wanted (${shown})`);
  return status >= 500
    ? refused(`the server refused the message (${shown})`)
    : later(`it could not be sent (${shown})`);
}

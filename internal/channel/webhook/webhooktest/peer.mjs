// Signs or verifies one message, which comes as JSON on the standard input,
// with the library whose file is named.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const [what, library] = process.argv.slice(2);
const { Webhook } = createRequire(import.meta.url)(library);
const m = JSON.parse(readFileSync(0, "utf8"));
const hook = m.raw ? new Webhook(m.secret, { format: "raw" }) : new Webhook(m.secret);
if (what === "sign") {
  console.log(hook.sign(m.id, new Date(Number(m.timestamp) * 1000), m.body));
} else {
  hook.verify(m.body, { "webhook-id": m.id, "webhook-timestamp": m.timestamp, "webhook-signature": m.signature });
  console.log("verified");
}

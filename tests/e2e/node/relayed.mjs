// What the SDK does beside videos: images both ways, sound, vectors, judging and responses.
import { readFileSync } from "node:fs";
import { toFile } from "openai";
import { base64, client, report } from "./client.mjs";

const model = "house-words";
const picture = async () => await toFile(readFileSync(process.env.PICTURE), "tram.png", { type: "image/png" });
const sound = await toFile(Buffer.from("RIFF"), "said.wav", { type: "audio/wav" });
const first = ({ data }) => data[0].b64_json;
const pieces = [];
for await (const event of await client.responses.create({ model, input: "hi", stream: true }))
  if (event.type === "response.output_text.delta") pieces.push(event.delta);

report({
  relayed: first(await client.images.generate({ model: "house-image", prompt: "a tram" })),
  edited: first(await client.images.edit({ model: "house-image", prompt: "a tram", image: [await picture()] })),
  made: first(await client.images.generate({ model: "gpt-image", prompt: "a tram" })),
  speech: await base64(await client.audio.speech.create({ model, voice: "alloy", input: "hi" })),
  written: (await client.audio.transcriptions.create({ model, file: sound })).text,
  vectors: (await client.embeddings.create({ model: "house-embedding", input: "one" })).data[0].embedding,
  flagged: (await client.moderations.create({ model, input: "a fight" })).results[0].flagged,
  response: (await client.responses.create({ model, input: "hi" })).output_text,
  pieces,
});

// A video and a text answer through chat completions, as a stream and whole.
import { client, report, small } from "./client.mjs";

const messages = [{ role: "user", content: "[studio:fast] a tram" }];
const stream = await client.chat.completions.create({
  model: "sora_video2",
  messages,
  stream: true,
  stream_options: { include_usage: true },
  ...small,
});
const chunks = [];
for await (const chunk of stream) chunks.push(chunk);

const whole = await client.chat.completions.create({ model: "sora2-landscape-10s", messages, ...small });
const text = await client.chat.completions.create({ model: "house-chat", messages });
const words = [];
for await (const chunk of await client.chat.completions.create({ model: "house-chat", messages, stream: true }))
  words.push(chunk.choices[0]?.delta?.content ?? "");
const models = [];
for await (const model of client.models.list()) models.push(model.id);

report({
  contents: chunks.map((chunk) => chunk.choices[0]?.delta?.content ?? ""),
  reasons: chunks.map((chunk) => chunk.choices[0]?.finish_reason ?? null),
  usage: chunks.at(-1).usage,
  whole: whole.choices[0].message.content,
  text: text.choices[0].message.content,
  words: words.join(""),
  models,
});

// What goes wrong, as the SDK's own error classes.
import { OpenAI, client, ended, report, small } from "./client.mjs";

async function read(stream) {
  for await (const chunk of stream) void chunk;
}

async function caught(work) {
  try {
    await work();
    return null;
  } catch (error) {
    const { status, code, param, type, message, requestID } = error;
    return { name: error.constructor.name, status, code, param, type, message, requestID };
  }
}

const wrongKey = new OpenAI({ baseURL: process.env.GATEWAY, apiKey: "wrong", maxRetries: 0 });
const messages = [{ role: "user", content: "[studio:moderate] a storm" }];
const failed = await ended((await client.videos.create({ prompt: "[studio:fail] a storm", ...small })).id);

report({
  key: await caught(() => wrongKey.videos.list()),
  model: await caught(() => client.videos.create({ prompt: "x", model: "no-such-model" })),
  seconds: await caught(() => client.videos.create({ prompt: "x", seconds: "soon" })),
  id: await caught(() => client.videos.retrieve("video_0")),
  content: await caught(() => client.videos.downloadContent(failed.id)),
  stream: await caught(async () =>
    read(await client.chat?.completions.create({ model: "sora_video2", messages, stream: true, ...small })),
  ),
  failed,
});

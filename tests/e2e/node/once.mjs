// Creates one video through a proxy that loses answers; lists those with its prompt.
import { client, report, small } from "./client.mjs";

const prompt = process.env.PROMPT;
const video = await client.videos.create({ prompt, ...small });
const listed = [];
for (const each of (await client.videos.list({ limit: 20 })).data) if (each.prompt === prompt) listed.push(each.id);
const polled = client.videos.poll ? await client.videos.poll(video.id, { pollIntervalMs: 50 }) : null;
report({ made: video.id, listed, status: polled?.status });

// Our own client, as npm packs it; its types are checked by TypeScript.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import OpenAI, { BadRequestError } from 'filmgate-client';

const TYPED = `import OpenAI, { APIError, type Video } from 'filmgate-client';
const client = new OpenAI({ baseURL: 'x', apiKey: 'x', maxRetries: 1 });
const video: Video = await client.videos.create({ prompt: 'x', seconds: '8', input_reference: new Blob([]) });
for await (const each of client.videos.list({ limit: 2 })) each.error?.message.trim();
const page = await client.videos.list();
const bytes: ArrayBuffer = await (await client.videos.downloadContent(video.id, { variant: 'thumbnail' })).arrayBuffer();
try { await client.videos.poll(page.data[0].id, { pollIntervalMs: bytes.byteLength }); }
catch (error) { if (error instanceof APIError) console.log(error.requestID, error.param); }
// @ts-expect-error a prompt is needed
await client.videos.create({ model: 'x' });
`;
writeFileSync('typed.ts', TYPED);
const options = ['--noEmit', '--strict', '--target', 'es2022', '--module', 'nodenext', '--lib', 'es2022,dom,dom.asynciterable'];
execFileSync('node_modules/.bin/tsc', [...options, 'typed.ts'], { stdio: ['ignore', 'inherit', 'inherit'] });
const client = new OpenAI({ baseURL: `${process.env.GATEWAY}/v1`, apiKey: process.env.GATEWAY_KEY });
const video = await client.videos.createAndPoll({ prompt: '[studio:fast] a boat', seconds: 1, size: '64x64' });
if (video.status !== 'completed') throw new Error(JSON.stringify(video));
const error = await client.videos.create({ prompt: 'x', seconds: 'soon' }).catch((error) => error);
if (!(error instanceof BadRequestError)) throw new Error('not refused');
console.log('types, create, poll, refusal');

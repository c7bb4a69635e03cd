// The request of the playground as code for clients: curl, Python, Node.
import { clientApi } from './api.js';

const quoted = (value) => JSON.stringify(value);

function requestFields(request) {
  const shots = request.shots ?? [];
  const prompt = [request.prompt, ...shots.map((shot) => `[${shot.seconds}s]${shot.prompt}`)]
    .filter(Boolean)
    .join('\n');
  const seconds = shots.reduce((sum, shot) => sum + shot.seconds, 0) || request.seconds;
  const fields = { model: request.model, prompt };
  if (seconds) fields.seconds = String(seconds);
  if (request.size) fields.size = request.size;
  return fields;
}

const otherFields = (request) =>
  Object.entries(request).filter(
    ([name, value]) =>
      !['model', 'prompt', 'seconds', 'size', 'first_frame', 'kind', 'shots'].includes(name) &&
      value !== '' &&
      value != null &&
      !(Array.isArray(value) && value.length === 0),
  );

/** `inputs` are pairs of a field and a file; without them, a first frame is one. */
function curlSnippet(request, inputs) {
  const lines = [`curl ${clientApi()}/videos`, '-H "Authorization: Bearer $FILMGATE_API_KEY"'];
  const all = { ...requestFields(request), ...Object.fromEntries(otherFields(request)) };
  for (const [name, value] of Object.entries(all)) {
    const shown = typeof value === 'object' ? JSON.stringify(value) : String(value);
    lines.push(`-F '${name}=${shown.replaceAll("'", "'\\''")}'`);
  }
  const files = inputs ?? (request.first_frame ? [['input_reference', 'first-frame.png']] : []);
  for (const [name, file] of files) lines.push(`-F ${name}=@${file}`);
  return lines.join(' \\\n  ');
}

function pythonSnippet(request) {
  const fields = Object.entries(requestFields(request)).map(([name, value]) => `    ${name}=${quoted(value)},`);
  if (request.first_frame) fields.push('    input_reference=open("first-frame.png", "rb"),');
  const extra = Object.fromEntries(otherFields(request));
  if (Object.keys(extra).length)
    fields.push(`    extra_body=${JSON.stringify(extra).replaceAll('true', 'True').replaceAll('false', 'False')},`);
  return `from openai import OpenAI

client = OpenAI(base_url="${clientApi()}", api_key="sk-fg-…")
video = client.videos.create_and_poll(
${fields.join('\n')}
)
client.videos.download_content(video.id).write_to_file("video.mp4")`;
}

function nodeSnippet(request) {
  const fields = Object.entries({ ...requestFields(request), ...Object.fromEntries(otherFields(request)) }).map(
    ([name, value]) => `  ${name}: ${quoted(value)},`,
  );
  if (request.first_frame) fields.push('  input_reference: fs.createReadStream("first-frame.png"),');
  return `import fs from "node:fs";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: "${clientApi()}", apiKey: "sk-fg-…" });
let video = await client.videos.create({
${fields.join('\n')}
});
while (video.status === "queued" || video.status === "in_progress") {
  await new Promise((next) => setTimeout(next, 2000));
  video = await client.videos.retrieve(video.id);
}
const film = await client.videos.downloadContent(video.id);
fs.writeFileSync("video.mp4", Buffer.from(await film.arrayBuffer()));`;
}

export const SNIPPETS = { curl: curlSnippet, python: pythonSnippet, node: nodeSnippet };
